//! AWS's token service, version 2011-06-15: the actions that give temporary keys out, in its query
//! form with answers in XML (AWS STS API reference; errors also "Common errors").

mod parameters;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;

use std::time::Duration;

use bytes::Bytes;
use cosette_model::{
    Account, Error, ErrorCode, Issuer, Key, NewSession, Persona, PolicyRefused, Session, Times, Timestamp,
};
use http::Method;
use http::request::Parts;
use sha2::{Digest, Sha256};

use crate::auth::names::Names;
use crate::auth::{self, Presented, Scheme};
use crate::dialect::S3;
use crate::query::Query;
use crate::xml::Writer;
use crate::{DialectName, Wire, host, path};
use parameters::{Parameters, Shape, wrong};

const VERSION: &str = "2011-06-15";
const NAMESPACE: &str = "https://sts.amazonaws.com/doc/2011-06-15/";
/// What scopes of its signatures end with.
const SCOPE: &str = "/sts/aws4_request";

const HOUR: u64 = 3600;
/// Characters of a policy (a packed policy's limit is not documented; this one is, for plain text).
const POLICY_MAX: usize = 2048;
/// The policy of a federated user who was given none: nothing is allowed.
const NOTHING: &str = r#"{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"*","Resource":"*"}}"#;

const SESSION_NAME: Shape = Shape { min: 2, max: 64, others: "+=,.@-" };
const USER_NAME: Shape = Shape { min: 2, max: 32, others: "+=,.@-" };
const EXTERNAL_ID: Shape = Shape { min: 2, max: 1224, others: "+=,.@:/-" };

/// An answer, ready to be sent as `text/xml`.
pub struct StsAnswer {
    pub status: u16,
    pub xml: Bytes,
    /// For the log: `sts.AssumeRole`.
    pub action: String,
    /// The error's code, if it is one.
    pub error: Option<&'static str>,
}

/// Why an action was not done.
#[derive(Debug, PartialEq, Eq)]
struct Refused {
    status: u16,
    code: &'static str,
    message: String,
}

impl Refused {
    fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into() }
    }

    fn denied(message: impl Into<String>) -> Self {
        Self::new(403, "AccessDenied", message)
    }
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        match error.code {
            ErrorCode::InvalidAccessKeyId => Self::new(
                403,
                "InvalidClientTokenId",
                "The security token included in the request is invalid.",
            ),
            ErrorCode::ExpiredToken => {
                Self::new(403, "ExpiredToken", "The security token included in the request is expired")
            }
            ErrorCode::SignatureDoesNotMatch => Self::new(
                403,
                "SignatureDoesNotMatch",
                "The request signature we calculated does not match the signature you provided. Check your \
                 AWS Secret Access Key and signing method. Consult the service documentation for details.",
            ),
            ErrorCode::RequestTimeTooSkewed | ErrorCode::RequestExpired => {
                Self::new(403, "SignatureDoesNotMatch", format!("Signature expired: {}", error.message()))
            }
            _ => Self::new(400, "IncompleteSignature", error.message()),
        }
    }
}

impl From<PolicyRefused> for Refused {
    fn from(refused: PolicyRefused) -> Self {
        match refused {
            PolicyRefused::Malformed(why) | PolicyRefused::Foreign(why) => {
                Self::new(400, "MalformedPolicyDocument", why)
            }
        }
    }
}

/// One action whose sender is known.
struct Asker<'a> {
    key: Key,
    issuer: &'a dyn Issuer,
    now: Timestamp,
}

impl Wire {
    /// The largest request body taken, in bytes.
    pub const STS_BYTES_MAX: usize = 256 << 10;

