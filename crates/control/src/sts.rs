//! The actions of STS, 2018-08-13: temporary keys with a policy (API reference of STS; its error
//! codes). There are no roles here with policies of their own: each account has every role that it
//! is asked for, which may do what the account may, and which trusts that account alone.

use std::borrow::Cow;
use std::time::Duration;

use cosette_model::{Key, NewSession, Persona, PolicyRefused};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::call::Call;
use crate::error::ApiError;
use crate::params::Params;
use crate::reply::Reply;

pub(crate) const SERVICE: &str = "sts";

/// Seconds that a federated user's or a session's key lives, unless it is said, and at most, for a root account.
const FEDERATED: (u64, u64) = (1800, 7200);
/// The same of a role's.
const ROLE: (u64, u64) = (7200, 43_200);
/// Bytes of a policy: what CAM takes.
const POLICY_MAX: usize = 6144;

pub(crate) async fn caller(call: &Call<'_>, _params: Params<'_>) -> Result<Reply, ApiError> {
    let uin = &call.account.uin;
    let persona = call.key.session.as_ref().map_or(&Persona::Account, |session| &session.persona);
    // What a root account's own key gets is not documented; the others are.
    let (kind, user, arn) = match persona {
        Persona::Account => ("RootAccount", uin.clone(), format!("qcs::cam::uin/{uin}:root")),
        Persona::Role { name, session } => {
            let id = role_id(uin, name);
            ("CAMRole", format!("{id}:{session}"), format!("qcs::sts:{uin}:assumed-role/{id}"))
        }
        Persona::Federated { name } => {
            ("CAMUser", format!("{uin}:{name}"), format!("qcs::sts:{uin}:federated-user/{uin}"))
        }
    };
    let mut reply = Reply::new();
    for (field, value) in
        [("Arn", arn), ("AccountId", uin.clone()), ("UserId", user), ("PrincipalId", uin.clone())]
    {
        reply.insert(field.to_owned(), json!(value));
    }
    reply.insert("Type".to_owned(), json!(kind));
    Ok(reply)
}

pub(crate) async fn federation_token(call: &Call<'_>, params: Params<'_>) -> Result<Reply, ApiError> {
    if call.key.session.is_some() {
        let message = "GetFederationToken does not take temporary keys";
        return Err(ApiError::new("FailedOperation.TempKeyNotAllowed", message));
    }
    let name = named(&params, "Name", 1, 128)?;
    let policy = policy_of(params.needed("Policy")?)?;
    let seconds = seconds(&params, FEDERATED)?;
    issue(call, Persona::Federated { name: name.to_owned() }, Some(policy.into_owned()), seconds)
}

/// A key that is its account's own for a while.
pub(crate) async fn session_token(call: &Call<'_>, params: Params<'_>) -> Result<Reply, ApiError> {
    if call.key.session.is_some() {
        let message = "GetSessionToken does not take temporary keys";
        return Err(ApiError::new("FailedOperation.TempKeyNotAllowed", message));
    }
    let seconds = seconds(&params, FEDERATED)?;
    no_device(&params)?;
    issue(call, Persona::Account, None, seconds)
}

/// Nobody has a device that could vouch for them.
fn no_device(params: &Params<'_>) -> Result<(), ApiError> {
    if params.get("SerialNumber").is_some() || params.get("TokenCode").is_some() {
        return Err(ApiError::new("FailedOperation.CheckMFAError", "there is no such device"));
    }
    Ok(())
}

