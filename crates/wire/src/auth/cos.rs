//! The signature of COS: `q-sign-algorithm=sha1` (cos-api 2.1 to 2.6).

use std::fmt::Write;

use cosette_model::{Error, ErrorCode, Identity, Timestamp};
use hmac::{Hmac, Mac};
use sha1::{Digest, Sha1};

use super::names::Name;
use super::{Presented, SKEW_MAX, Scheme, Verified, equal};
use crate::path;

/// What a signature says, in a header or in a query.
pub(crate) const FIELDS: [&str; 7] = [
    "q-sign-algorithm",
    "q-ak",
    "q-sign-time",
    "q-key-time",
    "q-header-list",
    "q-url-param-list",
    "q-signature",
];

/// The seven fields as sent.
#[derive(Debug, Default)]
struct Fields<'a> {
    values: [Option<&'a str>; 7],
}

impl<'a> Fields<'a> {
    fn of_text(text: &'a str) -> Self {
        let mut fields = Self::default();
        for part in text.split('&') {
            if let Some((name, value)) = part.split_once('=') {
                fields.set(name.trim(), value);
            }
        }
        fields
    }

    fn set(&mut self, name: &str, value: &'a str) {
        if let Some(at) = FIELDS.iter().position(|field| *field == name)
            && self.values[at].is_none()
        {
            self.values[at] = Some(value);
        }
    }

    /// A field that must be there and not empty.
    fn need(&self, name: &str) -> Option<&'a str> {
        self.get(name).filter(|value| !value.is_empty())
    }

    fn get(&self, name: &str) -> Option<&'a str> {
        self.values[FIELDS.iter().position(|field| *field == name)?].map(str::trim)
    }

    fn joined(&self) -> String {
        let mut text = String::with_capacity(256);
        for (name, value) in FIELDS.iter().zip(self.values) {
            let Some(value) = value else { continue };
            let joint = if text.is_empty() { "" } else { "&" };
            text.extend([joint, name, "=", value]);
        }
        text
    }
}

/// `start;end` in Unix seconds.
pub(crate) fn window(text: &str) -> Option<(u64, u64)> {
    let (start, end) = text.split_once(';')?;
    Some((start.trim().parse().ok()?, end.trim().parse().ok()?))
}

pub(crate) fn verify(scheme: Scheme, presented: &Presented<'_>) -> Result<Verified, Error> {
    let fields = match scheme {
        Scheme::CosHeader => Fields::of_text(presented.header("authorization").unwrap_or_default()),
        Scheme::CosMerged => Fields::of_text(presented.query.get("sign").unwrap_or_default()),
        _ => {
            let mut fields = Fields::default();
            for (name, value) in presented.query.pairs() {
                fields.set(name, value);
            }
            fields
        }
    };
    // Text that is no complete signature identifies nobody (cos-api 2.5.6).
    let Some(algorithm) = fields.need("q-sign-algorithm") else { return Ok(Verified::anonymous()) };
    if algorithm != "sha1" {
        return Err(ErrorCode::VerifyAlgorithmNotSupported.into());
    }
    let (Some(secret_id), Some(sign_time), Some(key_time), Some(signature)) = (
        fields.need("q-ak"),
        fields.need("q-sign-time"),
        fields.need("q-key-time"),
        fields.need("q-signature"),
    ) else {
        return Ok(Verified::anonymous());
    };
    let (Some(signed), Some(keyed)) = (window(sign_time), window(key_time)) else {
        return Ok(Verified::anonymous());
    };
    // The key comes before the times, as 2.5 orders it.
    let signer = presented.key(secret_id)?;
    let (start, end) = (signed.0.max(keyed.0), signed.1.min(keyed.1));
    let now = presented.times.machine.as_secs();
    if now.saturating_add(SKEW_MAX) < start {
        return Err(presented.skewed(Timestamp::from_secs(start).iso_seconds()));
    }
    if now > end {
        return Err(presented.expired(Timestamp::from_secs(end)));
    }

    let sign_key = hex::encode(hmac(signer.account.secret_key.as_bytes(), key_time));
    let canon = Canon::new(presented, &fields);
    let matches = |name: &Name| {
        let hash = hex::encode(Sha1::digest(canon.http_string(name)));
        // Key time is the documented second line; Node writes the sign time there (cos-api 2.2).
        let times = if key_time == sign_time { &[key_time][..] } else { &[key_time, sign_time] };
        times.iter().any(|time| {
            let expected = hex::encode(hmac(sign_key.as_bytes(), &format!("sha1\n{time}\n{hash}\n")));
            equal(expected.as_bytes(), signature.as_bytes())
        })
    };
    let verified = |alias| Verified {
        identity: Identity::Known(signer.clone()),
        authorization: fields.joined(),
        chunks: None,
        alias,
    };
    let literal = presented.names.literal();
    if literal.iter().any(matches) {
        return Ok(verified(None));
    }
    if let Some(name) = presented.names.aliases().iter().find(|name| matches(name)) {
        return Ok(verified(Some(format!("{}{}", name.host, name.path))));
    }
    let mut error = Error::new(ErrorCode::SignatureDoesNotMatch);
    if let Some(name) = literal.first() {
        let http_string = canon.http_string(name);
        let hash = hex::encode(Sha1::digest(&http_string));
        error = error
            .detail("StringToSign", format!("sha1\n{key_time}\n{hash}\n"))
            .detail("FormatString", http_string);
    }
    Err(error)
}

