//! The token service's forms, answers and refusals.

use std::sync::{Arc, Mutex};

use cosette_model::Accounts;
use http::Request;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::*;
use crate::Config;
use crate::auth::sigv4;

const NOW: u64 = 1_700_000_000;
const DATE: &str = "20231114T221320Z";
const ROLE: &str = "arn:aws:iam::100000000001:role/path/reader";

/// One account, and the keys that were given out. A policy is the one action it permits.
struct Known(Mutex<Vec<Key>>);

impl Known {
    fn new() -> Self {
        let account = Account {
            secret_id: "AKID".into(),
            secret_key: "key".into(),
            appid: "1250000000".into(),
            uin: "100000000001".into(),
            name: "me".into(),
        };
        Self(Mutex::new(vec![Key { account: account.into(), session: None }]))
    }

    fn last(&self) -> Key {
        self.0.lock().unwrap().last().unwrap().clone()
    }
}

impl Accounts for Known {
    fn by_secret_id(&self, secret_id: &str) -> Option<Key> {
        self.0.lock().unwrap().iter().find(|key| key.account.secret_id == secret_id).cloned()
    }
}

impl Issuer for Known {
    fn issue(&self, account: &Account, new: NewSession) -> Result<Key, PolicyRefused> {
        if new.policy.as_deref() == Some("{bad") {
            return Err(PolicyRefused::Malformed("bad".into()));
        }
        let mut keys = self.0.lock().unwrap();
        let secret_id = format!("{}{}", new.prefix, keys.len());
        let account = Account { secret_id, secret_key: "secret".into(), ..account.clone() };
        let session = Session {
            token: "token".into(),
            expires: Some(new.expires),
            persona: new.persona,
            policy: new.policy,
        };
        let key = Key { account: account.into(), session: Some(Arc::new(session)) };
        keys.push(key.clone());
        Ok(key)
    }

    fn permits(&self, session: &Session, action: &str, _resource: &str) -> bool {
        session.policy.as_ref().is_none_or(|policy| policy == action)
    }
}

fn wire() -> Wire {
    Wire::new(Config {
        default_region: cosette_model::Region::new("ap-guangzhou").unwrap(),
        default_dialect: DialectName::Cos,
        strict: false,
        xml_bytes_max: 1 << 20,
    })
}

fn form(parameters: &[(&str, &str)]) -> String {
    let encode = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    parameters.iter().map(|(n, v)| format!("{}={}", encode(n), encode(v))).collect::<Vec<_>>().join("&")
}

/// A form signed by the last key that was given out, at this time.
fn signed(known: &Known, body: &str, at: u64) -> Parts {
    let date = Timestamp::from_secs(at).basic();
    let Key { account, session } = known.last();
    let mut headers = vec![("host", "sts.amazonaws.com".to_owned()), ("x-amz-date", date.clone())];
    if let Some(session) = session {
        headers.push(("x-amz-security-token", session.token.clone()));
    }
    let names = headers.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";");
    let lines: String = headers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
    let hash = hex::encode(Sha256::digest(body));
    let canonical = format!("POST\n/\n\n{lines}\n{names}\n{hash}");
    let scope = format!("{}/us-east-1/sts/aws4_request", &date[..8]);
    let text = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{}", hex::encode(Sha256::digest(canonical)));
    let credential = format!("{}/{scope}", account.secret_id);
    let key = sigv4::Credential::parse(&credential, "sts").unwrap().key(&account.secret_key);
    let signature = hex::encode(sigv4::hmac(&key, text.as_bytes()));
    let authorization =
        format!("AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders={names}, Signature={signature}");
    let mut request = Request::post("/").header("authorization", authorization);
    for (name, value) in headers {
        request = request.header(name, value);
    }
    request.body(()).unwrap().into_parts().0
}

/// Status and document.
fn ask(known: &Known, parameters: &[(&str, &str)]) -> (u16, String) {
    let body = form(parameters);
    let parts = signed(known, &body, NOW);
    assert!(Wire::is_sts(&parts));
    let answer = wire().answer_sts(&parts, body.as_bytes(), "id", Timestamp::from_secs(NOW), known);
    (answer.status, String::from_utf8(answer.xml.to_vec()).unwrap())
}

