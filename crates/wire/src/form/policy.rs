//! What a form's policy allows (cos-api 2.8, and S3's "POST policy").

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use cosette_model::{BucketName, Error, ErrorCode, Timestamp};
use serde_json::Value;

use super::Form;
use crate::DialectName;

/// A policy as its document says it.
#[derive(Debug)]
pub(crate) struct Policy {
    expiration: Timestamp,
    conditions: Vec<Condition>,
}

#[derive(Debug)]
enum Condition {
    /// Field names are lower-case.
    Equal(String, String),
    StartsWith(String, String),
    Length {
        min: u64,
        max: u64,
    },
}

/// Fields that a policy of S3 need not speak of: the signature itself, and names for pages' own
/// use. A checksum can only make an upload fail, so it is let pass as well.
fn is_free(name: &str) -> bool {
    matches!(name, "policy" | "file" | "bucket" | "awsaccesskeyid" | "signature" | "x-amz-signature")
        || name.starts_with("x-ignore-")
        || name.starts_with("x-amz-checksum-")
}

fn invalid(why: impl Into<String>) -> Error {
    Error::with(ErrorCode::InvalidPolicyDocument, format!("Invalid Policy: {}", why.into()))
}

/// The document's text.
pub(crate) fn decode(base64: &str) -> Result<String, Error> {
    let compact: String = base64.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    let bytes = BASE64_STANDARD.decode(compact).map_err(|_| invalid("Invalid base64."))?;
    String::from_utf8(bytes).map_err(|_| invalid("Invalid JSON."))
}

impl Policy {
    pub(crate) fn parse(text: &str, dialect: DialectName) -> Result<Self, Error> {
        let document: Value =
            serde_json::from_str(&without_dollar_escapes(text)).map_err(|_| match dialect {
                DialectName::Cos => Error::with(
                    ErrorCode::InvalidPolicyDocument,
                    "You must provide condition if you specify a policy in post object request.",
                ),
                DialectName::S3 => invalid("Invalid JSON."),
            })?;
        let document = document.as_object().ok_or_else(|| invalid("Invalid JSON."))?;
        let expiration = document.get("expiration").ok_or_else(|| invalid("Policy missing expiration."))?;
        let expiration = expiration
            .as_str()
            // RFC 3339 lets a space stand for the T, the services do not.
            .filter(|text| text.contains('T'))
            .and_then(Timestamp::parse_rfc3339)
            .ok_or_else(|| invalid("Invalid 'expiration' value."))?;
        let listed = document.get("conditions").and_then(Value::as_array).ok_or_else(|| match dialect {
            DialectName::Cos => Error::with(
                ErrorCode::InvalidPolicyDocument,
                "You must provide condition if you specify a policy in post object request.",
            ),
            DialectName::S3 => invalid("Policy missing conditions."),
        })?;
        let mut conditions = Vec::new();
        for condition in listed {
            Condition::parse(condition, &mut conditions)?;
        }
        Ok(Self { expiration, conditions })
    }

    /// Whether the form is as the policy wants it.
    ///
    /// # Errors
    /// `AccessDenied`, in the words of the service.
    pub(crate) fn check(
        &self,
        form: &Form,
        bucket: &BucketName,
        now: Timestamp,
        dialect: DialectName,
    ) -> Result<(), Error> {
        let cos = dialect == DialectName::Cos;
        let denied = |why: String| Err(Error::with(ErrorCode::AccessDenied, why));
        if now > self.expiration {
            return denied(if cos {
                format!(
                    "You post object request has been expired, expiration time: {} but the time now : {}",
                    self.expiration.as_secs(),
                    now.as_secs()
                )
            } else {
                "Invalid according to Policy: Policy expired.".to_owned()
            });
        }
        for condition in &self.conditions {
            let (name, wanted, holds) = match condition {
                Condition::Length { .. } => continue,
                Condition::Equal(name, wanted) => {
                    (name, wanted, self.value(form, bucket, name).is_some_and(|value| value == wanted))
                }
                Condition::StartsWith(name, wanted) => {
                    let value = self.value(form, bucket, name);
                    // A list of content types: each must hold.
                    let list = name == "content-type" && wanted.find(',').is_none();
                    let holds = |value: &str| match list {
                        true => value.split(',').all(|one| one.trim().starts_with(wanted.as_str())),
                        false => value.starts_with(wanted.as_str()),
                    };
                    (name, wanted, value.is_some_and(holds))
                }
            };
            if !holds {
                return denied(if cos {
                    format!("Condition key {name} doesn't match the value {wanted}")
                } else {
                    let how = if matches!(condition, Condition::Equal(..)) { "eq" } else { "starts-with" };
                    format!(
                        "Invalid according to Policy: Policy Condition failed: [\"{how}\", \"${name}\", \"{wanted}\"]"
                    )
                });
            }
        }
        if cos {
            // What a signature of COS does not cover, its policy must.
            let spoken = |wanted: &str| self.names().any(|name| name == wanted);
            return match ["q-sign-algorithm", "q-ak", "q-sign-time"].into_iter().find(|name| !spoken(name)) {
                Some(name) => denied(format!("Condition key {name} is missing from the policy")),
                None => Ok(()),
            };
        }
        let extra = form
            .fields()
            .map(|(name, _)| name.to_ascii_lowercase())
            .find(|name| !is_free(name) && !self.names().any(|spoken| spoken == name));
        match extra {
            Some(name) => denied(format!("Invalid according to Policy: Extra input fields: {name}")),
            None => Ok(()),
        }
    }