    /// Whether a request is for the token service and not for the object services: by its host, or
    /// by what it was signed for. Looks at nothing but the head.
    pub fn is_sts(parts: &Parts) -> bool {
        let named = parts.headers.get(http::header::HOST).and_then(|host| host.to_str().ok());
        let authority = parts.uri.authority().map(|authority| authority.as_str()).or(named);
        let host = host::name(authority.unwrap_or_default());
        let aws = host.strip_suffix(".amazonaws.com").or_else(|| host.strip_suffix(".amazonaws.com.cn"));
        let header = parts.headers.get(http::header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let query = Query::parse(parts.uri.query().unwrap_or_default()).ok();
        let credential = query.as_ref().and_then(|query| query.get_any_case("X-Amz-Credential"));
        // Buckets called `sts` have hosts of S3's.
        let region = |name: &str| name.contains('-') && !name.contains('.') && !name.starts_with("s3");
        aws.is_some_and(|name| name == "sts" || name.strip_prefix("sts.").is_some_and(region))
            || header.is_some_and(|text| text.trim_start().starts_with("AWS4-") && text.contains(SCOPE))
            || credential.is_some_and(|credential| credential.ends_with(SCOPE))
    }

    /// Carries out one request that [`is_sts`](Self::is_sts); `id` is its own.
    pub fn answer_sts(
        &self,
        parts: &Parts,
        body: &[u8],
        id: &str,
        times: impl Into<Times>,
        issuer: &dyn Issuer,
    ) -> StsAnswer {
        let mut action = String::from("sts.?");
        let outcome = self.sts(parts, body, times.into(), issuer, &mut action);
        match outcome {
            Ok(Done { name, result, inside }) => {
                let mut xml = Writer::with_namespace(&S3, name, Some(NAMESPACE));
                xml.element(result, inside);
                xml.element("ResponseMetadata", |xml| xml.text("RequestId", id));
                StsAnswer { status: 200, xml: xml.finish(), action, error: None }
            }
            Err(refused) => {
                let mut xml = Writer::with_namespace(&S3, "ErrorResponse", Some(NAMESPACE));
                xml.element("Error", |xml| {
                    xml.text("Type", if refused.status < 500 { "Sender" } else { "Receiver" });
                    xml.text("Code", refused.code);
                    xml.text("Message", &refused.message);
                });
                xml.text("RequestId", id);
                StsAnswer { status: refused.status, xml: xml.finish(), action, error: Some(refused.code) }
            }
        }
    }

    fn sts(
        &self,
        parts: &Parts,
        body: &[u8],
        times: Times,
        issuer: &dyn Issuer,
        action: &mut String,
    ) -> Result<Done, Refused> {
        let query = Query::parse(parts.uri.query().unwrap_or_default()).map_err(malformed)?;
        // A presigned POST has everything in its query.
        let form = if parts.method == Method::POST && !body.is_empty() {
            let text = std::str::from_utf8(body).map_err(malformed)?;
            Query::parse(text).map_err(malformed)?
        } else {
            query.clone()
        };
        let name = form.get("Action").unwrap_or_default();
        action.truncate(4);
        action.extend(name.chars().take(64));

        let key = self.sender(parts, &query, body, times, issuer)?;
        let asker = Asker { key, issuer, now: times.now };
        if name.is_empty() {
            return Err(Refused::new(400, "MissingAction", "The request must contain the parameter Action"));
        }
        let version = form.get("Version").unwrap_or(VERSION);
        if version != VERSION {
            let words = format!("Could not find operation {name} for version {version}");
            return Err(Refused::new(400, "InvalidAction", words));
        }
        let parameters = Parameters::new(&form);
        match name {
            "GetCallerIdentity" => asker.caller(&parameters),
            "GetSessionToken" => asker.session_token(&parameters),
            "GetFederationToken" => asker.federation_token(&parameters),
            "AssumeRole" => asker.assume_role(&parameters),
            "AssumeRoleWithSAML"
            | "AssumeRoleWithWebIdentity"
            | "AssumeRoot"
            | "DecodeAuthorizationMessage"
            | "GetAccessKeyInfo"
            | "GetDelegatedAccessToken"
            | "GetWebIdentityToken" => Err(Refused::new(
                501,
                "NotImplemented",
                format!("The action {name} is not implemented by this server"),
            )),
            _ => {
                let words = format!("Could not find operation {name} for version {version}");
                Err(Refused::new(400, "InvalidAction", words))
            }
        }
    }

    /// Who has signed.
    fn sender(
        &self,
        parts: &Parts,
        query: &Query,
        body: &[u8],
        times: Times,
        issuer: &dyn Issuer,
    ) -> Result<Key, Refused> {
        let named = parts.headers.get(http::header::HOST).and_then(|host| host.to_str().ok());
        let path = path::decode(parts.uri.path()).ok_or_else(|| malformed(()))?;
        let hash = hex::encode(Sha256::digest(body));
        let presented = Presented {
            method: &parts.method,
            raw_path: parts.uri.path(),
            query,
            headers: &parts.headers,
            names: Names {
                host: named.unwrap_or_default(),
                authority: parts.uri.authority().map(|authority| authority.as_str()),
                path: &path,
                bucket: None,
                key: "",
                region: &self.config.default_region,
                aliases: false,
            },
            dialect: DialectName::S3,
            times,
            accounts: issuer,
            service: "sts",
            body_hash: Some(&hash),
        };
        let verified = auth::verify(Scheme::find(&parts.headers, Some(query)), &presented)?;
        match verified.identity {
            cosette_model::Identity::Known(key) => Ok(key),
            cosette_model::Identity::Anonymous => {
                let words = "Request is missing Authentication Token";
                Err(Refused::new(403, "MissingAuthenticationToken", words))
            }
        }
    }
}

fn malformed<E>(_: E) -> Refused {
    Refused::new(400, "MalformedQueryString", "The request is not well-formed.")
}

/// A done action: names of its answer's elements, and what is inside.
struct Done {
    name: &'static str,
    result: &'static str,
    inside: Box<dyn FnOnce(&mut Writer)>,
}

impl Asker<'_> {
    fn account(&self) -> &Account {
        &self.key.account
    }

