//! Entity tags.

use std::fmt;

use serde::{Deserialize, Serialize};

/// An object's entity tag, without quotes: the hex MD5 of a single body, or
/// `<hex MD5 of the parts' MD5s>-<number of parts>` of a completed upload.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ETag(String);

impl ETag {
    pub fn of_md5(md5: [u8; 16]) -> Self {
        Self(hex::encode(md5))
    }

    pub fn of_parts(md5_of_md5s: [u8; 16], parts: usize) -> Self {
        Self(format!("{}-{parts}", hex::encode(md5_of_md5s)))
    }

    /// Takes what a client wrote, with or without quotes and a weak mark.
    pub fn parse(text: &str) -> Self {
        let text = text.trim();
        let text = text.strip_prefix("W/").unwrap_or(text);
        Self(text.trim_matches('"').to_owned())
    }

    /// The MD5 that it says, if it is that of a single body.
    pub fn md5(&self) -> Option<[u8; 16]> {
        hex::decode(&self.0).ok()?.try_into().ok()
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// With its double quotes, as headers and XML carry it.
    pub fn quoted(&self) -> String {
        format!("\"{}\"", self.0)
    }
}

impl fmt::Display for ETag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