/// The signed parts of a request, encoded once; only host and path vary by name.
struct Canon {
    method: String,
    parameters: String,
    /// Sorted; `None` stands for the host.
    headers: Vec<(String, Option<String>)>,
}

impl Canon {
    fn new(presented: &Presented<'_>, fields: &Fields<'_>) -> Self {
        let mut parameters = String::new();
        for name in listed(fields.get("q-url-param-list")) {
            let mut values: Vec<_> = presented
                .query
                .pairs()
                .filter(|(key, _)| key.to_lowercase() == name || path::encode(key).to_lowercase() == name)
                .map(|(_, value)| path::encode(value))
                .collect();
            values.sort_unstable();
            if values.is_empty() {
                values.push("".into());
            }
            for value in values {
                let joint = if parameters.is_empty() { "" } else { "&" };
                let _ = write!(parameters, "{joint}{name}={value}");
            }
        }
        let headers = listed(fields.get("q-header-list"))
            .into_iter()
            .flat_map(|name| {
                if name == "host" {
                    return vec![(name, None)];
                }
                let plain = path::decode(&name).unwrap_or_default();
                let mut values: Vec<_> = presented
                    .headers
                    .get_all(plain.as_str())
                    .iter()
                    .map(|value| Some(encode_bytes(value.as_bytes())))
                    .collect();
                values.sort_unstable();
                if values.is_empty() {
                    values.push(Some(String::new()));
                }
                values.into_iter().map(|value| (name.clone(), value)).collect()
            })
            .collect();
        Self { method: presented.method.as_str().to_ascii_lowercase(), parameters, headers }
    }

    fn http_string(&self, name: &Name) -> String {
        let mut text = format!("{}\n{}\n{}\n", self.method, name.path, self.parameters);
        for (at, (header, value)) in self.headers.iter().enumerate() {
            let joint = if at == 0 { "" } else { "&" };
            let _ = match value {
                Some(value) => write!(text, "{joint}{header}={value}"),
                None => write!(text, "{joint}{header}={}", path::encode(&name.host)),
            };
        }
        text.push('\n');
        text
    }
}

/// A list field's names, lower-case, sorted, each once.
fn listed(list: Option<&str>) -> Vec<String> {
    let mut names: Vec<String> =
        list.unwrap_or_default().split(';').filter(|n| !n.is_empty()).map(str::to_lowercase).collect();
    names.sort_unstable();
    names.dedup();
    names
}

