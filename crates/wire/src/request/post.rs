//! A POST form upload: fields that stand for the headers of a PUT, a policy, a signature, a file
//! (cos-api 2.8, 3.4; S3's "POST Object").

use std::sync::Arc;

use bytes::Bytes;
use cosette_model::op::{LazyFacts, Op, PostAnswer, PostObject};
use cosette_model::{Body, Error, ErrorCode, Times};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::encryption::Takes;
use super::{Incoming, attributes, condition, pays, setting, traffic_limit};
use crate::form::policy::{self, Policy};
use crate::form::signature::{self, Signed};
use crate::form::{self, Form};
use crate::header::{self, Headers};
use crate::query::Query;
use crate::setting::object_tags;
use crate::{Accounts, DialectName, facts, payload, target};

/// Fields that are stored as the headers of the same names.
const CONTENT: &[&str] = &[
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-md5",
    "content-type",
    "expires",
];

/// Fields of a signature; the rest of `x-amz-` and `x-cos-` are headers.
const SIGNING: &[&str] = &[
    "x-amz-algorithm",
    "x-amz-credential",
    "x-amz-date",
    "x-amz-signature",
    "x-amz-security-token",
    "x-cos-security-token",
];

impl Incoming<'_> {
    /// Reads the form up to its file. Its fields say in which dialect it is.
    pub(crate) async fn post_object(
        self,
        times: Times,
        accounts: &dyn Accounts,
        dialect: &mut DialectName,
        facts: &mut LazyFacts,
    ) -> Result<(PostObject, Option<Signed>, Option<u64>, bool), Error> {
        self.refuse_unknown(Takes::none())?;
        let bucket = self.bucket()?;
        let content_type = self.headers.get("content-type")?.unwrap_or_default();
        let boundary = form::boundary(content_type).ok_or_else(|| match dialect {
            DialectName::Cos => Error::new(ErrorCode::MalformedPostRequest),
            DialectName::S3 => Error::with(
                ErrorCode::PreconditionFailed,
                "At least one of the pre-conditions you specified did not hold",
            )
            .detail("Condition", "Bucket POST must be of the enclosure-type multipart/form-data"),
        })?;
        let mut form = Form::read(self.payload.stream, boundary).await?;
        *dialect = signature::dialect(&form).unwrap_or(*dialect);
        let dialect = *dialect;
        // COS names the file in the key alone.
        form.name_file(|name| dialect == DialectName::S3 || name.eq_ignore_ascii_case("key"));

        let text = form.filled("policy").map(policy::decode).transpose()?;
        let signed = signature::verify(&form, text.as_deref().unwrap_or_default(), accounts, times, dialect)?;
        let mut size = None;
        if let Some(text) = &text {
            let policy = Policy::parse(text, dialect)?;
            policy.check(&form, &bucket, times.machine, dialect)?;
            size = policy.length();
        }

        let key = form.filled("key").ok_or_else(|| {
            let why = "Bucket POST must contain a field named 'key'.  If it is specified, please check the order of the fields.";
            Error::with(ErrorCode::InvalidArgument, why)
                .detail("ArgumentName", "key")
                .detail("ArgumentValue", "")
        })?;
        let key = target::key(key, dialect)?;
        let answer = answer(&form);
        let headers = Arc::new(headers(&form, dialect)?);
        let mut as_put = Incoming { headers, dialect, payload: empty(), ..self };
        as_put.refuse_unknown(Takes::of(Op::PostObject, dialect))?;
        let attributes = attributes::read(&as_put.headers)?;
        as_put.check_attributes(&attributes)?;
        let acl = as_put.asked_acl()?;
        let encryption = as_put.encryption()?;
        let headers = as_put.headers;
        let mut of_form = facts.get().clone();
        facts::of_form(&headers, signed.as_ref().map(|signed| signed.version), times, &mut of_form);
        let mut properties = setting::properties(&headers)?;
        if let Some(document) = form.filled("tagging") {
            let tags = object_tags(document.as_bytes())?;
            // In place of those of a field that is a header elsewhere, as for what is done.
            of_form.retain(|key, _| !key.starts_with("requestobjecttag"));
            facts::of_tags(tags.iter(), &mut of_form);
            properties.tags = tags.into_map();
        }
        *facts = LazyFacts::new(|| of_form);
        let post = PostObject {
            bucket,
            key,
            attributes,
            properties,
            acl,
            encryption,
            conditions: condition::write(&headers)?,
            size,
            answer,
            body: Body { stream: form.file, length: None, expected: payload::expected(&headers)? },
        };
        Ok((post, signed, traffic_limit(&headers)?, pays(&headers)))
    }
}