    /// The least and the greatest number of bytes a file may have.
    pub(crate) fn length(&self) -> Option<(u64, u64)> {
        self.conditions
            .iter()
            .filter_map(|condition| match condition {
                Condition::Length { min, max } => Some((*min, *max)),
                _ => None,
            })
            .reduce(|a, b| (a.0.max(b.0), a.1.min(b.1)))
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        self.conditions.iter().filter_map(|condition| match condition {
            Condition::Equal(name, _) | Condition::StartsWith(name, _) => Some(name.as_str()),
            Condition::Length { .. } => None,
        })
    }

    /// What the form has in a field. The bucket is the request's; COS calls the key's time by
    /// the other name in policies.
    fn value<'a>(&self, form: &'a Form, bucket: &'a BucketName, name: &str) -> Option<&'a str> {
        match name {
            "bucket" => Some(bucket.as_str()),
            "q-sign-time" => form.get("q-sign-time").or_else(|| form.get("q-key-time")),
            name => form.get(name),
        }
    }
}

impl Condition {
    fn parse(value: &Value, into: &mut Vec<Self>) -> Result<(), Error> {
        let text = |value: &Value| match value {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        };
        if let Some(object) = value.as_object() {
            if object.is_empty() {
                return Err(invalid(
                    "Invalid Simple-Condition: Simple-Conditions must have exactly one property specified.",
                ));
            }
            for (name, wanted) in object {
                let wanted = text(wanted)
                    .ok_or_else(|| invalid("Invalid Simple-Condition: value must be a string."))?;
                into.push(Self::Equal(name.to_ascii_lowercase(), wanted));
            }
            return Ok(());
        }
        let Some([how, first, second]) = value.as_array().map(Vec::as_slice) else {
            return Err(invalid("Invalid Condition: wrong number of arguments."));
        };
        let how = how.as_str().unwrap_or_default();
        if how.eq_ignore_ascii_case("content-length-range") {
            let number = |value: &Value| {
                value
                    .as_u64()
                    .or_else(|| value.as_str()?.parse().ok())
                    .ok_or_else(|| invalid("Invalid Content-Length-Range: bounds must be numbers."))
            };
            into.push(Self::Length { min: number(first)?, max: number(second)? });
            return Ok(());
        }
        let field = first.as_str().and_then(|name| name.strip_prefix('$')).map(str::to_ascii_lowercase);
        let (Some(field), Some(wanted)) = (field, text(second)) else {
            return Err(invalid("Invalid Condition: expected [operator, \"$field\", \"value\"]."));
        };
        into.push(match how {
            how if how.eq_ignore_ascii_case("eq") => Self::Equal(field, wanted),
            how if how.eq_ignore_ascii_case("starts-with") => Self::StartsWith(field, wanted),
            other => return Err(invalid(format!("Invalid Condition: unknown operation '{other}'."))),
        });
        Ok(())
    }
}