pub(crate) async fn assume_role(call: &Call<'_>, params: Params<'_>) -> Result<Reply, ApiError> {
    let arn = params.needed("RoleArn")?;
    let session = named(&params, "RoleSessionName", 2, 128)?;
    let policy = match params.text("Policy")?.filter(|text| !text.is_empty()) {
        Some(text) => Some(policy_of(text)?.into_owned()),
        None => None,
    };
    let seconds = seconds(&params, ROLE)?;
    no_device(&params)?;
    let (owner, name) = role_of(arn)
        .ok_or_else(|| ApiError::new("InvalidParameter.ParamError", format!("{arn} is not a role")))?;
    let federated = matches!(&call.key.session, Some(by) if matches!(by.persona, Persona::Federated { .. }));
    if owner != call.account.uin || federated {
        let message = format!("{arn} does not trust who asks");
        return Err(ApiError::new("UnauthorizedOperation", message));
    }
    let persona = Persona::Role { name: name.to_owned(), session: session.to_owned() };
    issue(call, persona, policy, seconds)
}

fn issue(call: &Call<'_>, persona: Persona, policy: Option<String>, seconds: u64) -> Result<Reply, ApiError> {
    let expires = call.now.plus(Duration::from_secs(seconds));
    let new = NewSession { persona, policy, expires, prefix: "AKID" };
    let Key { account, session } =
        call.issuer.issue(&call.account, new).map_err(|refused| match refused {
            PolicyRefused::Malformed(why) => ApiError::new("InvalidParameter.StrategyFormatError", why),
            PolicyRefused::Foreign(resource) => ApiError::new(
                "InvalidParameter.GrantOtherResource",
                format!("cant grant other resource: {resource} is another account's"),
            ),
        })?;
    let token = session.map(|session| session.token.clone()).unwrap_or_default();
    let mut reply = Reply::new();
    reply.insert(
        "Credentials".to_owned(),
        json!({"Token": token, "TmpSecretId": account.secret_id, "TmpSecretKey": account.secret_key}),
    );
    reply.insert("ExpiredTime".to_owned(), json!(expires.as_secs()));
    reply.insert("Expiration".to_owned(), json!(expires.iso_seconds()));
    Ok(reply)
}

/// Clients encode the policy once more than the form they send it in; one that is sent as it is
/// is taken as well.
fn policy_of(text: &str) -> Result<Cow<'_, str>, ApiError> {
    let policy = if text.trim_start().starts_with('{') {
        Cow::Borrowed(text)
    } else {
        let bytes: Vec<u8> = text.bytes().map(|b| if b == b'+' { b' ' } else { b }).collect();
        let bytes: Vec<u8> = percent_encoding::percent_decode(&bytes).collect();
        Cow::Owned(String::from_utf8(bytes).map_err(|_| {
            ApiError::new("InvalidParameter.StrategyFormatError", "the policy is not UTF-8 text")
        })?)
    };
    if policy.len() > POLICY_MAX {
        let message = format!("the policy is longer than {POLICY_MAX} bytes");
        return Err(ApiError::new("InvalidParameter.PolicyTooLong", message));
    }
    Ok(policy)
}

fn seconds(params: &Params<'_>, (default, max): (u64, u64)) -> Result<u64, ApiError> {
    let seconds = params.integer("DurationSeconds")?.map_or(Some(default), |n| u64::try_from(n).ok());
    match seconds {
        Some(seconds) if (1..=max).contains(&seconds) => Ok(seconds),
        _ => {
            let message = format!("DurationSeconds must be from 1 to {max}");
            Err(ApiError::new("InvalidParameter.OverTimeError", message))
        }
    }
}

/// The role that a function is to run with: every one whose name can be one is there. Empty for none.
pub(crate) fn role<'a>(params: &Params<'a>) -> Result<Option<&'a str>, ApiError> {
    let role = params.text("Role")?;
    match role {
        Some(name) if !name.is_empty() && !is_role_name(name) => Err(ApiError::new(
            "ResourceNotFound.Role",
            format!("there is no role {name}: that is no role's name"),
        )),
        _ => Ok(role),
    }
}

fn is_role_name(name: &str) -> bool {
    (1..=128).contains(&name.len()) && name.chars().all(is_of_names)
}

fn is_of_names(c: char) -> bool {
    c.is_ascii_alphanumeric() || "_+=,.@-".contains(c)
}

