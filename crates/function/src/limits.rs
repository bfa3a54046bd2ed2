//! What SCF lets a function be: its checks at creation and change (scf.md 3.6, 3.8, 3.10, 5.9).
//! Pure; knows no store.

use std::ops::RangeInclusive;

use cosette_runtime::{CLOSURE, Runtime};

use crate::{Configuration, Error, Web};

/// Bytes of all names and values of variables together.
const ENVIRONMENT_BYTES_MAX: usize = 4096;

const RESERVED: [&str; 3] = ["SCF_", "QCLOUD_", "TENCENTCLOUD_"];

/// Of a function's run.
pub const TIMEOUT_SECS_MAX: u32 = 900;

/// Of a run that nobody waits for: a day.
const ASYNC_TIMEOUT_SECS_MAX: u32 = 86_400;

/// Of an instance's initialization.
pub const INIT_TIMEOUT_SECS_MAX: u32 = 300;

/// Further attempts after an execution error.
pub const RETRIES_MAX: u32 = 2;

/// How old an asynchronous event may become, in seconds.
pub const MSG_TTL_SECS: RangeInclusive<u32> = 60..=21_600;

/// Functions of an account in one namespace. The cloud begins with 50 and gives more to who asks.
pub const FUNCTIONS_MAX: usize = 1000;

/// Tags of one function.
const TAGS_MAX: usize = 50;

fn invalid(field: &'static str, message: impl Into<String>) -> Error {
    Error::Invalid { field, message: message.into() }
}

fn limit(what: &'static str, message: impl Into<String>) -> Error {
    Error::Limit { what, message: message.into() }
}

pub(crate) fn unknown_runtime(runtime: &str) -> Error {
    invalid("Runtime", format!("Runtime {runtime} is not known"))
}

/// The rule that all names share: letters, digits, `-` and `_`. Those of functions and layers begin with a letter and
/// end with a letter or a digit.
fn named(
    field: &'static str,
    name: &str,
    lengths: RangeInclusive<usize>,
    is_framed: bool,
) -> Result<(), Error> {
    let bytes = name.as_bytes();
    let is_good = lengths.contains(&bytes.len())
        && bytes.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    let has_frame = bytes.first().is_some_and(u8::is_ascii_alphabetic)
        && bytes.last().is_some_and(u8::is_ascii_alphanumeric);
    if is_good && (has_frame || !is_framed) {
        return Ok(());
    }
    let frame = if is_framed { ", begin with a letter and end with a letter or digit" } else { "" };
    let (least, most) = lengths.into_inner();
    Err(invalid(field, format!("{field} must be {least} to {most} letters, digits, - and _{frame}")))
}

pub(crate) fn namespace(name: &str) -> Result<(), Error> {
    named("Namespace", name, 1..=30, false)
}

pub(crate) fn name(name: &str) -> Result<(), Error> {
    named("FunctionName", name, 2..=60, true)
}

/// A version of a layer that is to be made.
pub(crate) fn layer(
    name: &str,
    description: &str,
    runtimes: &[String],
    runtimes_max: usize,
) -> Result<(), Error> {
    named("LayerName", name, 1..=64, true)?;
    self::description(description)?;
    if runtimes.is_empty() || runtimes.len() > runtimes_max {
        return Err(invalid(
            "CompatibleRuntimes",
            format!("CompatibleRuntimes must be 1 to {runtimes_max} runtimes"),
        ));
    }
    // Closures have no packages, and no layers.
    let is_unknown = |runtime: &&String| *runtime == CLOSURE || !Runtime::known(runtime);
    match runtimes.iter().find(is_unknown) {
        Some(runtime) => Err(invalid("CompatibleRuntimes", format!("Runtime {runtime} is not known"))),
        None => Ok(()),
    }
}

pub(crate) fn description(text: &str) -> Result<(), Error> {
    if text.chars().count() <= 1000 {
        return Ok(());
    }
    Err(invalid("Description", "Description must have at most 1000 characters"))
}

/// An alias's name, that does not look like a version.
pub(crate) fn alias(name: &str) -> Result<(), Error> {
    let good = name.len() <= 64
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
        && name.bytes().next().is_some_and(|b| b.is_ascii_alphabetic());
    if good {
        return Ok(());
    }
    Err(invalid("Name", "an alias's name must be 1 to 64 letters, digits, - and _, and begin with a letter"))
}

