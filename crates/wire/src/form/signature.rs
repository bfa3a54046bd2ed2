//! Who sent a form: the signatures of its policy (cos-api 2.8; S3's versions 2 and 4).

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use cosette_model::{Error, ErrorCode, Key, Times, Timestamp};
use sha1::{Digest, Sha1};

use super::Form;
use crate::auth::{SKEW_MAX, cos, equal, sigv4};
use crate::{Accounts, DialectName};

/// The dialect of a form, when its fields say it.
pub(crate) fn dialect(form: &Form) -> Option<DialectName> {
    let any = |test: fn(&str) -> bool| form.fields().any(|(name, _)| test(&name.to_ascii_lowercase()));
    if any(|name| name.starts_with("q-")) {
        Some(DialectName::Cos)
    } else if any(|name| name == "awsaccesskeyid" || name.starts_with("x-amz-")) {
        Some(DialectName::S3)
    } else {
        any(|name| name.starts_with("x-cos-")).then_some(DialectName::Cos)
    }
}

/// A form whose sender is known.
pub(crate) struct Signed {
    pub(crate) key: Key,
    /// The signature as sent, for the change record.
    pub(crate) authorization: String,
    pub(crate) version: Version,
}

/// Whose signature it is, and S3's which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    Cos,
    AwsV2,
    /// With when it was made.
    AwsV4(Timestamp),
}

/// Checks the signature of the policy; `None` for a form that has none.
pub(crate) fn verify(
    form: &Form,
    policy: &str,
    accounts: &dyn Accounts,
    times: Times,
    dialect: DialectName,
) -> Result<Option<Signed>, Error> {
    let signed = [
        "policy",
        "q-signature",
        "q-ak",
        "awsaccesskeyid",
        "signature",
        "x-amz-signature",
        "x-amz-credential",
    ];
    if !signed.iter().any(|name| form.filled(name).is_some()) {
        return Ok(None);
    }
    let need = |name: &'static str| {
        form.filled(name).ok_or_else(|| {
            let why = format!("Bucket POST must contain a field named '{name}'.  If it is specified, please check the order of the fields.");
            Error::with(ErrorCode::InvalidArgument, why).detail("ArgumentName", name).detail("ArgumentValue", "")
        })
    };
    let base64 = need("policy")?;
    if dialect == DialectName::Cos {
        return verify_cos(form, policy, accounts, times, need).map(Some);
    }
    let (signer, expected, sent, version) = if form.get("x-amz-algorithm").is_some() {
        let (algorithm, credential) = (need("x-amz-algorithm")?, need("x-amz-credential")?);
        let (date, sent) = (need("x-amz-date")?, need("x-amz-signature")?);
        if algorithm != sigv4::ALGORITHM {
            return Err(Error::with(
                ErrorCode::InvalidArgument,
                "X-Amz-Algorithm only supports \"AWS4-HMAC-SHA256\"",
            ));
        }
        let wrong = |what: &str| {
            let why = format!("Error parsing the X-Amz-Credential parameter; {what}");
            Error::with(ErrorCode::AuthorizationQueryParametersError, why)
        };
        let credential = sigv4::Credential::parse(credential, "s3").map_err(wrong)?;
        let made = Timestamp::parse_basic(date).filter(|_| date.starts_with(credential.date));
        let made = made.ok_or_else(|| wrong("its date is not that of x-amz-date."))?;
        let signer = key(form, accounts, credential.secret_id, times)?;
        let expected =
            hex::encode(sigv4::hmac(&credential.key(&signer.account.secret_key), base64.as_bytes()));
        (signer, expected, sent, Version::AwsV4(made))
    } else {
        let (id, sent) = (need("awsaccesskeyid")?, need("signature")?);
        let signer = key(form, accounts, id, times)?;
        let expected = BASE64_STANDARD.encode(cos::hmac(signer.account.secret_key.as_bytes(), base64));
        (signer, expected, sent, Version::AwsV2)
    };
    if !equal(expected.as_bytes(), sent.as_bytes()) {
        return Err(Error::new(ErrorCode::SignatureDoesNotMatch)
            .detail("AWSAccessKeyId", signer.account.secret_id.as_str())
            .detail("StringToSign", base64)
            .detail("SignatureProvided", sent));
    }
    Ok(Some(Signed { key: signer, authorization: String::new(), version }))
}

fn verify_cos<'a>(
    form: &Form,
    policy: &str,
    accounts: &dyn Accounts,
    times: Times,
    need: impl Fn(&'static str) -> Result<&'a str, Error>,
) -> Result<Signed, Error> {
    let (algorithm, id) = (need("q-sign-algorithm")?, need("q-ak")?);
    let (key_time, sent) = (need("q-key-time")?, need("q-signature")?);
    if algorithm != "sha1" {
        return Err(ErrorCode::VerifyAlgorithmNotSupported.into());
    }
    let signer = key(form, accounts, id, times)?;
    let (start, end) = cos::window(key_time).ok_or_else(|| {
        Error::with(ErrorCode::InvalidArgument, "q-key-time must be two times in seconds, as start;end.")
    })?;
    if times.machine.as_secs().saturating_add(SKEW_MAX) < start {
        return Err(ErrorCode::RequestTimeTooSkewed.into());
    }
    if times.machine.as_secs() > end {
        return Err(ErrorCode::RequestExpired.into());
    }
    let sign_key = hex::encode(cos::hmac(signer.account.secret_key.as_bytes(), key_time));
    let string_to_sign = hex::encode(Sha1::digest(policy));
    let expected = hex::encode(cos::hmac(sign_key.as_bytes(), &string_to_sign));
    if !equal(expected.as_bytes(), sent.as_bytes()) {
        return Err(Error::with(ErrorCode::SignatureDoesNotMatch, "The Signature you specified is invalid.")
            .detail("StringToSign", string_to_sign));
    }
    let authorization =
        format!("q-sign-algorithm={algorithm}&q-ak={id}&q-key-time={key_time}&q-signature={sent}");
    Ok(Signed { key: signer, authorization, version: Version::Cos })
}

/// A key, once the session token that it may need has been checked.
fn key(form: &Form, accounts: &dyn Accounts, secret_id: &str, times: Times) -> Result<Key, Error> {
    let token =
        ["x-cos-security-token", "x-amz-security-token"].into_iter().find_map(|name| form.filled(name));
    crate::auth::key(accounts, secret_id, token, times.now)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// cos-api 2.8: the documentation's own numbers.
    #[test]
    fn the_documented_chain_of_cos() {
        let sign_key = "39acc8c9f34ba5b19bce4e965b370cd3f62d2fba";
        let signature =
            hex::encode(cos::hmac(sign_key.as_bytes(), "d5d903b8360468bc81c1311f134989bc8c8b5b89"));
        assert_eq!(signature, "7758dc9a832e9d301dca704cacbf9d9f8172fdef");
    }
}