fn code(answer: &(u16, String)) -> &str {
    answer.1.split("<Code>").nth(1).and_then(|rest| rest.split('<').next()).unwrap_or_default()
}

#[test]
fn whose_request_it_is() {
    let parts = |uri: &str, headers: &[(&str, &str)]| {
        let mut request = Request::post(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    };
    let scope = |service| format!("AWS4-HMAC-SHA256 Credential=A/20231114/r/{service}/aws4_request, x");
    for (uri, headers, want) in [
        ("/", vec![("host", "sts.amazonaws.com")], true),
        ("/", vec![("host", "sts.eu-west-1.amazonaws.com:80")], true),
        ("http://sts.us-east-1.amazonaws.com/", vec![], true),
        ("/", vec![("host", "127.0.0.1"), ("authorization", &scope("sts"))], true),
        ("/?X-Amz-Credential=A%2F20231114%2Fr%2Fsts%2Faws4_request", vec![], true),
        ("/", vec![("host", "127.0.0.1"), ("authorization", &scope("s3"))], false),
        ("/", vec![("host", "sts.s3.amazonaws.com")], false),
        ("/", vec![("host", "sts.s3-us-west-2.amazonaws.com")], false),
        ("/", vec![("host", "sts.s3.us-east-1.amazonaws.com")], false),
        ("/", vec![("host", "sts.localhost")], false),
        ("/sts/aws4_request", vec![("host", "127.0.0.1")], false),
        ("/?Action=AssumeRole&ExternalId=/sts/aws4_request", vec![("host", "127.0.0.1")], false),
    ] {
        assert_eq!(Wire::is_sts(&parts(uri, &headers)), want, "{uri} {headers:?}");
    }
}

/// Those sign neither a body nor what else the query says.
#[test]
fn signatures_of_other_kinds_are_none_here() {
    let known = Known::new();
    for authorization in [
        "q-sign-algorithm=sha1&q-ak=A&q-sign-time=0;9999999999&q-key-time=0;9999999999&q-header-list=&q-url-param-list=&q-signature=x",
        "AWS A:x",
    ] {
        let request = Request::post("/?Action=GetCallerIdentity&Version=2011-06-15")
            .header("host", "sts.amazonaws.com")
            .header("authorization", authorization);
        let parts = request.body(()).unwrap().into_parts().0;
        assert!(Wire::is_sts(&parts));
        let answer = wire().answer_sts(&parts, b"", "id", Timestamp::from_secs(NOW), &known);
        let text = String::from_utf8(answer.xml.to_vec()).unwrap();
        assert!(text.contains("Only AWS signature version 4"), "{text}");
    }
}

#[test]
fn answers() {
    let known = Known::new();
    assert_eq!(
        ask(&known, &[("Action", "GetCallerIdentity"), ("Version", VERSION)]),
        (
            200,
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<GetCallerIdentityResponse \
             xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult>\
             <Arn>arn:aws:iam::100000000001:root</Arn><UserId>100000000001</UserId>\
             <Account>100000000001</Account></GetCallerIdentityResult><ResponseMetadata>\
             <RequestId>id</RequestId></ResponseMetadata></GetCallerIdentityResponse>"
                .to_owned()
        )
    );
    let assume = [("Action", "AssumeRole"), ("RoleArn", ROLE), ("RoleSessionName", "me@work")];
    let id = role_id("100000000001", "reader");
    assert_eq!(
        ask(&known, &assume),
        (
            200,
            format!(
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<AssumeRoleResponse \
                 xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult><Credentials>\
                 <AccessKeyId>ASIA1</AccessKeyId><SecretAccessKey>secret</SecretAccessKey>\
                 <SessionToken>token</SessionToken><Expiration>2023-11-14T23:13:20Z</Expiration>\
                 </Credentials><AssumedRoleUser><AssumedRoleId>{id}:me@work</AssumedRoleId>\
                 <Arn>arn:aws:sts::100000000001:assumed-role/reader/me@work</Arn></AssumedRoleUser>\
                 </AssumeRoleResult><ResponseMetadata><RequestId>id</RequestId></ResponseMetadata>\
                 </AssumeRoleResponse>"
            )
        )
    );
    // The new key asks from here on.
    let (_, caller) = ask(&known, &[("Action", "GetCallerIdentity")]);
    assert!(caller.contains("<Arn>arn:aws:sts::100000000001:assumed-role/reader/me@work</Arn>"), "{caller}");
    assert!(caller.contains(&format!("<UserId>{id}:me@work</UserId>")), "{caller}");
    let known = Known::new();
    let federated = [("Action", "GetFederationToken"), ("Name", "bob"), ("Policy", "sts:AssumeRole")];
    let (status, answer) = ask(&known, &federated);
    assert_eq!(status, 200, "{answer}");
    assert!(answer.contains("<FederatedUserId>100000000001:bob</FederatedUserId>"), "{answer}");
    assert!(answer.contains("<PackedPolicySize>1</PackedPolicySize>"), "{answer}");
    assert_eq!(known.last().session.unwrap().expires, Some(Timestamp::from_secs(NOW + 12 * HOUR)));
    let known = Known::new();
    assert_eq!(ask(&known, &[("Action", "GetFederationToken"), ("Name", "bob")]).0, 200);
    assert_eq!(known.last().session.unwrap().policy.as_deref(), Some(NOTHING));
    let known = Known::new();
    assert_eq!(ask(&known, &[("Action", "GetSessionToken"), ("DurationSeconds", "900")]).0, 200);
    let session = known.last().session.unwrap();
    assert_eq!((&session.persona, &session.policy), (&Persona::Account, &None));
}

#[test]
fn refusals() {
    let known = Known::new();
    let role = [("Action", "AssumeRole"), ("RoleArn", ROLE), ("RoleSessionName", "me")];
    let with = |name, value| {
        let mut list: Vec<_> = role.into_iter().filter(|(known, _)| *known != name).collect();
        list.push((name, value));
        list
    };
    let long = "x".repeat(2049);
    for (parameters, status, want) in [
        (with("RoleSessionName", "m"), 400, "ValidationError"),
        (with("RoleSessionName", "a b"), 400, "ValidationError"),
        (with("RoleSessionName", ""), 400, "ValidationError"),
        (with("DurationSeconds", "899"), 400, "ValidationError"),
        (with("DurationSeconds", "43201"), 400, "ValidationError"),
        (with("DurationSeconds", "-1"), 400, "ValidationError"),
        (with("DurationSeconds", "long"), 400, "MalformedInput"),
        (with("RoleArn", "arn:aws:iam::1:user/me"), 400, "ValidationError"),
        (with("RoleArn", "arn:aws:iam::100000000002:role/reader"), 403, "AccessDenied"),
        (with("Policy", "{bad"), 400, "MalformedPolicyDocument"),
        (with("Policy", &long), 400, "PackedPolicyTooLarge"),
        (with("SerialNumber", "s"), 403, "AccessDenied"),
        (with("Tags.member.1.Key", "k"), 501, "NotImplemented"),
        (with("PolicyArns.member.1.arn", "a"), 501, "NotImplemented"),
        (with("Version", "2012-01-01"), 400, "InvalidAction"),
        (with("Action", "AssumeRoleWithSAML"), 501, "NotImplemented"),
        (with("Action", "MakeCoffee"), 400, "InvalidAction"),
        (vec![("Version", VERSION)], 400, "MissingAction"),
    ] {
        let answer = ask(&known, &parameters);
        assert_eq!((answer.0, code(&answer)), (status, want), "{parameters:?}: {}", answer.1);
    }
    assert_eq!(ask(&known, &with("ExternalId", "42")).0, 200);
    // The role's key asks from here on.
    for (parameters, want) in [
        (vec![("Action", "GetSessionToken")], "AccessDenied"),
        (vec![("Action", "GetFederationToken"), ("Name", "bob")], "AccessDenied"),
        (with("DurationSeconds", "3601"), "ValidationError"),
    ] {
        let answer = ask(&known, &parameters);
        assert_eq!(code(&answer), want, "{parameters:?}: {}", answer.1);
    }
    assert_eq!(ask(&known, &with("Policy", "sts:Other")).0, 200);
    assert_eq!(code(&ask(&known, &role)), "AccessDenied", "the policy does not let it");
    assert_eq!(ask(&known, &[("Action", "GetCallerIdentity")]).0, 200, "which needs no policy");
}

#[test]
fn signatures() {
    let known = Known::new();
    let body = form(&[("Action", "GetCallerIdentity")]);
    let now = Timestamp::from_secs(NOW);
    let parts = signed(&known, &body, NOW);
    assert_eq!(parts.headers["x-amz-date"], DATE);
    let asked = |parts: &Parts, body: &str, at: Timestamp| {
        let answer = wire().answer_sts(parts, body.as_bytes(), "id", at, &known);
        (answer.status, answer.error.unwrap_or("OK"))
    };
    assert_eq!(asked(&parts, &body, now), (200, "OK"));
    let other = form(&[("Action", "GetSessionToken")]);
    assert_eq!(asked(&parts, &other, now), (403, "SignatureDoesNotMatch"), "the body is signed too");
    assert_eq!(asked(&parts, &body, Timestamp::from_secs(NOW + 901)), (403, "SignatureDoesNotMatch"));
    let nobody = Request::post("/").header("host", "sts.amazonaws.com").body(()).unwrap().into_parts().0;
    assert_eq!(asked(&nobody, &body, now), (403, "MissingAuthenticationToken"));
    let mut unknown = signed(&known, &body, NOW);
    let text = unknown.headers["authorization"].to_str().unwrap().replace("AKID/", "AKIX/");
    unknown.headers.insert("authorization", text.parse().unwrap());
    assert_eq!(asked(&unknown, &body, now), (403, "InvalidClientTokenId"));
    let mut other = signed(&known, &body, NOW);
    let text = other.headers["authorization"].to_str().unwrap().replace("/sts/", "/s3/");
    other.headers.insert("authorization", text.parse().unwrap());
    assert_eq!(asked(&other, &body, now), (400, "IncompleteSignature"));
    // A key that has ended.
    assert_eq!(ask(&known, &[("Action", "GetSessionToken"), ("DurationSeconds", "900")]).0, 200);
    let late = NOW + 900;
    assert_eq!(asked(&signed(&known, &body, late), &body, Timestamp::from_secs(late)), (403, "ExpiredToken"));
    let mut bare = signed(&known, &body, NOW);
    bare.headers.remove("x-amz-security-token");
    assert_eq!(asked(&bare, &body, now), (403, "InvalidClientTokenId"));
}

/// Whatever comes is answered.
#[test]
fn noise() {
    let known = Known::new();
    let mut seed = 11_u64;
    let mut next = |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize % below
    };
    let good = form(&[("Action", "AssumeRole"), ("RoleArn", ROLE), ("RoleSessionName", "me")]);
    for _ in 0..500 {
        let mut bytes = good.clone().into_bytes();
        for _ in 0..=next(4) {
            let at = next(bytes.len());
            match next(3) {
                0 => bytes[at] = next(256) as u8,
                1 => drop(bytes.remove(at)),
                _ => bytes.insert(at, b"%&=+:/"[next(6)]),
            }
        }
        if let Ok(body) = std::str::from_utf8(&bytes) {
            let known = Known(Mutex::new(vec![known.last()]));
            let parts = signed(&known, body, NOW);
            let answer = wire().answer_sts(&parts, &bytes, "id", Timestamp::from_secs(NOW), &known);
            assert!(matches!(answer.status, 200 | 400 | 403 | 501), "{body}");
        }
    }
}
