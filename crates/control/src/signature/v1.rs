//! The older signature of the API, HmacSHA1 or HmacSHA256 over sorted parameters (scf.md 3.4).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cosette_model::{Accounts, Key, Timestamp};
use hmac::{Hmac, Mac};
use http::request::Parts;
use sha1::Sha1;
use sha2::Sha256;

use super::{check_time, hosts, mismatch, paths, unknown_key};
use crate::error::ApiError;

#[derive(Clone, Copy)]
enum Method {
    HmacSha1,
    HmacSha256,
}

impl Method {
    fn verify(self, key: &str, text: &str, signature: &[u8]) -> bool {
        // HMAC takes keys of any length, so an error here cannot happen.
        match self {
            Self::HmacSha1 => Hmac::<Sha1>::new_from_slice(key.as_bytes())
                .is_ok_and(|mac| mac.chain_update(text).verify_slice(signature).is_ok()),
            Self::HmacSha256 => Hmac::<Sha256>::new_from_slice(key.as_bytes())
                .is_ok_and(|mac| mac.chain_update(text).verify_slice(signature).is_ok()),
        }
    }
}

/// Checks the signature among the parameters and tells whose it is.
pub(crate) fn verify(
    parts: &Parts,
    params: &[(String, String)],
    accounts: &dyn Accounts,
    now: Timestamp,
) -> Result<Key, ApiError> {
    let get = |name: &str| params.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str());
    let needed = |name: &str| get(name).ok_or_else(|| ApiError::missing(name));
    let secret_id = needed("SecretId")?;
    let signature = needed("Signature")?;
    let timestamp = needed("Timestamp")?;
    let secs: u64 = timestamp
        .trim()
        .parse()
        .map_err(|_| ApiError::new("InvalidParameterValue", "Timestamp is not a number of seconds"))?;
    let method = match get("SignatureMethod") {
        None | Some("" | "HmacSHA1") => Method::HmacSha1,
        Some("HmacSHA256") => Method::HmacSha256,
        Some(other) => {
            let message = format!("SignatureMethod {other} is neither HmacSHA1 nor HmacSHA256");
            return Err(ApiError::new("AuthFailure.SignatureFailure", message));
        }
    };
    let signer = accounts.by_secret_id(secret_id).ok_or_else(|| unknown_key(secret_id))?;
    check_time(secs, now)?;
    // Some clients leave the `+` of base64 unescaped in their form, where it means a space.
    let signature = STANDARD.decode(signature.replace(' ', "+")).map_err(|_| mismatch())?;
    let query = sorted(params);
    for host in hosts(parts) {
        for path in paths(parts) {
            let text = format!("{}{host}{path}?{query}", parts.method);
            if method.verify(&signer.account.secret_key, &text, &signature) {
                return Ok(signer);
            }
        }
    }
    Err(mismatch())
}

/// `k=v` joined by `&`, sorted by name, values as they are, `_` in names as `.`.
fn sorted(params: &[(String, String)]) -> String {
    let mut list: Vec<(String, &str)> = params
        .iter()
        .filter(|(name, _)| name != "Signature")
        .map(|(name, value)| (name.replace('_', "."), value.as_str()))
        .collect();
    list.sort();
    let pairs: Vec<String> = list.iter().map(|(name, value)| format!("{name}={value}")).collect();
    pairs.join("&")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use http::Request;

    use super::*;
    use crate::testing::{EXAMPLE_ID, accounts};

    fn parts(host: &str) -> Parts {
        Request::post("/").header("Host", host).body(()).unwrap().into_parts().0
    }

    fn params(method: &str, signature: &str) -> Vec<(String, String)> {
        [
            ("Limit", "1"),
            ("Namespace", "default"),
            ("Action", "ListFunctions"),
            ("RequestClient", "SDK_PYTHON_0"),
            ("Nonce", "11886"),
            ("Timestamp", "1700000000"),
            ("Version", "2018-04-16"),
            ("Region", "ap-guangzhou"),
            ("SecretId", EXAMPLE_ID),
            ("SignatureMethod", method),
            ("Language", "zh-CN"),
            ("Signature", signature),
        ]
        .map(|(k, v)| (k.to_owned(), v.to_owned()))
        .to_vec()
    }

    fn now() -> Timestamp {
        Timestamp::from_secs(1_700_000_000)
    }

    #[test]
    fn the_worked_examples_are_accepted() {
        for (method, signature) in [
            ("HmacSHA256", "TOfeVZmt87qer0U2w5tLUETGI5RWtL00QKAWhJ19VIs="),
            ("HmacSHA1", "KMDAibynpRU/EOTFHT4fu7IJBnI="),
        ] {
            for host in ["127.0.0.1:18080", "http://127.0.0.1:18080"] {
                let signer = verify(&parts(host), &params(method, signature), &accounts(), now()).unwrap();
                assert_eq!(signer.account.secret_id, EXAMPLE_ID);
            }
        }
    }

    #[test]
    fn each_fault_has_its_code() {
        let good = "KMDAibynpRU/EOTFHT4fu7IJBnI=";
        let code = |params: &[(String, String)], now: Timestamp| {
            verify(&parts("127.0.0.1:18080"), params, &accounts(), now).unwrap_err().code.into_owned()
        };
        assert_eq!(code(&params("HmacSHA256", good), now()), "AuthFailure.SignatureFailure");
        assert_eq!(code(&params("HmacMD5", good), now()), "AuthFailure.SignatureFailure");
        assert_eq!(code(&params("HmacSHA1", "?"), now()), "AuthFailure.SignatureFailure");
        let mut stranger = params("HmacSHA1", good);
        stranger[8].1 = "AKIDnobody".into();
        assert_eq!(code(&stranger, now()), "AuthFailure.SecretIdNotFound");
        let late = Timestamp::from_secs(1_700_000_301);
        assert_eq!(code(&params("HmacSHA1", good), late), "AuthFailure.SignatureExpire");
        for missing in [5, 8, 11] {
            let mut some = params("HmacSHA1", good);
            some.remove(missing);
            assert_eq!(code(&some, now()), "MissingParameter");
        }
    }

    #[test]
    fn names_sort_after_their_underscores_became_dots() {
        let list = [("A_b", "1"), ("A.a", "2"), ("AZ", "3")].map(|(k, v)| (k.to_owned(), v.to_owned()));
        assert_eq!(sorted(&list), "A.a=2&A.b=1&AZ=3");
    }
}
