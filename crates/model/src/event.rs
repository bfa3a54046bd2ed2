//! The event types of the COS notification table (scf.md 1.3) and the patterns rules use.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ChangeKind;

/// A concrete event; what a message's `eventName` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum EventType {
    CreatedPut,
    CreatedPost,
    CreatedCopy,
    CreatedCompleteMultipartUpload,
    CreatedOrigin,
    CreatedReplication,
    RemovedDelete,
    RemovedDeleteMarkerCreated,
    RestorePost,
    RestoreCompleted,
}

/// Events that one wildcard covers. Restore events have no wildcard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum EventFamily {
    Created,
    Removed,
    Restore,
}

impl EventType {
    pub const ALL: [Self; 10] = [
        Self::CreatedPut,
        Self::CreatedPost,
        Self::CreatedCopy,
        Self::CreatedCompleteMultipartUpload,
        Self::CreatedOrigin,
        Self::CreatedReplication,
        Self::RemovedDelete,
        Self::RemovedDeleteMarkerCreated,
        Self::RestorePost,
        Self::RestoreCompleted,
    ];

    /// COS's spelling: `cos:ObjectCreated:Put`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::CreatedPut => "cos:ObjectCreated:Put",
            Self::CreatedPost => "cos:ObjectCreated:Post",
            Self::CreatedCopy => "cos:ObjectCreated:Copy",
            Self::CreatedCompleteMultipartUpload => "cos:ObjectCreated:CompleteMultipartUpload",
            Self::CreatedOrigin => "cos:ObjectCreated:Origin",
            Self::CreatedReplication => "cos:ObjectCreated:Replication",
            Self::RemovedDelete => "cos:ObjectRemove:Delete",
            Self::RemovedDeleteMarkerCreated => "cos:ObjectRemove:DeleteMarkerCreated",
            Self::RestorePost => "cos:ObjectRestore:Post",
            Self::RestoreCompleted => "cos:ObjectRestore:Completed",
        }
    }

    pub const fn family(self) -> EventFamily {
        match self {
            Self::CreatedPut
            | Self::CreatedPost
            | Self::CreatedCopy
            | Self::CreatedCompleteMultipartUpload
            | Self::CreatedOrigin
            | Self::CreatedReplication => EventFamily::Created,
            Self::RemovedDelete | Self::RemovedDeleteMarkerCreated => EventFamily::Removed,
            Self::RestorePost | Self::RestoreCompleted => EventFamily::Restore,
        }
    }
}

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a rule listens to: one event, or every event of a family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum EventPattern {
    One(EventType),
    /// `cos:ObjectCreated:*` or `cos:ObjectRemove:*`.
    Family(EventFamily),
}

impl EventPattern {
    /// Reads one of the twelve strings. White space is dropped, as the vendor's own templates
    /// print `cos: ObjectRemove:Delete` (scf.md 1.3).
    pub fn parse(text: &str) -> Option<Self> {
        let text: String = text.chars().filter(|c| !c.is_whitespace()).collect();
        match text.as_str() {
            "cos:ObjectCreated:*" => Some(Self::Family(EventFamily::Created)),
            "cos:ObjectRemove:*" => Some(Self::Family(EventFamily::Removed)),
            name => EventType::ALL.into_iter().find(|e| e.name() == name).map(Self::One),
        }
    }

    pub const fn name(self) -> &'static str {
        match self {
            Self::One(event) => event.name(),
            Self::Family(EventFamily::Created) => "cos:ObjectCreated:*",
            Self::Family(EventFamily::Removed) => "cos:ObjectRemove:*",
            Self::Family(EventFamily::Restore) => "cos:ObjectRestore:*",
        }
    }

    pub const fn family(self) -> EventFamily {
        match self {
            Self::One(event) => event.family(),
            Self::Family(family) => family,
        }
    }

    pub fn covers(self, event: EventType) -> bool {
        match self {
            Self::One(one) => one == event,
            Self::Family(family) => family == event.family(),
        }
    }
}

/// All that a rule listens to, in one service's words. Told apart by their form when they are stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Events {
    Cos(EventPattern),
    /// As S3 writes them: `s3:ObjectCreated:*`.
    S3(Vec<String>),
}

impl Events {
    /// The event that `change` is to who listens so.
    pub fn covered(&self, kind: ChangeKind) -> Option<Happened> {
        match self {
            Self::Cos(pattern) => kind.event().filter(|&event| pattern.covers(event)).map(Happened::Cos),
            Self::S3(names) => {
                let happened = kind.s3_event()?;
                let covers = |name: &String| {
                    name == happened
                        || name.strip_suffix('*').is_some_and(|family| happened.starts_with(family))
                };
                names.iter().any(covers).then(|| Happened::S3(happened.to_owned()))
            }
        }
    }

    /// The one of COS, if it is one of COS.
    pub fn cos(&self) -> Option<EventPattern> {
        match self {
            Self::Cos(pattern) => Some(*pattern),
            Self::S3(_) => None,
        }
    }
}

impl fmt::Display for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cos(pattern) => pattern.fmt(f),
            Self::S3(names) => f.write_str(&names.join(", ")),
        }
    }
}

/// What happened, in the words of the rule that it fired. Told apart by their spelling when they are stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Happened {
    Cos(EventType),
    /// With `s3:`.
    S3(String),
}

impl Happened {
    /// With the service's prefix: `cos:ObjectCreated:Put`, `s3:ObjectCreated:Put`.
    pub fn name(&self) -> &str {
        match self {
            Self::Cos(event) => event.name(),
            Self::S3(name) => name,
        }
    }
}

impl fmt::Display for EventPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twelve_strings_parse_and_print() {
        let mut names: Vec<&str> = EventType::ALL.iter().map(|e| e.name()).collect();
        names.extend(["cos:ObjectCreated:*", "cos:ObjectRemove:*"]);
        for name in &names {
            assert_eq!(EventPattern::parse(name).map(EventPattern::name), Some(*name));
        }
        assert_eq!(names.len(), 12);
        assert_eq!(
            EventPattern::parse("cos: ObjectRemove:Delete"),
            Some(EventPattern::One(EventType::RemovedDelete))
        );
        for bad in ["cos:ObjectRestore:*", "s3:ObjectCreated:Put", "cos:ObjectRemoved:Delete", ""] {
            assert_eq!(EventPattern::parse(bad), None, "{bad}");
        }
    }
}