/// Takes out what only means "no variable" and checks the rest.
pub(crate) fn configuration(configuration: &mut Configuration) -> Result<(), Error> {
    let it = configuration;
    if !Runtime::known(&it.runtime) {
        return Err(unknown_runtime(&it.runtime));
    }
    let needs_none = it.runtime == "CustomRuntime" || it.web.is_some() || it.image.is_some();
    if it.handler.len() > 128 || (it.handler.is_empty() && !needs_none) {
        return Err(invalid("Handler", "Handler must have 1 to 128 characters"));
    }
    description(&it.description)?;
    if it.memory_mb != 64 && !(it.memory_mb.is_multiple_of(128) && (128..=3072).contains(&it.memory_mb)) {
        return Err(invalid("MemorySize", "MemorySize must be 64 or a multiple of 128 from 128 to 3072"));
    }
    let longest = if it.async_run { ASYNC_TIMEOUT_SECS_MAX } else { TIMEOUT_SECS_MAX };
    if !(1..=longest).contains(&it.timeout_secs) {
        return Err(limit("Timeout", format!("Timeout must be 1 to {longest} seconds")));
    }
    if !(3..=INIT_TIMEOUT_SECS_MAX).contains(&it.init_timeout_secs) {
        let message = format!("InitTimeout must be 3 to {INIT_TIMEOUT_SECS_MAX} seconds");
        return Err(limit("InitTimeout", message));
    }
    web(it.web.as_ref())?;
    if it.retry.retries > RETRIES_MAX {
        return Err(limit("RetryNum", format!("RetryNum must be 0 to {RETRIES_MAX}")));
    }
    if !MSG_TTL_SECS.contains(&it.retry.max_age_secs) {
        return Err(limit("MsgTTL", "MsgTTL must be 60 to 21600 seconds"));
    }
    tags(&it.tags)?;
    environment(&mut it.environment)
}

fn web(web: Option<&Web>) -> Result<(), Error> {
    let Some(Web { concurrency, websocket_secs }) = web else { return Ok(()) };
    if !(1..=100).contains(concurrency) {
        return Err(invalid("InstanceConcurrencyConfig", "MaxConcurrency must be 1 to 100"));
    }
    if websocket_secs.is_some_and(|secs| !(10..=7200).contains(&secs)) {
        return Err(invalid("ProtocolParams", "IdleTimeOut must be 10 to 7200 seconds"));
    }
    Ok(())
}

fn tags(tags: &[(String, String)]) -> Result<(), Error> {
    if tags.len() > TAGS_MAX {
        return Err(invalid("Tags", format!("a function has at most {TAGS_MAX} tags")));
    }
    for (at, (key, value)) in tags.iter().enumerate() {
        if !(1..=127).contains(&key.chars().count()) || value.chars().count() > 255 {
            let message = "a tag's key must have 1 to 127 characters, its value at most 255";
            return Err(invalid("Tags", message));
        }
        if tags[..at].iter().any(|(other, _)| other == key) {
            return Err(invalid("Tags", format!("the tag {key} is given twice")));
        }
    }
    Ok(())
}

fn environment(variables: &mut Vec<(String, String)>) -> Result<(), Error> {
    // Clients clear all variables by sending one without name and value (scf.md 3.8).
    variables.retain(|(name, value)| !(name.is_empty() && value.is_empty()));
    for (name, value) in &*variables {
        let good = name.bytes().next().is_some_and(|b| b.is_ascii_alphabetic())
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if !good {
            return Err(invalid(
                "Environment",
                format!("variable name {name:?} must begin with a letter and hold letters, digits and _"),
            ));
        }
        if value.is_empty() || value.contains('\0') {
            return Err(invalid("Environment", format!("the value of variable {name} must not be empty")));
        }
        if RESERVED.iter().any(|prefix| name.starts_with(prefix)) {
            return Err(invalid(
                "EnvironmentSystemProtect",
                format!("variable {name} begins with a prefix that is reserved for the platform"),
            ));
        }
    }
    let mut names: Vec<&str> = variables.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    if let Some(twice) = names.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(invalid("Environment", format!("variable {} is given twice", twice[0])));
    }
    let bytes: usize = variables.iter().map(|(name, value)| name.len() + value.len()).sum();
    if bytes > ENVIRONMENT_BYTES_MAX {
        return Err(invalid(
            "EnvironmentExceededLimit",
            format!("the variables have {bytes} bytes, more than {ENVIRONMENT_BYTES_MAX}"),
        ));
    }
    Ok(())
}

