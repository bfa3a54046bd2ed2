//! Which objects a rule of a setting is for.

use serde::{Deserialize, Serialize};

/// Objects for which all holds that is said. Empty: all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectFilter {
    pub prefix: Option<String>,
    pub tags: Vec<(String, String)>,
    /// S3, and metrics only: asked through this access point.
    #[serde(default)]
    pub access_point: Option<String>,
}

impl ObjectFilter {
    /// Whether an object of this key and these tags is meant.
    pub fn holds<'a>(&self, key: &str, mut tag: impl FnMut(&str) -> Option<&'a str>) -> bool {
        self.prefix.as_deref().is_none_or(|prefix| key.starts_with(prefix))
            && self.tags.iter().all(|(name, value)| tag(name) == Some(value.as_str()))
    }
}