    fn persona(&self) -> &Persona {
        self.key.session.as_ref().map_or(&Persona::Account, |session| &session.persona)
    }

    fn caller(&self, parameters: &Parameters<'_>) -> Result<Done, Refused> {
        parameters.end()?;
        let (arn, user) = named(&self.account().uin, self.persona());
        let account = self.account().uin.clone();
        Ok(Done {
            name: "GetCallerIdentityResponse",
            result: "GetCallerIdentityResult",
            inside: Box::new(move |xml| {
                xml.text("Arn", &arn);
                xml.text("UserId", &user);
                xml.text("Account", &account);
            }),
        })
    }

    fn session_token(&self, parameters: &Parameters<'_>) -> Result<Done, Refused> {
        self.permanent("GetSessionToken")?;
        let seconds = parameters.seconds(12 * HOUR, 36 * HOUR)?;
        no_device(parameters)?;
        parameters.end()?;
        let key = self.issue(Persona::Account, None, seconds)?;
        Ok(Done {
            name: "GetSessionTokenResponse",
            result: "GetSessionTokenResult",
            inside: Box::new(move |xml| credentials(xml, &key)),
        })
    }

    fn federation_token(&self, parameters: &Parameters<'_>) -> Result<Done, Refused> {
        self.permanent("GetFederationToken")?;
        let name = parameters.shaped("Name", USER_NAME)?.to_owned();
        let policy = parameters.text("Policy");
        let seconds = parameters.seconds(12 * HOUR, 36 * HOUR)?;
        parameters.end()?;
        let packed = packed(policy)?;
        let persona = Persona::Federated { name };
        let (arn, id) = named(&self.account().uin, &persona);
        let key = self.issue(persona, Some(policy.unwrap_or(NOTHING)), seconds)?;
        Ok(Done {
            name: "GetFederationTokenResponse",
            result: "GetFederationTokenResult",
            inside: Box::new(move |xml| {
                credentials(xml, &key);
                xml.element("FederatedUser", |xml| {
                    xml.text("FederatedUserId", &id);
                    xml.text("Arn", &arn);
                });
                xml.value("PackedPolicySize", packed);
            }),
        })
    }

    /// There are no roles here with policies of their own: each account has every role that it is
    /// asked for, which may do what the account may, and which trusts that account alone.
    fn assume_role(&self, parameters: &Parameters<'_>) -> Result<Done, Refused> {
        let role = parameters.needed("RoleArn")?;
        let session = parameters.shaped("RoleSessionName", SESSION_NAME)?.to_owned();
        let policy = parameters.text("Policy");
        let seconds = parameters.seconds(HOUR, 12 * HOUR)?;
        // It counts where a role's trust asks for one, and none does.
        parameters.shaped_if_any("ExternalId", EXTERNAL_ID)?;
        no_device(parameters)?;
        parameters.end()?;
        let (owner, name) = role_of(role).ok_or_else(|| wrong(format!("{role} is invalid")))?;
        let (me, _) = named(&self.account().uin, self.persona());
        let denied = || {
            Refused::denied(format!(
                "User: {me} is not authorized to perform: sts:AssumeRole on resource: {role}"
            ))
        };
        if owner != self.account().uin || matches!(self.persona(), Persona::Federated { .. }) {
            return Err(denied());
        }
        if self.key.session.as_ref().is_some_and(|by| !self.issuer.permits(by, "sts:AssumeRole", role)) {
            return Err(denied());
        }
        if matches!(self.persona(), Persona::Role { .. }) && seconds > HOUR {
            return Err(wrong(
                "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role \
                 chaining",
            ));
        }
        let packed = packed(policy)?;
        let persona = Persona::Role { name: name.to_owned(), session };
        let (arn, id) = named(&self.account().uin, &persona);
        let key = self.issue(persona, policy, seconds)?;
        Ok(Done {
            name: "AssumeRoleResponse",
            result: "AssumeRoleResult",
            inside: Box::new(move |xml| {
                credentials(xml, &key);
                xml.element("AssumedRoleUser", |xml| {
                    xml.text("AssumedRoleId", &id);
                    xml.text("Arn", &arn);
                });
                if packed > 0 {
                    xml.value("PackedPolicySize", packed);
                }
            }),
        })
    }