#[allow(clippy::unwrap_used)]
#[cfg(test)]
mod tests {
    use super::*;
    use crate::RetryPolicy;

    fn sound() -> Configuration {
        Configuration {
            description: String::new(),
            runtime: "Python3.9".into(),
            handler: "index.main_handler".into(),
            memory_mb: 128,
            timeout_secs: 3,
            init_timeout_secs: 65,
            environment: Vec::new(),
            role: String::new(),
            retry: RetryPolicy::default(),
            dead_letter: None,
            layers: Vec::new(),
            tags: Vec::new(),
            async_run: false,
            trace: false,
            web: None,
            image: None,
        }
    }

    /// The field or limit that a change of the sound configuration is refused for.
    fn refused(change: impl FnOnce(&mut Configuration)) -> Option<&'static str> {
        let mut changed = sound();
        change(&mut changed);
        match configuration(&mut changed) {
            Ok(()) => None,
            Err(Error::Invalid { field, .. }) => Some(field),
            Err(Error::Limit { what, .. }) => Some(what),
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn names() {
        for good in ["ab", "my-function_1", "A1", &"a".repeat(60)] {
            assert!(name(good).is_ok(), "{good}");
        }
        for bad in ["", "a", "1a", "-ab", "ab-", "ab_", "a b", "a.b", "fünf", &"a".repeat(61)] {
            assert!(name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn sizes_and_times() {
        for mb in [64, 128, 256, 3072] {
            assert_eq!(refused(|c| c.memory_mb = mb), None, "{mb}");
        }
        for mb in [0, 32, 100, 192, 3200, 4096] {
            assert_eq!(refused(|c| c.memory_mb = mb), Some("MemorySize"), "{mb}");
        }
        assert_eq!(refused(|c| c.timeout_secs = 900), None);
        assert_eq!(refused(|c| (c.async_run, c.timeout_secs) = (true, 86_400)), None);
        assert_eq!(refused(|c| (c.async_run, c.timeout_secs) = (true, 86_401)), Some("Timeout"));
        assert_eq!(refused(|c| c.timeout_secs = 0), Some("Timeout"));
        assert_eq!(refused(|c| c.timeout_secs = 901), Some("Timeout"));
        assert_eq!(refused(|c| c.init_timeout_secs = 301), Some("InitTimeout"));
        assert_eq!(refused(|c| c.retry.retries = 3), Some("RetryNum"));
        assert_eq!(refused(|c| c.retry.max_age_secs = 59), Some("MsgTTL"));
        assert_eq!(refused(|c| c.description = "ß".repeat(1000)), None);
        assert_eq!(refused(|c| c.description = "ß".repeat(1001)), Some("Description"));
        assert_eq!(refused(|c| c.runtime = "Ruby3".into()), Some("Runtime"));
        assert_eq!(refused(|c| c.runtime = "Java11".into()), None);
        assert_eq!(refused(|c| c.handler.clear()), Some("Handler"));
        let web = |concurrency, websocket_secs| {
            move |c: &mut Configuration| {
                c.handler.clear();
                c.web = Some(Web { concurrency, websocket_secs });
            }
        };
        assert_eq!(refused(web(100, Some(7200))), None);
        assert_eq!(refused(web(0, None)), Some("InstanceConcurrencyConfig"));
        assert_eq!(refused(web(101, None)), Some("InstanceConcurrencyConfig"));
        assert_eq!(refused(web(1, Some(9))), Some("ProtocolParams"));
    }

    #[test]
    fn variables() {
        let with = |variables: &[(&str, &str)]| {
            let variables = variables.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
            refused(|c| c.environment = variables)
        };
        assert_eq!(with(&[("a_1", "x"), ("B", "ü")]), None);
        assert_eq!(with(&[("", "")]), None);
        assert_eq!(with(&[("", "x")]), Some("Environment"));
        assert_eq!(with(&[("a", "")]), Some("Environment"));
        assert_eq!(with(&[("1a", "x")]), Some("Environment"));
        assert_eq!(with(&[("a", "x"), ("a", "y")]), Some("Environment"));
        for name in ["SCF_X", "QCLOUD_X", "TENCENTCLOUD_SECRETID"] {
            assert_eq!(with(&[(name, "x")]), Some("EnvironmentSystemProtect"));
        }
        assert_eq!(with(&[("ab", &"x".repeat(4094))]), None);
        assert_eq!(with(&[("ab", &"x".repeat(4095))]), Some("EnvironmentExceededLimit"));
    }
}
