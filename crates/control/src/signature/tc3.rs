//! TC3-HMAC-SHA256 (scf.md 3.3, 4.1).

use cosette_model::{Accounts, Key, Timestamp};
use hmac::{Hmac, Mac};
use http::request::Parts;
use sha2::{Digest, Sha256};

use super::{check_time, hosts, mismatch, paths, unknown_key};
use crate::error::ApiError;

pub(crate) const SCHEME: &str = "TC3-HMAC-SHA256";
const UNSIGNED: &str = "UNSIGNED-PAYLOAD";

/// What `Authorization` says.
#[derive(Debug, PartialEq, Eq)]
struct Authorization<'a> {
    secret_id: &'a str,
    date: &'a str,
    service: &'a str,
    signed_headers: Vec<&'a str>,
    signature: &'a str,
}

impl<'a> Authorization<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let rest = text.trim().strip_prefix(SCHEME)?;
        let (mut credential, mut headers, mut signature) = (None, None, None);
        for field in rest.split(',') {
            let (name, value) = field.trim().split_once('=')?;
            let slot = match name {
                "Credential" => &mut credential,
                "SignedHeaders" => &mut headers,
                "Signature" => &mut signature,
                _ => return None,
            };
            *slot = Some(value.trim());
        }
        // A service's name may be `localhost:9000`, never anything with a slash.
        let mut scope = credential?.split('/');
        let (secret_id, date, service, end) = (scope.next()?, scope.next()?, scope.next()?, scope.next()?);
        if end != "tc3_request" || scope.next().is_some() || secret_id.is_empty() {
            return None;
        }
        let signed_headers: Vec<&str> = headers?.split(';').collect();
        Some(Self { secret_id, date, service, signed_headers, signature: signature? })
    }
}

/// Checks the request's signature and tells whose it is.
pub(crate) fn verify(
    parts: &Parts,
    body: &[u8],
    accounts: &dyn Accounts,
    now: Timestamp,
) -> Result<Key, ApiError> {
    let header = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
    let malformed = |why: &str| ApiError::new("AuthFailure.InvalidAuthorization", why);
    let text = header("authorization").ok_or_else(|| malformed("the Authorization header is missing"))?;
    let authorization = Authorization::parse(text)
        .ok_or_else(|| malformed("the Authorization header is not of the form of TC3-HMAC-SHA256"))?;
    // Those of function URLs have a name of their own.
    let timestamp = header("x-tc-timestamp").or_else(|| header("x-scf-cam-timestamp"));
    let timestamp = timestamp.ok_or_else(|| ApiError::missing("X-TC-Timestamp"))?;
    let secs: u64 =
        timestamp.trim().parse().map_err(|_| malformed("X-TC-Timestamp is not a number of seconds"))?;
    let signer =
        accounts.by_secret_id(authorization.secret_id).ok_or_else(|| unknown_key(authorization.secret_id))?;
    check_time(secs, now)?;
    if date(secs) != authorization.date {
        let message = "the credential's date is not the UTC date of X-TC-Timestamp";
        return Err(ApiError::new("AuthFailure.SignatureFailure", message));
    }

    let payload = match header("x-tc-content-sha256") {
        Some(UNSIGNED) => sha256(UNSIGNED.as_bytes()),
        _ => sha256(body),
    };
    let given = hex::decode(authorization.signature).map_err(|_| mismatch())?;
    let key = signing_key(&signer.account.secret_key, authorization.date, authorization.service);
    let query = parts.uri.query().unwrap_or_default();
    let method = parts.method.as_str();
    for lower in [false, true] {
        for host in hosts(parts) {
            let Some(headers) = header_block(parts, &authorization.signed_headers, &host, lower) else {
                return Err(malformed("a header named in SignedHeaders was not sent"));
            };
            for path in paths(parts) {
                let list = authorization.signed_headers.join(";");
                let canonical = format!("{method}\n{path}\n{query}\n{headers}\n{list}\n{payload}");
                let text =
                    string_to_sign(timestamp.trim(), authorization.date, authorization.service, &canonical);
                if mac(&key, text.as_bytes()).verify_slice(&given).is_ok() {
                    return Ok(signer);
                }
            }
        }
    }
    Err(mismatch())
}

/// One line a signed header. SDKs sign values as they send them; the documented examples of other
/// languages put them in lower case, and that is `lower`.
fn header_block(parts: &Parts, names: &[&str], host: &str, lower: bool) -> Option<String> {
    let mut block = String::new();
    for name in names {
        let value = if name.eq_ignore_ascii_case("host") {
            host.to_owned()
        } else {
            let value = parts.headers.get(*name)?;
            String::from_utf8_lossy(value.as_bytes()).trim().to_owned()
        };
        let value = if lower { value.to_lowercase() } else { value };
        block.push_str(name);
        block.push(':');
        block.push_str(&value);
        block.push('\n');
    }
    Some(block)
}