/// S3's documents may write a dollar sign as `\$`, which JSON does not know.
fn without_dollar_escapes(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        if character != '\\' {
            plain.push(character);
            continue;
        }
        match characters.next() {
            Some('$') => plain.push('$'),
            Some(other) => plain.extend(['\\', other]),
            None => plain.push('\\'),
        }
    }
    plain
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::testing::{Noise, pieces, ready};

    fn form(fields: &[(&str, &str)]) -> Form {
        let mut body = String::new();
        for (name, value) in fields.iter().chain(&[("file", "f")]) {
            body += &format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
        }
        ready(Form::read(pieces(vec![(body + "--b--").into_bytes()]), "b")).unwrap()
    }

    fn check(conditions: &str, fields: &[(&str, &str)], dialect: DialectName) -> Result<(), String> {
        let text = format!("{{\"expiration\":\"2023-11-15T00:00:00Z\",\"conditions\":[{conditions}]}}");
        let bucket = BucketName::new("b-1250000000").unwrap();
        Policy::parse(&text, dialect)
            .and_then(|policy| {
                policy.check(&form(fields), &bucket, Timestamp::from_secs(1_700_000_000), dialect)
            })
            .map_err(|error| format!("{:?} {}", error.code, error.message()))
    }

    #[test]
    fn conditions_of_s3() {
        let s3 = |conditions: &str, fields: &[(&str, &str)]| check(conditions, fields, DialectName::S3);
        let key = ("key", "up/a");
        assert_eq!(s3("{\"key\":\"up/a\"},{\"bucket\":\"b-1250000000\"}", &[key]), Ok(()));
        assert_eq!(
            s3("[\"StArTs-With\",\"$KEY\",\"up/\"]", &[key, ("x-ignore-a", "1"), ("AWSAccessKeyId", "2")]),
            Ok(())
        );
        assert_eq!(s3("[\"starts-with\",\"$key\",\"\\$\"]", &[("key", "$a")]), Ok(()));
        assert!(s3("[\"eq\",\"$key\",\"up/b\"]", &[key]).unwrap_err().starts_with("AccessDenied"));
        assert!(s3("{\"bucket\":\"other\"}", &[]).unwrap_err().starts_with("AccessDenied"));
        assert!(
            s3("{\"key\":\"up/a\"}", &[key, ("acl", "private")])
                .unwrap_err()
                .contains("Extra input fields: acl")
        );
        assert!(
            s3("{\"key\":\"up/a\"},{\"acl\":\"private\"}", &[key]).unwrap_err().starts_with("AccessDenied")
        );
        let types = "[\"starts-with\",\"$Content-Type\",\"image/\"]";
        assert_eq!(s3(types, &[("Content-Type", "image/png,image/gif")]), Ok(()));
        assert!(s3(types, &[("Content-Type", "image/png,text/plain")]).is_err());
        for bad in [
            "{}",
            "[\"eq\",\"key\",\"a\"]",
            "[\"content-length-range\",0]",
            "[\"content-length-range\",-1,0]",
            "[\"ge\",\"$a\",\"b\"]",
            "3",
            "{\"key\":[]}",
        ] {
            assert!(s3(bad, &[]).unwrap_err().starts_with("InvalidPolicyDocument"), "{bad}");
        }
    }

    #[test]
    fn conditions_of_cos() {
        let signed = "{\"q-sign-algorithm\":\"sha1\"},{\"q-ak\":\"a\"},{\"q-sign-time\":\"1;2\"}";
        let fields = [("q-sign-algorithm", "sha1"), ("q-ak", "a"), ("q-key-time", "1;2"), ("key", "k")];
        assert_eq!(check(signed, &fields, DialectName::Cos), Ok(()));
        assert!(check("{\"q-ak\":\"a\"}", &fields, DialectName::Cos).is_err());
        let other = check(&format!("{signed},{{\"key\":\"other\"}}"), &fields, DialectName::Cos);
        assert_eq!(other.unwrap_err(), "AccessDenied Condition key key doesn't match the value other");
    }

    #[test]
    fn documents_that_are_none() {
        for bad in [
            "",
            "[]",
            "{}",
            "{\"expiration\":1,\"conditions\":[]}",
            "{\"expiration\":\"2023-11-15 00:00:00Z\",\"conditions\":[]}",
            "{\"expiration\":\"2023-11-15T00:00:00Z\"}",
            "{\"EXPIRATION\":\"2023-11-15T00:00:00Z\",\"conditions\":[]}",
        ] {
            for dialect in [DialectName::Cos, DialectName::S3] {
                assert_eq!(
                    Policy::parse(bad, dialect).unwrap_err().code,
                    ErrorCode::InvalidPolicyDocument,
                    "{bad}"
                );
            }
        }
        let mut noise = Noise(0x00ab_cdef);
        for _ in 0..20_000 {
            let text = noise.bytes(b"{}[]\"\"::,,\\$eqkey0123-\"expiration\"\"conditions\"", 120);
            let _ = Policy::parse(&String::from_utf8_lossy(&text), DialectName::S3);
        }
    }

    #[test]
    fn lengths_are_joined() {
        let text = "{\"expiration\":\"2023-11-15T00:00:00Z\",\"conditions\":[[\"content-length-range\",1,\"9\"],[\"content-length-range\",2,20]]}";
        assert_eq!(Policy::parse(text, DialectName::S3).unwrap().length(), Some((2, 9)));
    }
}
