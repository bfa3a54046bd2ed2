//! The parameters of an action of the token service, and what the service says of wrong ones.

use std::cell::RefCell;

use super::Refused;
use crate::query::Query;

/// Parameters of an action. What no reader has asked for is refused at the end.
pub(super) struct Parameters<'a> {
    query: &'a Query,
    known: RefCell<Vec<&'static str>>,
}

/// What a text must be: lengths in characters, and which others than letters, digits and `_`.
#[derive(Clone, Copy)]
pub(super) struct Shape {
    pub(super) min: usize,
    pub(super) max: usize,
    pub(super) others: &'static str,
}

impl<'a> Parameters<'a> {
    pub(super) fn new(query: &'a Query) -> Self {
        Self { query, known: RefCell::new(vec!["Action", "Version"]) }
    }

    pub(super) fn text(&self, name: &'static str) -> Option<&'a str> {
        self.known.borrow_mut().push(name);
        self.query.get(name)
    }

    pub(super) fn needed(&self, name: &'static str) -> Result<&'a str, Refused> {
        self.text(name).filter(|text| !text.is_empty()).ok_or_else(|| {
            let member = member(name);
            wrong(format!(
                "1 validation error detected: Value null at '{member}' failed to satisfy constraint: Member must not be null"
            ))
        })
    }

    /// A needed text of this shape.
    pub(super) fn shaped(&self, name: &'static str, shape: Shape) -> Result<&'a str, Refused> {
        let text = self.needed(name)?;
        check(name, text, shape)?;
        Ok(text)
    }

    pub(super) fn shaped_if_any(&self, name: &'static str, shape: Shape) -> Result<Option<&'a str>, Refused> {
        let text = self.text(name);
        if let Some(text) = text {
            check(name, text, shape)?;
        }
        Ok(text)
    }

    /// `DurationSeconds`, 900 and more.
    pub(super) fn seconds(&self, default: u64, max: u64) -> Result<u64, Refused> {
        const NAME: &str = "DurationSeconds";
        let Some(text) = self.text(NAME) else { return Ok(default) };
        let seconds: i64 =
            text.parse().map_err(|_| Refused::new(400, "MalformedInput", "DurationSeconds is no number"))?;
        let must = |what: &str| violated(NAME, text, &format!("Member must have value {what}"));
        match u64::try_from(seconds) {
            Ok(seconds) if seconds > max => Err(must(&format!("less than or equal to {max}"))),
            Ok(seconds) if seconds >= 900 => Ok(seconds),
            _ => Err(must("greater than or equal to 900")),
        }
    }

    /// Refuses what no reader has asked for: nothing is taken and ignored.
    pub(super) fn end(&self) -> Result<(), Refused> {
        let known = self.known.borrow();
        match self.query.pairs().find(|(name, _)| !known.contains(name) && !name.starts_with("X-Amz-")) {
            Some((name, _)) => Err(Refused::new(
                501,
                "NotImplemented",
                format!("The parameter {name} is not implemented by this server"),
            )),
            None => Ok(()),
        }
    }
}

fn check(name: &'static str, text: &str, shape: Shape) -> Result<(), Refused> {
    let length = text.chars().count();
    if length < shape.min {
        let what = format!("Member must have length greater than or equal to {}", shape.min);
        return Err(violated(name, text, &what));
    }
    if length > shape.max {
        let what = format!("Member must have length less than or equal to {}", shape.max);
        return Err(violated(name, text, &what));
    }
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_' || shape.others.contains(c);
    if !text.chars().all(fits) {
        let what = format!(
            "Member must satisfy regular expression pattern: [\\w{}]*",
            shape.others.replace('/', "\\/")
        );
        return Err(violated(name, text, &what));
    }
    Ok(())
}

/// `durationSeconds` of `DurationSeconds`.
fn member(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map(|first| first.to_ascii_lowercase()).into_iter().chain(letters).collect()
}

fn violated(name: &str, value: &str, what: &str) -> Refused {
    wrong(format!(
        "1 validation error detected: Value '{value}' at '{}' failed to satisfy constraint: {what}",
        member(name)
    ))
}

pub(super) fn wrong(words: impl Into<String>) -> Refused {
    Refused::new(400, "ValidationError", words)
}
