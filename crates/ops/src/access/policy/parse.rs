//! From JSON to a policy. Unknown members, wrong types and names that cannot be are refused.

use cosette_model::BucketName;
use serde_json::{Map, Value};

use super::condition::Condition;
use super::json::Strict;
use super::wildcard::{Pattern, Variables};
use super::{Action, Match, Policy, Principal, Statement, names};

type Object = Map<String, Value>;

/// The two services' forms.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Iam,
    Cam,
}

/// A form, and what its version makes of variables.
#[derive(Clone, Copy)]
struct Dialect {
    form: Form,
    variables: Variables,
}

/// `bucket` is the one it is for; a policy of a temporary key has none, and no principals.
pub(super) fn policy(text: &[u8], bucket: Option<&BucketName>) -> Result<Policy, String> {
    let json = || "Policies must be valid JSON and the first byte must be '{'".to_owned();
    let Strict(value) = serde_json::from_slice(text).map_err(|why| match why.classify() {
        serde_json::error::Category::Data => format!("Policies must be valid JSON: {why}"),
        _ => json(),
    })?;
    let Value::Object(root) = value else {
        return Err(json());
    };
    let form = match member(&root, "version")? {
        None => match member(&root, "statement")? {
            Some(Value::Array(list)) if list.iter().any(is_cam) => Form::Cam,
            Some(other) if is_cam(other) => Form::Cam,
            _ => Form::Iam,
        },
        Some(Value::String(version)) if version == "2.0" => Form::Cam,
        Some(Value::String(version)) if version == "2012-10-17" || version == "2008-10-17" => Form::Iam,
        Some(other) => return Err(format!("The policy must contain a valid version string, not {other}")),
    };
    only(&root, &["version", "id", "statement"])?;
    if !matches!(member(&root, "id")?, None | Some(Value::String(_))) {
        return Err("The Id of a policy is a text".to_owned());
    }
    let statements = match member(&root, "statement")? {
        None => return Err("Missing required field Statement".to_owned()),
        Some(Value::Array(list)) if !list.is_empty() => list.iter().collect(),
        Some(single @ Value::Object(_)) => vec![single],
        Some(_) => return Err("Statement must be an object or a list of them".to_owned()),
    };
    let variables = match form {
        Form::Cam => Variables::Cam,
        Form::Iam if matches!(member(&root, "version")?, Some(Value::String(v)) if v == "2012-10-17") => {
            Variables::Iam
        }
        Form::Iam => Variables::None,
    };
    let dialect = Dialect { form, variables };
    let statements =
        statements.into_iter().map(|one| statement(one, dialect, bucket)).collect::<Result<_, _>>()?;
    Ok(Policy { statements })
}

/// A member by its name in any case of its first letters; two spellings of one are refused.
fn member<'a>(object: &'a Object, name: &str) -> Result<Option<&'a Value>, String> {
    let mut found = object.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value);
    match (found.next(), found.next()) {
        (first, None) => Ok(first),
        _ => Err(format!("{name} is given twice")),
    }
}

fn only(object: &Object, names: &[&str]) -> Result<(), String> {
    match object.keys().find(|key| !names.iter().any(|name| key.eq_ignore_ascii_case(name))) {
        Some(other) => Err(format!("Unknown field {other}")),
        None => Ok(()),
    }
}

fn is_cam(statement: &Value) -> bool {
    let Value::Object(statement) = statement else { return false };
    matches!(member(statement, "principal"), Ok(Some(Value::Object(p))) if p.contains_key("qcs"))
}