fn named<'a>(params: &Params<'a>, field: &'static str, min: usize, max: usize) -> Result<&'a str, ApiError> {
    let text = params.needed(field)?;
    if (min..=max).contains(&text.len()) && text.chars().all(is_of_names) {
        return Ok(text);
    }
    let message = format!("{field} must be {min} to {max} letters, digits or any of _+=,.@-");
    Err(ApiError::new("InvalidParameter.ParamError", message))
}

/// Account and name of `qcs::cam::uin/1:roleName/name` (or `role/id`, and those of service roles).
fn role_of(arn: &str) -> Option<(&str, &str)> {
    let (owner, role) = arn.strip_prefix("qcs::cam::uin/")?.split_once(':')?;
    let (kind, name) = role.split_once('/')?;
    let name = match name.split_once('/') {
        None => name,
        Some(("tencentcloudServiceRoleName" | "tencentcloudServiceRole", name)) => name,
        Some(_) => return None,
    };
    let digits = !owner.is_empty() && owner.bytes().all(|b| b.is_ascii_digit());
    let known = matches!(kind, "roleName" | "role");
    (known && digits && is_role_name(name)).then_some((owner, name))
}

/// 19 digits, always the same for a role; a role that is named by its number has that.
fn role_id(uin: &str, name: &str) -> String {
    if name.len() == 19 && name.bytes().all(|b| b.is_ascii_digit()) {
        return name.to_owned();
    }
    let hash = Sha256::digest(format!("{uin}/{name}"));
    let number = hash.iter().take(8).fold(0_u64, |n, byte| n << 8 | u64::from(*byte));
    format!("4611686{:012}", number % 1_000_000_000_000)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn policies_come_encoded_or_not() {
        let plain = r#"{"version": "2.0"}"#;
        for text in [plain, "%7B%22version%22%3A%20%222.0%22%7D", "%7B%22version%22%3A+%222.0%22%7D"] {
            assert_eq!(policy_of(text).unwrap(), plain);
        }
        assert_eq!(policy_of("%ff").unwrap_err().code, "InvalidParameter.StrategyFormatError");
        let long = "{".repeat(POLICY_MAX + 1);
        assert_eq!(policy_of(&long).unwrap_err().code, "InvalidParameter.PolicyTooLong");
    }

    #[test]
    fn roles() {
        for (arn, want) in [
            ("qcs::cam::uin/1:roleName/reader", Some(("1", "reader"))),
            ("qcs::cam::uin/1:role/4611686018427397919", Some(("1", "4611686018427397919"))),
            ("qcs::cam::uin/1:role/tencentcloudServiceRoleName/SCF_QcsRole", Some(("1", "SCF_QcsRole"))),
            ("qcs::cam::uin/1:role/a/b", None),
            ("qcs::cam::uin/1:roleName/", None),
            ("qcs::cam::uin/x:roleName/a", None),
            ("qcs::cam::uin/1:user/a", None),
            ("arn:aws:iam::1:role/a", None),
        ] {
            assert_eq!(role_of(arn), want, "{arn}");
        }
        assert_eq!(role_id("1", "4611686018427397919"), "4611686018427397919");
        let id = role_id("1", "reader");
        assert!(id.len() == 19 && id.starts_with("4611686") && id != role_id("2", "reader"), "{id}");
    }

    #[test]
    fn durations() {
        for (given, want) in [
            (json!({}), Some(1800)),
            (json!({"DurationSeconds": "60"}), Some(60)),
            (json!({"DurationSeconds": 7200}), Some(7200)),
            (json!({"DurationSeconds": 7201}), None),
            (json!({"DurationSeconds": 0}), None),
            (json!({"DurationSeconds": -5}), None),
        ] {
            let params = Params::new(given.as_object().unwrap());
            match (seconds(&params, FEDERATED), want) {
                (Ok(seconds), Some(want)) => assert_eq!(seconds, want),
                (Err(error), None) => assert_eq!(error.code, "InvalidParameter.OverTimeError"),
                (found, _) => panic!("{given}: {found:?}"),
            }
        }
    }
}
