//! Identifiers. Each is a type of its own, so that no two can be mixed, and each
//! that a client may choose can only be made by its own check.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Why a text is not the name it was meant to be. The wire turns it into an error code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidName {
    #[error("the bucket name is not valid")]
    Bucket,
    #[error("the object key is empty or holds a character that is not allowed")]
    Key,
    #[error("the object key is longer than {max} bytes")]
    KeyTooLong { max: usize },
    #[error("the part number must be between 1 and 10000")]
    PartNumber,
    #[error("the region name is not valid")]
    Region,
}

macro_rules! text {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            pub fn as_str(&self) -> &str {
                &self.0
            }

            pub fn into_string(self) -> String {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }
    };
}

text! {
    /// A bucket's full name. On COS it is `<name>-<APPID>`; S3 clients may leave the APPID out.
    ///
    /// Invariants: 3 to 63 bytes of `a-z 0-9 - .`, beginning and ending with a letter or digit,
    /// no `..`, not shaped like an IPv4 address (the union of what both services accept:
    /// COS 436/13312, and the S3 user guide's bucket naming rules).
    BucketName
}

impl BucketName {
    pub fn new(text: impl Into<String>) -> Result<Self, InvalidName> {
        let text = text.into();
        let bytes = text.as_bytes();
        let edge = |b: Option<&u8>| b.is_some_and(u8::is_ascii_alphanumeric);
        // Labels of a host's name, each of which begins and ends so.
        let labels = text.split('.').all(|label| {
            let label = label.as_bytes();
            edge(label.first()) && edge(label.last())
        });
        let plain = |b: &u8| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.');
        let is_ip = bytes.iter().all(|b| b.is_ascii_digit() || *b == b'.')
            && bytes.iter().filter(|b| **b == b'.').count() == 3;
        if !(3..=63).contains(&bytes.len()) || !bytes.iter().all(plain) || !labels || is_ip {
            return Err(InvalidName::Bucket);
        }
        Ok(Self(text))
    }

    /// `("examplebucket", Some("1250000000"))` for `examplebucket-1250000000`;
    /// `(whole, None)` when the last label is not a number.
    pub fn split_appid(&self) -> (&str, Option<&str>) {
        match self.0.rsplit_once('-') {
            Some((name, appid))
                if !name.is_empty() && appid.len() >= 4 && appid.bytes().all(|b| b.is_ascii_digit()) =>
            {
                (name, Some(appid))
            }
            _ => (&self.0, None),
        }
    }
}

text! {
    /// An object's key: 1 to 1024 bytes of UTF-8 (S3's limit; COS's own 850 is `ObjectKey::COS_MAX`).
    ObjectKey
}

impl ObjectKey {
    /// The longest key of S3, in bytes.
    pub const S3_MAX: usize = 1024;
    /// The longest key of COS, in bytes (436/13324).
    pub const COS_MAX: usize = 850;

    pub fn new(text: impl Into<String>) -> Result<Self, InvalidName> {
        let text = text.into();
        match text.len() {
            0 => Err(InvalidName::Key),
            n if n > Self::S3_MAX => Err(InvalidName::KeyTooLong { max: Self::S3_MAX }),
            _ => Ok(Self(text)),
        }
    }
}

text! {
    /// A region's name, such as `ap-guangzhou`: lower-case letters, digits and `-`.
    Region
}

impl Region {
    /// The region of a server that is told nothing (design section 10).
    pub const DEFAULT: &str = "ap-guangzhou";

    pub fn new(text: impl Into<String>) -> Result<Self, InvalidName> {
        let text = text.into();
        let ok = (2..=40).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if ok { Ok(Self(text)) } else { Err(InvalidName::Region) }
    }
}

impl Default for Region {
    fn default() -> Self {
        Self(Self::DEFAULT.to_owned())
    }
}

text! {
    /// The id of one request: what `x-cos-request-id` / `x-amz-request-id` carries, and what
    /// every record caused by the request remembers.
    RequestId
}

