//! Why something is not done.

/// The codes that the service has for these are `control`'s.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("there is no domain {0}")]
    NoSuchDomain(String),
    #[error("the domain {0} is another account's")]
    NotYours(String),
    #[error("the domain {0} exists")]
    Exists(String),
    /// Who asks for it may not have it.
    #[error("the domain {0} is in use by another account")]
    UsedByOther(String),
    #[error("{name} is {by} already")]
    Taken { name: String, by: cosette_store::NameOf },
    #[error("{0}")]
    TooMany(String),
    #[error("the domain {0} is running: stop it first")]
    Running(String),
    #[error("the domain {0} is stopped")]
    Stopped(String),
    /// A URL, or an area that is not the domain's.
    #[error("{0}")]
    Invalid(String),
    #[error("{0} names all domains below one: give each by its name")]
    Wildcard(String),
    /// More than one call takes: of what, and how much.
    #[error("a call takes at most {max} of these")]
    Batch { kind: crate::Kind, max: usize },
    /// More than a day has.
    #[error("{max} a day are allowed in {area}, and {left} are left")]
    Day { kind: crate::Kind, area: &'static str, max: usize, left: usize },
    #[error(transparent)]
    Store(#[from] cosette_store::Error),
}