/// A request's worth of signing, for clients.
pub(crate) struct Signing<'a> {
    pub(crate) secret_id: &'a str,
    pub(crate) secret_key: &'a str,
    pub(crate) service: &'a str,
    pub(crate) host: &'a str,
    pub(crate) timestamp: u64,
}

impl Signing<'_> {
    /// The `Authorization` of a `POST /` with a JSON body.
    pub(crate) fn authorization(&self, body: &[u8]) -> String {
        let headers = format!("content-type:application/json\nhost:{}\n", self.host);
        self.authorize("POST", "", &headers, body)
    }

    fn authorize(&self, method: &str, query: &str, headers: &str, body: &[u8]) -> String {
        let date = date(self.timestamp);
        let canonical = format!("{method}\n/\n{query}\n{headers}\ncontent-type;host\n{}", sha256(body));
        let text = string_to_sign(&self.timestamp.to_string(), &date, self.service, &canonical);
        let key = signing_key(self.secret_key, &date, self.service);
        format!(
            "{SCHEME} Credential={}/{date}/{}/tc3_request, SignedHeaders=content-type;host, Signature={}",
            self.secret_id,
            self.service,
            hex::encode(mac(&key, text.as_bytes()).finalize().into_bytes()),
        )
    }
}

fn string_to_sign(timestamp: &str, date: &str, service: &str, canonical: &str) -> String {
    format!("{SCHEME}\n{timestamp}\n{date}/{service}/tc3_request\n{}", sha256(canonical.as_bytes()))
}

fn signing_key(secret_key: &str, date: &str, service: &str) -> Vec<u8> {
    let mut key = format!("TC3{secret_key}").into_bytes();
    for part in [date, service, "tc3_request"] {
        key = mac(&key, part.as_bytes()).finalize().into_bytes().to_vec();
    }
    key
}

fn mac(key: &[u8], data: &[u8]) -> Hmac<Sha256> {
    // HMAC takes keys of any length, so the error cannot happen; an empty MAC would match nothing.
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap_or_else(|_| Hmac::new(&Default::default()));
    mac.update(data);
    mac
}

fn sha256(data: &[u8]) -> String {
    hex::encode(Sha256::digest(data))
}