    fn permanent(&self, action: &str) -> Result<(), Refused> {
        match self.key.session {
            None => Ok(()),
            Some(_) => Err(Refused::denied(format!("Cannot call {action} with session credentials"))),
        }
    }

    fn issue(&self, persona: Persona, policy: Option<&str>, seconds: u64) -> Result<Key, Refused> {
        let expires = self.now.plus(Duration::from_secs(seconds));
        let new = NewSession { persona, policy: policy.map(str::to_owned), expires, prefix: "ASIA" };
        Ok(self.issuer.issue(self.account(), new)?)
    }
}

/// There are no such devices here, so no code of one is right.
fn no_device(parameters: &Parameters<'_>) -> Result<(), Refused> {
    match (parameters.text("SerialNumber"), parameters.text("TokenCode")) {
        (None, None) => Ok(()),
        _ => Err(Refused::denied("MultiFactorAuthentication failed with invalid MFA one time pass code. ")),
    }
}

/// How much of the room for policies one takes, in percent.
fn packed(policy: Option<&str>) -> Result<usize, Refused> {
    let Some(policy) = policy else { return Ok(0) };
    let length = policy.chars().count();
    if length > POLICY_MAX {
        let words = format!("Packed size of session policy is {}% of the limit", length * 100 / POLICY_MAX);
        return Err(Refused::new(400, "PackedPolicyTooLarge", words));
    }
    Ok((length * 100).div_ceil(POLICY_MAX))
}

/// Account and name of `arn:aws:iam::1:role/path/name`.
fn role_of(arn: &str) -> Option<(&str, &str)> {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let ["arn", "aws" | "aws-cn", "iam", "", account, role] = parts[..] else { return None };
    let name = role.strip_prefix("role/")?.rsplit('/').next()?;
    let fits = |c: char| c.is_ascii_alphanumeric() || "_+=,.@-".contains(c);
    let digits = !account.is_empty() && account.bytes().all(|b| b.is_ascii_digit());
    (digits && !name.is_empty() && name.len() <= 64 && name.chars().all(fits)).then_some((account, name))
}

/// ARN and user id.
fn named(account: &str, persona: &Persona) -> (String, String) {
    match persona {
        Persona::Account => (format!("arn:aws:iam::{account}:root"), account.to_owned()),
        Persona::Role { name, session } => (
            format!("arn:aws:sts::{account}:assumed-role/{name}/{session}"),
            format!("{}:{session}", role_id(account, name)),
        ),
        Persona::Federated { name } => {
            (format!("arn:aws:sts::{account}:federated-user/{name}"), format!("{account}:{name}"))
        }
    }
}

/// `AROA` and 17 capitals or digits, always the same for a role.
fn role_id(account: &str, name: &str) -> String {
    const LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let hash = Sha256::digest(format!("{account}/{name}"));
    let letters = hash.iter().take(17).map(|byte| char::from(LETTERS[usize::from(byte % 32)]));
    "AROA".chars().chain(letters).collect()
}

fn credentials(xml: &mut Writer, key: &Key) {
    let session: Option<&Session> = key.session.as_deref();
    xml.element("Credentials", |xml| {
        xml.text("AccessKeyId", &key.account.secret_id);
        xml.text("SecretAccessKey", &key.account.secret_key);
        xml.text("SessionToken", session.map_or("", |session| &session.token));
        if let Some(expires) = session.and_then(|session| session.expires) {
            xml.value("Expiration", expires.iso_seconds());
        }
    });
}
