//! Tags of buckets and objects.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Tags by their keys. Made only by [`Tags::new`], so each key is there once and both sides are
/// of a length and of characters that the services take.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Tags(BTreeMap<String, String>);

/// Why tags are refused; both services answer `InvalidTag` for the first three.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTag {
    #[error("The TagKey you have provided is invalid")]
    Key(String),
    #[error("The TagValue you have provided is invalid")]
    Value(String),
    #[error("Cannot provide multiple Tags with the same key")]
    Twice(String),
    #[error("{0}")]
    TooMany(String),
}

impl Tags {
    /// Longest key and value, in characters (cos-api 3.3, and S3 alike).
    const KEY_MAX: usize = 128;
    const VALUE_MAX: usize = 256;
    /// Most tags of an object, and of a bucket.
    pub const OBJECT_MAX: usize = 10;
    pub const BUCKET_MAX: usize = 50;

    /// # Errors
    /// A key that is empty, too long or there twice; a value that is too long; a character that
    /// is no letter, digit, space or one of `+ - = . _ : / @`.
    pub fn new(pairs: impl IntoIterator<Item = (String, String)>) -> Result<Self, InvalidTag> {
        let mut tags = BTreeMap::new();
        for (key, value) in pairs {
            if key.is_empty() || key.chars().count() > Self::KEY_MAX || !key.chars().all(allowed) {
                return Err(InvalidTag::Key(key));
            }
            if value.chars().count() > Self::VALUE_MAX || !value.chars().all(allowed) {
                return Err(InvalidTag::Value(value));
            }
            if tags.contains_key(&key) {
                return Err(InvalidTag::Twice(key));
            }
            tags.insert(key, value);
        }
        Ok(Self(tags))
    }

    /// [`new`](Self::new) for an object's.
    ///
    /// # Errors
    /// As there, and more than ten.
    pub fn of_object(pairs: impl IntoIterator<Item = (String, String)>) -> Result<Self, InvalidTag> {
        Self::new(pairs)?.at_most(Self::OBJECT_MAX, "Object tags cannot be greater than 10")
    }

    /// [`new`](Self::new) for a bucket's.
    ///
    /// # Errors
    /// As there, and more than fifty.
    pub fn of_bucket(pairs: impl IntoIterator<Item = (String, String)>) -> Result<Self, InvalidTag> {
        Self::new(pairs)?.at_most(Self::BUCKET_MAX, "Bucket tags cannot be greater than 50")
    }

    fn at_most(self, max: usize, why: &str) -> Result<Self, InvalidTag> {
        if self.0.len() > max { Err(InvalidTag::TooMany(why.to_owned())) } else { Ok(self) }
    }

    /// What was stored, as it is.
    pub fn stored(map: BTreeMap<String, String>) -> Self {
        Self(map)
    }

    pub fn into_map(self) -> BTreeMap<String, String> {
        self.0
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }
}

fn allowed(c: char) -> bool {
    c.is_alphanumeric() || c.is_whitespace() && !c.is_control() || "+-=._:/@".contains(c)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn one(key: &str, value: &str) -> Result<Tags, InvalidTag> {
        Tags::new([(key.to_owned(), value.to_owned())])
    }

    #[test]
    fn limits_are_the_services() {
        assert!(one("部门 a+-=._:/@", "").is_ok());
        assert!(one(&"照".repeat(128), &"v".repeat(256)).is_ok());
        assert!(matches!(one(&"k".repeat(129), ""), Err(InvalidTag::Key(_))));
        assert!(matches!(one("", ""), Err(InvalidTag::Key(_))));
        assert!(matches!(one("a&b", ""), Err(InvalidTag::Key(_))));
        assert!(matches!(one("k", &"v".repeat(257)), Err(InvalidTag::Value(_))));
        assert!(matches!(one("k", "a\nb"), Err(InvalidTag::Value(_))));
        let twice = [("k".to_owned(), "1".to_owned()), ("k".to_owned(), "2".to_owned())];
        assert_eq!(Tags::new(twice), Err(InvalidTag::Twice("k".to_owned())));
        let many = |n: usize| (0..n).map(|i| (i.to_string(), String::new()));
        assert!(Tags::of_object(many(10)).is_ok() && Tags::of_bucket(many(50)).is_ok());
        assert!(matches!(Tags::of_object(many(11)), Err(InvalidTag::TooMany(_))));
        assert!(matches!(Tags::of_bucket(many(51)), Err(InvalidTag::TooMany(_))));
    }
}