/// `2023-11-14`, in UTC.
fn date(secs: u64) -> String {
    let mut text = Timestamp::from_secs(secs).iso_seconds();
    text.truncate("YYYY-MM-DD".len());
    text
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use http::Request;

    use super::*;
    use crate::testing::{EXAMPLE_ID, EXAMPLE_KEY, accounts};

    const BODY: &[u8] = br#"{"Limit": 1, "Namespace": "default"}"#;
    const POST_SIGNATURE: &str = "552b750e4c983e2038521898b79a9e93128ba3e9c8208c6df227a886c0fd2e9f";
    const GET_SIGNATURE: &str = "e6eba85f7a3ecd53b12b0a3e4526baae03df9270b0894a0e6cca8fa2f8000bc8";

    fn signing(service: &'static str, host: &'static str) -> Signing<'static> {
        Signing { secret_id: EXAMPLE_ID, secret_key: EXAMPLE_KEY, service, host, timestamp: 1_700_000_000 }
    }

    fn now() -> Timestamp {
        Timestamp::from_secs(1_700_000_100)
    }

    fn post(host: &str, authorization: &str) -> Parts {
        parts("POST", "/", host, "application/json", authorization)
    }

    fn parts(method: &str, uri: &str, host: &str, content_type: &str, authorization: &str) -> Parts {
        Request::builder()
            .method(method)
            .uri(uri)
            .header("Host", host)
            .header("Content-Type", content_type)
            .header("X-TC-Action", "ListFunctions")
            .header("X-TC-Timestamp", "1700000000")
            .header("Authorization", authorization)
            .body(())
            .unwrap()
            .into_parts()
            .0
    }

    fn authorization(signature: &str) -> String {
        format!(
            "TC3-HMAC-SHA256 Credential={EXAMPLE_ID}/2023-11-14/scf/tc3_request, \
             SignedHeaders=content-type;host, Signature={signature}"
        )
    }

    #[test]
    fn intermediate_keys_of_the_worked_example() {
        assert_eq!(sha256(BODY), "286519f1dc0537859e1f533d7ac39e903edc24d74f0c4b6f97039050cec64b3d");
        assert_eq!(
            hex::encode(signing_key(EXAMPLE_KEY, "2023-11-14", "scf")),
            "2cc787ba7cc87922d97733b7ca1db89ae79c3723e8443578f5b4e528a6178d94"
        );
    }

    #[test]
    fn post_signs_as_in_the_worked_example() {
        assert_eq!(signing("scf", "127.0.0.1:18080").authorization(BODY), authorization(POST_SIGNATURE));
    }

    #[test]
    fn post_of_the_worked_example_is_accepted() {
        let parts = post("127.0.0.1:18080", &authorization(POST_SIGNATURE));
        assert_eq!(verify(&parts, BODY, &accounts(), now()).unwrap().account.secret_id, EXAMPLE_ID);
    }

    #[test]
    fn get_of_the_worked_example_is_accepted() {
        let form = "application/x-www-form-urlencoded";
        let uri = "/?Limit=1&Namespace=default";
        let parts = parts("GET", uri, "127.0.0.1:18080", form, &authorization(GET_SIGNATURE));
        assert!(verify(&parts, b"", &accounts(), now()).is_ok());
    }

    #[test]
    fn hosts_are_taken_as_clients_sign_them() {
        for (header, signed, service) in [
            // tccli sends and signs the endpoint's whole text.
            ("http://127.0.0.1:18080", "http://127.0.0.1:18080", "scf"),
            ("http://127.0.0.1:18080/scf/", "http://127.0.0.1:18080/scf/", "scf"),
            ("http://127.0.0.1:18080", "127.0.0.1:18080", "scf"),
            // The Node SDK signs without the port and takes the service from the host.
            ("127.0.0.1:18080", "127.0.0.1", "127"),
            ("localhost:18080", "localhost", "localhost:18080"),
            ("scf.tencentcloudapi.com", "scf.tencentcloudapi.com", "scf"),
        ] {
            let authorization = signing(service, signed).authorization(BODY);
            let parts = post(header, &authorization);
            assert!(verify(&parts, BODY, &accounts(), now()).is_ok(), "{header} signed as {signed}");
        }
    }

    #[test]
    fn signed_headers_come_from_the_list() {
        let headers = "content-type:application/json\nhost:h\nx-tc-action:listfunctions\n";
        let list = "content-type;host;x-tc-action";
        let canonical = format!("POST\n/api/\n\n{headers}\n{list}\n{}", sha256(BODY));
        let text = string_to_sign("1700000000", "2023-11-14", "scf", &canonical);
        let key = signing_key(EXAMPLE_KEY, "2023-11-14", "scf");
        let signature = hex::encode(mac(&key, text.as_bytes()).finalize().into_bytes());
        let authorization = authorization(&signature).replace("content-type;host", list);
        let parts = parts("POST", "/api/", "h", "application/json", &authorization);
        assert!(verify(&parts, BODY, &accounts(), now()).is_ok());
    }

    #[test]
    fn an_unsigned_payload_is_hashed_by_its_name() {
        let authorization = signing("scf", "h").authorization(UNSIGNED.as_bytes());
        let mut parts = post("h", &authorization);
        assert!(verify(&parts, BODY, &accounts(), now()).is_err());
        parts.headers.insert("x-tc-content-sha256", http::HeaderValue::from_static(UNSIGNED));
        assert!(verify(&parts, BODY, &accounts(), now()).is_ok());
    }

    #[test]
    fn each_fault_has_its_code() {
        let host = "127.0.0.1:18080";
        let good = authorization(POST_SIGNATURE);
        let code = |parts: &Parts, body: &[u8], now: Timestamp| {
            verify(parts, body, &accounts(), now).unwrap_err().code.into_owned()
        };
        assert_eq!(code(&post(host, &good), b"{}", now()), "AuthFailure.SignatureFailure");
        let wrong = authorization(&POST_SIGNATURE.replace("55", "66"));
        assert_eq!(code(&post(host, &wrong), BODY, now()), "AuthFailure.SignatureFailure");
        let no_hex = authorization("zz");
        assert_eq!(code(&post(host, &no_hex), BODY, now()), "AuthFailure.SignatureFailure");
        let other_day = good.replace("2023-11-14", "2023-11-15");
        assert_eq!(code(&post(host, &other_day), BODY, now()), "AuthFailure.SignatureFailure");
        let stranger = good.replace(EXAMPLE_ID, "AKIDnobody");
        assert_eq!(code(&post(host, &stranger), BODY, now()), "AuthFailure.SecretIdNotFound");
        let late = Timestamp::from_secs(1_700_000_301);
        assert_eq!(code(&post(host, &good), BODY, late), "AuthFailure.SignatureExpire");
        let early = Timestamp::from_secs(1_699_999_699);
        assert_eq!(code(&post(host, &good), BODY, early), "AuthFailure.SignatureExpire");
        for bad in
            ["SKIP", "TC3-HMAC-SHA256", "TC3-HMAC-SHA256 Credential=a/b, SignedHeaders=host, Signature=1"]
        {
            assert_eq!(code(&post(host, bad), BODY, now()), "AuthFailure.InvalidAuthorization", "{bad}");
        }
        let mut bare = post(host, &good);
        bare.headers.remove("authorization");
        assert_eq!(code(&bare, BODY, now()), "AuthFailure.InvalidAuthorization");
        let mut timeless = post(host, &good);
        timeless.headers.remove("x-tc-timestamp");
        assert_eq!(code(&timeless, BODY, now()), "MissingParameter");
    }
}