fn statement(value: &Value, dialect: Dialect, bucket: Option<&BucketName>) -> Result<Statement, String> {
    let form = dialect.form;
    let Value::Object(value) = value else { return Err("A statement must be an object".to_owned()) };
    only(
        value,
        &[
            "sid",
            "effect",
            "principal",
            "notprincipal",
            "action",
            "notaction",
            "resource",
            "notresource",
            "condition",
        ],
    )?;
    if !matches!(member(value, "sid")?, None | Some(Value::String(_))) {
        return Err("The Sid of a statement is a text".to_owned());
    }
    let allow = match member(value, "effect")? {
        Some(Value::String(effect)) => match (form, effect.as_str()) {
            (Form::Iam, "Allow") => true,
            (Form::Iam, "Deny") => false,
            (Form::Cam, effect) if effect.eq_ignore_ascii_case("allow") => true,
            (Form::Cam, effect) if effect.eq_ignore_ascii_case("deny") => false,
            _ => return Err(format!("Invalid effect: {effect}")),
        },
        Some(_) => return Err("Invalid effect".to_owned()),
        None => return Err("Missing required field Effect".to_owned()),
    };
    let one_of = |name: &str| {
        let not = format!("not{name}");
        match (member(value, name)?, member(value, &not)?) {
            (Some(value), None) => Ok(Some((value, false))),
            (None, Some(value)) => Ok(Some((value, true))),
            (None, None) => Ok(None),
            (Some(_), Some(_)) => Err(format!("{name} and {not} exclude each other")),
        }
    };
    let principal = match (one_of("principal")?, bucket) {
        (Some((value, not)), Some(_)) => matching(principals(value, form)?, not),
        (None, None) => Match::Any(vec![Principal::Everybody]),
        (None, Some(_)) => return Err("Missing required field Principal".to_owned()),
        (Some(_), None) => return Err("A policy of a temporary key has no principal".to_owned()),
    };
    let (value_of, not) = one_of("action")?.ok_or("Missing required field Action")?;
    let actions = texts(value_of, "Action")?.into_iter().map(|text| action(text, form, bucket.is_none()));
    let (actions, not_action) = (actions.collect::<Result<Vec<_>, _>>()?, not);
    let (value_of, not) = one_of("resource")?.ok_or("Missing required field Resource")?;
    let resources = texts(value_of, "Resource")?.into_iter().map(|text| resource(text, dialect, bucket));
    let resources = resources.collect::<Result<Vec<_>, _>>()?;
    if form == Form::Iam && bucket.is_some() && !not && !not_action {
        for on in actions.iter().filter_map(names::named) {
            if !on.iter().any(|on| resources.iter().any(|resource| names::is_on(resource, *on))) {
                return Err("Action does not apply to any resource(s) in statement".to_owned());
            }
        }
    }
    let (action, resource) = (matching(actions, not_action), matching(resources, not));
    let conditions = match member(value, "condition")? {
        None => Vec::new(),
        Some(Value::Object(object)) => conditions(object, dialect.variables)?,
        Some(_) => return Err("Condition must be an object".to_owned()),
    };
    Ok(Statement { allow, principal, action, resource, conditions })
}

fn matching<T>(list: Vec<T>, not: bool) -> Match<T> {
    if not { Match::Not(list) } else { Match::Any(list) }
}

/// A text, or a list of at least one.
fn texts<'a>(value: &'a Value, what: &str) -> Result<Vec<&'a str>, String> {
    let wrong = || format!("{what} must be a text or a list of texts");
    match value {
        Value::String(text) => Ok(vec![text]),
        Value::Array(list) if !list.is_empty() => {
            list.iter().map(|one| one.as_str().ok_or_else(wrong)).collect()
        }
        _ => Err(wrong()),
    }
}

fn principals(value: &Value, form: Form) -> Result<Vec<Principal>, String> {
    let invalid = || "Invalid principal in policy".to_owned();
    let object = match value {
        Value::String(text) if text == "*" => return Ok(vec![Principal::Everybody]),
        Value::Object(object) if !object.is_empty() => object,
        _ => return Err(invalid()),
    };
    let mut principals = Vec::new();
    for (kind, value) in object {
        for text in texts(value, "Principal")? {
            let principal = match (form, kind.as_str()) {
                (Form::Iam, "AWS") => iam_principal(text),
                (Form::Iam, "CanonicalUser") => canonical(text),
                (Form::Iam, "Service") if text.ends_with(".amazonaws.com") => {
                    Some(Principal::Service(text.to_owned()))
                }
                (Form::Cam, kind) if kind.eq_ignore_ascii_case("qcs") => cam_principal(text),
                _ => None,
            };
            principals.push(principal.ok_or_else(invalid)?);
        }
    }
    Ok(principals)
}

fn digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

fn canonical(text: &str) -> Option<Principal> {
    let hex = text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
    hex.then(|| Principal::Canonical(text.to_ascii_lowercase()))
}

/// `*`, an account, its root, a user or a role in it; an account's number is its UIN.
fn iam_principal(text: &str) -> Option<Principal> {
    if text == "*" {
        return Some(Principal::Everybody);
    }
    if digits(text) {
        return Some(Principal::Account(text.to_owned()));
    }
    if let Some(found) = canonical(text) {
        return Some(found);
    }
    let parts: Vec<&str> = text.splitn(6, ':').collect();
    let ["arn", "aws", service @ ("iam" | "sts"), "", account, name] = parts[..] else { return None };
    if !digits(account) {
        return None;
    }
    match (service, name.split_once('/')) {
        ("iam", None) if name == "root" => Some(Principal::Account(account.to_owned())),
        ("iam", Some(("user" | "role", rest))) | ("sts", Some(("assumed-role" | "federated-user", rest)))
            if !rest.is_empty() && !rest.contains('*') =>
        {
            Some(Principal::Within(account.to_owned(), Pattern::new(name)))
        }
        _ => None,
    }
}