fn encode_bytes(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => path::encode(text).into_owned(),
        Err(_) => bytes.iter().fold(String::new(), |mut out, b| {
            match b {
                b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                    out.push(char::from(*b))
                }
                _ => {
                    let _ = write!(out, "%{b:02X}");
                }
            }
            out
        }),
    }
}

pub(crate) fn hmac(key: &[u8], message: &str) -> [u8; 20] {
    // HMAC takes keys of any length, so this cannot fail; an empty digest would match nothing.
    Hmac::<Sha1>::new_from_slice(key).map_or([0; 20], |mut mac| {
        mac.update(message.as_bytes());
        mac.finalize().into_bytes().into()
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use http::{HeaderMap, HeaderValue, Method};

    use super::*;
    use crate::DialectName;
    use crate::auth::names::Names;
    use crate::query::Query;

    struct Nobody;

    impl crate::Accounts for Nobody {
        fn by_secret_id(&self, _: &str) -> Option<cosette_model::Key> {
            None
        }
    }

    fn hash(method: &Method, headers: &[(&'static str, &'static str)], query: &str, params: &str) -> String {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, HeaderValue::from_static(value));
        }
        let query = Query::parse(query).unwrap();
        let region = cosette_model::Region::new("ap-beijing").unwrap();
        let host = "examplebucket-1250000000.cos.ap-beijing.myqcloud.com";
        let path = "/exampleobject(腾讯云)";
        let presented = Presented {
            method,
            raw_path: path,
            query: &query,
            headers: &map,
            names: Names {
                host,
                authority: None,
                path,
                bucket: None,
                key: "",
                region: &region,
                aliases: false,
            },
            dialect: DialectName::Cos,
            times: Timestamp::default().into(),
            accounts: &Nobody,
            service: "s3",
            body_hash: None,
        };
        let list = headers.iter().map(|(n, _)| *n).collect::<Vec<_>>().join(";");
        let text = format!("q-header-list=host;{list}&q-url-param-list={params}");
        let canon = Canon::new(&presented, &Fields::of_text(&text));
        hex::encode(Sha1::digest(canon.http_string(&presented.names.literal()[0])))
    }

    /// cos-api 2.7: the documentation's own hashes.
    #[test]
    fn documented_http_strings() {
        let upload = [
            ("date", "Thu, 16 May 2019 06:45:51 GMT"),
            ("content-type", "text/plain"),
            ("content-length", "13"),
            ("content-md5", "mQ/fVh815F3k6TAUm8m0eg=="),
            ("x-cos-acl", "private"),
            ("x-cos-grant-read", "uin=\"100000000011\""),
        ];
        assert_eq!(hash(&Method::PUT, &upload, "", ""), "8b2751e77f43a0995d6e9eb9477f4b685cca4172");
        let query = "response-content-type=application%2Foctet-stream&response-cache-control=max-age%3D600";
        let listed = "response-cache-control;response-content-type";
        let download = [("date", "Thu, 16 May 2019 06:55:53 GMT")];
        assert_eq!(hash(&Method::GET, &download, query, listed), "54ecfe22f59d3514fdc764b87a32d8133ea611e6");
    }

    /// cos-api 2.3: escapes in keys lower-case, values sorted, special characters all encoded.
    #[test]
    fn odd_parameters() {
        let same = |a: &str, b: &str, list: &str| {
            assert_eq!(hash(&Method::GET, &[], a, list), hash(&Method::GET, &[], b, list), "{a} {b}");
        };
        same("acl", "acl=", "acl");
        same("a=2&a=1", "a=1&a=2", "a;a");
        same("A=%21%27%28%29%2A%2F", "a=!'()*/", "a");
        same("%E4%BD%A0=1&other=2", "%e4%bd%a0=1", "%e4%bd%a0");
        assert_ne!(hash(&Method::GET, &[], "a=1", "a"), hash(&Method::GET, &[], "a=2", "a"));
    }
}