impl RequestId {
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The second id of a request, derived from the first: what `x-cos-trace-id` / `x-amz-id-2` carries.
    pub fn trace_id(&self) -> String {
        STANDARD.encode(Sha256::digest(&self.0))
    }
}

text! {
    /// A multipart upload's id. We make 74 characters `[a-z0-9]`, COS's own form; any other
    /// text a client sends simply names no upload.
    UploadId
}

impl UploadId {
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

/// A version of an object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum VersionId {
    /// The one version of a key that was written while versioning was not enabled.
    Null,
    /// Opaque text made by us (27 characters, cos-api 4.2) or, if a client sent it, anything.
    Id(String),
}

impl VersionId {
    /// The id of the version made at this many microseconds since 1970: unpadded base64 of the
    /// decimal text of 2^64 less that, 27 characters; newer versions have smaller ids (cos-api 4.2).
    pub fn of_stamp(micros: u64) -> Self {
        let number = (1u128 << 64) - u128::from(micros.max(1));
        Self::Id(STANDARD_NO_PAD.encode(number.to_string()))
    }

    /// The microseconds it was made of; `None` for `Null` and for what we never made.
    pub fn stamp(&self) -> Option<u64> {
        let Self::Id(id) = self else { return None };
        let digits = String::from_utf8(STANDARD_NO_PAD.decode(id).ok()?).ok()?;
        let micros = u64::try_from((1u128 << 64).checked_sub(digits.parse().ok()?)?).ok()?;
        (Self::of_stamp(micros) == *self).then_some(micros)
    }

    pub fn parse(text: &str) -> Self {
        if text == "null" { Self::Null } else { Self::Id(text.to_owned()) }
    }

    pub fn as_str(&self) -> &str {
        match self {
            Self::Null => "null",
            Self::Id(id) => id,
        }
    }
}

/// The place of a commit in the order of all commits. The first is 1; 0 is before everything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Seq(pub u64);

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A part's number within its upload, 1 to 10000.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PartNumber(u16);

impl PartNumber {
    pub const MAX: u16 = 10_000;

    pub fn new(number: u64) -> Result<Self, InvalidName> {
        match u16::try_from(number) {
            Ok(n) if (1..=Self::MAX).contains(&n) => Ok(Self(n)),
            _ => Err(InvalidName::PartNumber),
        }
    }

    pub const fn get(self) -> u16 {
        self.0
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn bucket_names() {
        for good in ["examplebucket-1250000000", "abc", "a.b-c", "123"] {
            assert!(BucketName::new(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "ab",
            "_cosette",
            "-abc",
            "abc-",
            "Abc",
            "a..b",
            "a-.b",
            "a.-b",
            "1.2.3.4",
            "a/b",
            &"a".repeat(64),
        ] {
            assert_eq!(BucketName::new(bad), Err(InvalidName::Bucket), "{bad}");
        }
    }

    /// The documentation's sample beside its `Last-Modified` (cos-api 4.2).
    #[test]
    fn version_ids_are_the_services_own() {
        let id = VersionId::parse("MTg0NDUwNzM2MDQ5NDkzMDUwNjA");
        let micros = id.stamp().unwrap();
        assert_eq!(micros / 1_000_000, 1_670_468_760, "Thu, 08 Dec 2022 03:06:00 GMT");
        assert_eq!(VersionId::of_stamp(micros), id);
        assert!(VersionId::of_stamp(micros + 1).as_str() < id.as_str());
        for other in ["null", "", "test", "MTg0NDUwNzM2MDQ5NDkzMDUwNjA=", "MDAwMQ", "LTE"] {
            assert_eq!(VersionId::parse(other).stamp(), None, "{other}");
        }
    }

    #[test]
    fn appid_is_the_last_label() {
        let split = |s: &str| {
            let name = BucketName::new(s).unwrap();
            let (a, b) = name.split_appid();
            (a.to_owned(), b.map(str::to_owned))
        };
        assert_eq!(split("examplebucket-1250000000"), ("examplebucket".into(), Some("1250000000".into())));
        assert_eq!(split("photos"), ("photos".into(), None));
        assert_eq!(split("photos-12"), ("photos-12".into(), None));
    }
}