fn empty() -> payload::Payload {
    payload::Payload { stream: Box::pin(Nothing), chunks: None }
}

struct Nothing;

impl futures_core::Stream for Nothing {
    type Item = Result<Bytes, cosette_model::BodyError>;

    fn poll_next(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        std::task::Poll::Ready(None)
    }
}

/// The headers that a PUT of the same object would have.
fn headers(form: &Form, dialect: DialectName) -> Result<Headers, Error> {
    let mut map = HeaderMap::new();
    for (name, value) in form.fields() {
        let lower = name.to_ascii_lowercase();
        let name = match lower.as_str() {
            "acl" => header::ACL.of(dialect),
            name if SIGNING.contains(&name) => continue,
            name if CONTENT.contains(&name) || name.starts_with("x-amz-") || name.starts_with("x-cos-") => {
                name
            }
            _ => continue,
        };
        let invalid = || {
            Error::with(ErrorCode::InvalidArgument, format!("The field {name} cannot be a header."))
                .detail("ArgumentName", name)
        };
        let value = HeaderValue::from_bytes(value.trim().as_bytes()).map_err(|_| invalid())?;
        map.append(HeaderName::from_bytes(name.as_bytes()).map_err(|_| invalid())?, value);
    }
    Ok(Headers::new(&map, &Query::default(), dialect))
}

/// What the page asks to be told; a redirect wins, and what cannot be done counts as not asked.
fn answer(form: &Form) -> PostAnswer {
    let redirect = form.filled("success_action_redirect").or_else(|| form.filled("redirect"));
    if let Some(to) = redirect
        .filter(|to| to.parse::<http::Uri>().is_ok_and(|uri| uri.scheme().is_some() && uri.host().is_some()))
    {
        return PostAnswer::Redirect(to.to_owned());
    }
    PostAnswer::Status(match form.filled("success_action_status") {
        Some("200") => StatusCode::OK.as_u16(),
        Some("201") => StatusCode::CREATED.as_u16(),
        _ => StatusCode::NO_CONTENT.as_u16(),
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use base64::Engine;
    use base64::prelude::BASE64_STANDARD;
    use cosette_model::{RequestId, Timestamp};

    use crate::auth::cos;
    use crate::fuzzing::wire;
    use crate::testing::{Everybody, pieces, ready};

    /// What policies may ask of a form that is signed with S3's older signature.
    fn facts(fields: &[(&str, &str)]) -> cosette_model::op::Facts {
        let now = Timestamp::from_secs(1_369_353_600);
        let named = fields.iter().map(|(name, _)| format!(r#", ["starts-with", "${name}", ""]"#));
        let policy = BASE64_STANDARD.encode(format!(
            r#"{{"expiration": "2030-01-01T00:00:00Z", "conditions": [["starts-with", "$key", ""]{}]}}"#,
            named.collect::<String>()
        ));
        let signature = BASE64_STANDARD.encode(cos::hmac(b"k", &policy));
        let signed =
            [("key", "k"), ("AWSAccessKeyId", "id"), ("policy", &*policy), ("signature", &*signature)];
        let mut body = String::new();
        for (name, value) in signed.iter().chain(fields).chain(&[("file", "x")]) {
            body += &format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
        }
        body += "--b--\r\n";
        let request = http::Request::post("/bucket")
            .header("content-type", "multipart/form-data; boundary=b")
            .body(pieces(vec![body.into_bytes()]))
            .unwrap();
        let peer = std::net::Ipv4Addr::LOCALHOST.into();
        ready(wire().decode(request, peer, RequestId::new("id"), now, &Everybody))
            .outcome
            .unwrap()
            .0
            .facts
            .get()
            .clone()
    }

    #[test]
    fn a_form_is_of_the_signature_that_was_checked() {
        let facts = facts(&[("x-amz-date", "20130524T000000Z")]);
        assert_eq!(
            (&facts["signatureversion"][..], &facts["signatureage"][..]),
            (&["AWS".into()][..], &["0".into()][..])
        );
    }

    #[test]
    fn the_tags_that_are_judged_are_those_that_are_kept() {
        let document = "<Tagging><TagSet><Tag><Key>team</Key><Value>other</Value></Tag></TagSet></Tagging>";
        let facts = facts(&[("x-amz-tagging", "team=mine"), ("tagging", document)]);
        assert_eq!(facts["requestobjecttag/team"], ["other"]);
        assert_eq!(facts["requestobjecttagkeys"], ["team"]);
    }
}