/// `*`, `qcs::cam::anyone:anyone`, `qcs::cam::uin/U:uin/S`; the account itself, when S is U.
fn cam_principal(text: &str) -> Option<Principal> {
    if matches!(text, "*" | "qcs::cam::anyone:anyone") {
        return Some(Principal::Everybody);
    }
    let rest = text.strip_prefix("qcs::cam::uin/")?;
    let (owner, name) = rest.split_once(':')?;
    if !digits(owner) {
        return None;
    }
    match name.split_once('/')? {
        ("uin", "*") => Some(Principal::Account(owner.to_owned())),
        ("uin", user) if user == owner => Some(Principal::Account(owner.to_owned())),
        ("uin", user) if digits(user) => Some(Principal::Within(owner.to_owned(), Pattern::new(name))),
        ("roleName" | "roleId", role) if !role.is_empty() => {
            Some(Principal::Within(owner.to_owned(), Pattern::new(name)))
        }
        _ => None,
    }
}

/// A temporary key's policy (`of_key`) may name other services' actions as well.
fn action(text: &str, form: Form, of_key: bool) -> Result<Action, String> {
    let invalid = || format!("Policy has invalid action - {text}");
    let is_name = |text: &str| {
        !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"*?".contains(&b))
    };
    let rest = match form {
        Form::Iam => text,
        Form::Cam => text.strip_prefix("name/").unwrap_or(text),
    };
    if rest == "*" {
        return Ok(Action::Any);
    }
    let action = match (form, rest.split_once(':')) {
        (_, Some((_, name))) if !is_name(name) => Err(invalid()),
        (Form::Iam, Some((service, name))) if service.eq_ignore_ascii_case("s3") => {
            Ok(Action::S3(Pattern::new(name)))
        }
        (Form::Cam, Some(("cos", name))) => Ok(Action::Cos(Pattern::new(name))),
        (_, Some((service, _))) if of_key && is_name(&service.replace('-', "")) => {
            Ok(Action::Other(Pattern::new(rest)))
        }
        _ => Err(invalid()),
    }?;
    // A key's policy is kept as it is: neither token service looks names up.
    if !of_key && names::named(&action).is_some_and(|on| on.is_empty()) {
        return Err(invalid());
    }
    Ok(action)
}

/// Of a bucket's policy a resource must be able to lie in that bucket.
fn resource(text: &str, dialect: Dialect, bucket: Option<&BucketName>) -> Result<Pattern, String> {
    let Dialect { form, variables } = dialect;
    let invalid = || format!("Policy has invalid resource - {text}");
    let tail = match form {
        Form::Iam if text == "*" => return Ok(Pattern::new("*")),
        Form::Iam if bucket.is_none() => text.strip_prefix("arn:").ok_or_else(invalid)?,
        Form::Iam => text.strip_prefix("arn:aws:s3:::").ok_or_else(invalid)?,
        // Written as the whole, so that it is known for one of this form.
        Form::Cam if text == "*" => return Ok(Pattern::new("qcs:*")),
        Form::Cam => {
            let parts: Vec<&str> = text.splitn(6, ':').collect();
            let ["qcs", "", service, _, _, tail] = parts[..] else { return Err(invalid()) };
            if service != "cos" && bucket.is_some() {
                return Err(invalid());
            }
            // CAM's variables are for no path on COS.
            if service == "cos" && tail.split_once('/').is_some_and(|(_, path)| path.contains("${")) {
                return Err(invalid());
            }
            tail
        }
    };
    if tail.is_empty() {
        return Err(invalid());
    }
    if let Some(bucket) = bucket {
        let name = Pattern::new(tail.split('/').next().unwrap_or_default());
        if tail.split('/').next().is_some_and(|name| name.contains("${")) {
            return Err(invalid());
        }
        let inside = match form {
            Form::Iam => name.matches(bucket.as_str()),
            Form::Cam => {
                let short = tail.split('/').next().unwrap_or_default();
                name.matches(bucket.as_str()) || short.starts_with(&format!("{bucket}-"))
            }
        };
        if !inside {
            return Err(invalid());
        }
    }
    Pattern::with(text, variables)
}

fn conditions(object: &Object, variables: Variables) -> Result<Vec<Condition>, String> {
    let mut conditions = Vec::new();
    for (operator, keys) in object {
        let Value::Object(keys) = keys else {
            return Err(format!("The condition {operator} must be an object"));
        };
        for (key, value) in keys {
            let values = match value {
                Value::Array(list) => list.iter().map(text).collect::<Result<Vec<_>, _>>()?,
                single => vec![text(single)?],
            };
            if values.is_empty() {
                return Err(format!("The condition {operator} has no value for {key}"));
            }
            conditions.push(Condition::new(operator, key, values, variables)?);
        }
    }
    Ok(conditions)
}

fn text(value: &Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Bool(flag) => Ok(flag.to_string()),
        Value::Number(number) => Ok(number.to_string()),
        _ => Err("A condition's values must be texts, numbers or booleans".to_owned()),
    }
}
