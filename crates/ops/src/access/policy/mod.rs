//! Bucket policies: a list of statements that allow or deny, in the form of either service's
//! JSON. Parsed strictly when they are put; evaluated for every request.

mod condition;
mod json;
mod keys;
mod names;
mod parse;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
mod wildcard;

use cosette_model::op::Facts;
use cosette_model::{Account, BucketName, ObjectKey};

use super::action::Act;
use condition::Condition;
use wildcard::Pattern;

/// Largest policy, in bytes (both services: 20 KiB).
pub(crate) const BYTES_MAX: usize = 20 << 10;

/// A policy that has been parsed.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Policy {
    statements: Vec<Statement>,
}

#[derive(Clone, Debug, PartialEq)]
struct Statement {
    allow: bool,
    principal: Match<Principal>,
    action: Match<Action>,
    resource: Match<Pattern>,
    /// All must hold.
    conditions: Vec<Condition>,
}

/// Any of these, or anything but these.
#[derive(Clone, Debug, PartialEq)]
enum Match<T> {
    Any(Vec<T>),
    Not(Vec<T>),
}

impl<T> Match<T> {
    fn holds(&self, is: impl Fn(&T) -> bool) -> bool {
        match self {
            Self::Any(list) => list.iter().any(is),
            Self::Not(list) => !list.iter().any(is),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Principal {
    Everybody,
    /// A whole account, by UIN.
    Account(String),
    /// A whole account, by S3's canonical id.
    Canonical(String),
    /// A user or role: the account, and the resource part of the ARN.
    Within(String, Pattern),
    /// Another service of the cloud: `logging.s3.amazonaws.com`.
    Service(String),
}

/// A pattern for one service's names of operations.
#[derive(Clone, Debug, PartialEq)]
enum Action {
    /// Whatever the service.
    Any,
    S3(Pattern),
    Cos(Pattern),
    /// Of another service, with its name: `scf:List*`. Temporary keys are for those as well.
    Other(Pattern),
}

/// What a policy decides on.
pub(crate) struct Request<'a> {
    /// UIN of who asks; `None` is nobody known.
    pub(crate) account: Option<&'a str>,
    /// S3's id of the same account.
    pub(crate) canonical: Option<String>,
    /// The user or role in the account, `assumed-role/name/session`; the account itself has none.
    pub(crate) users: &'a [String],
    /// A service of the cloud that acts by itself.
    pub(crate) service: Option<&'a str>,
    pub(crate) act: Act,
    /// `None`: all buckets there are.
    pub(crate) bucket: Option<&'a BucketName>,
    pub(crate) region: &'a str,
    pub(crate) appid: &'a str,
    pub(crate) key: Option<&'a ObjectKey>,
    pub(crate) facts: &'a Facts,
}

/// What a policy says of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Deny,
    Allow,
    /// Nothing: others decide.
    Silent,
}

impl Policy {
    /// # Errors
    /// In words, what is wrong with it.
    pub(crate) fn parse(text: &[u8], bucket: Option<&BucketName>) -> Result<Self, String> {
        parse::policy(text, bucket)
    }

    /// A deny outdoes every allow.
    pub(crate) fn verdict(&self, request: &Request<'_>) -> Verdict {
        let mut verdict = Verdict::Silent;
        for statement in &self.statements {
            if statement.applies(request) {
                match statement.allow {
                    true => verdict = Verdict::Allow,
                    false => return Verdict::Deny,
                }
            }
        }
        verdict
    }

    /// Whether everybody is allowed something, whatever else must hold: a condition that only some
    /// places or people can meet takes that away (S3, "The meaning of public").
    pub(crate) fn is_public(&self) -> bool {
        self.statements.iter().any(|statement| {
            let everybody = match &statement.principal {
                Match::Any(list) => list.contains(&Principal::Everybody),
                Match::Not(_) => true,
            };
            statement.allow && everybody && !statement.conditions.iter().any(Condition::narrows)
        })
    }

    /// Whether an action of another service, `scf:ListFunctions`, is allowed on a resource. Nothing
    /// is known of the request that a condition could ask for.
    pub(crate) fn permits(&self, name: &str, resource: &str) -> bool {
        let facts = Facts::new();
        let mut allowed = false;
        for statement in &self.statements {
            let applies = statement.action.holds(|action| action.is_named(name))
                && statement.resource.holds(|pattern| pattern.is_all() || pattern.matches(resource))
                && statement.conditions.iter().all(|condition| condition.holds(&facts));
            match statement.allow {
                false if applies => return false,
                allow => allowed |= allow && applies,
            }
        }
        allowed
    }

    /// A resource of another account than this one, as CAM writes them.
    pub(crate) fn foreign(&self, account: &Account) -> Option<String> {
        let own = ["", "*"].map(str::to_owned).into_iter();
        let own: Vec<_> =
            own.chain([format!("uid/{}", account.appid), format!("uin/{}", account.uin)]).collect();
        let patterns = self.statements.iter().flat_map(|statement| match &statement.resource {
            Match::Any(list) | Match::Not(list) => list,
        });
        patterns
            .filter(|pattern| pattern.is_qcs())
            .map(Pattern::text)
            .find(|text| text.split(':').nth(4).is_some_and(|owner| !own.iter().any(|known| known == owner)))
    }

    /// Whether anything of it depends on the facts of a request.
    pub(crate) fn has_conditions(&self) -> bool {
        self.statements.iter().any(|statement| {
            let (Match::Any(resources) | Match::Not(resources)) = &statement.resource;
            !statement.conditions.is_empty() || resources.iter().any(Pattern::has_variables)
        })
    }
}

impl Statement {
    fn applies(&self, request: &Request<'_>) -> bool {
        self.principal.holds(|principal| principal.is(request))
            && self.action.holds(|action| action.is(request))
            && self.resource.holds(|pattern| {
                pattern.of(request.facts).is_some_and(|pattern| is_resource(&pattern, request))
            })
            && self.conditions.iter().all(|condition| condition.holds(request.facts))
    }
}

impl Principal {
    fn is(&self, request: &Request<'_>) -> bool {
        match self {
            Self::Everybody => true,
            Self::Service(name) => request.service == Some(name),
            Self::Account(uin) => request.account == Some(uin),
            Self::Canonical(id) => request.canonical.as_ref() == Some(id),
            Self::Within(uin, user) => {
                request.account == Some(uin) && request.users.iter().any(|name| user.matches(name))
            }
        }
    }
}

impl Action {
    fn is_named(&self, name: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Other(pattern) => pattern.matches_ignoring_case(name),
            Self::S3(_) | Self::Cos(_) => false,
        }
    }

    fn is(&self, request: &Request<'_>) -> bool {
        match self {
            Self::Any => true,
            Self::Other(_) => false,
            Self::S3(pattern) => pattern.matches_ignoring_case(request.act.s3),
            Self::Cos(pattern) => pattern.matches_ignoring_case(request.act.cos),
        }
    }
}

/// `arn:aws:s3:::bucket/key`, or `qcs::cos:region:uid/appid:bucket/key`, where a bucket itself is
/// `bucket/` and may be written without the stroke.
fn is_resource(pattern: &Pattern, request: &Request<'_>) -> bool {
    let key = request.key.map(ObjectKey::as_str);
    if pattern.is_qcs() {
        let (region, appid) = (request.region, request.appid);
        // A bucket made without APPID has it in its COS name all the same.
        let (short, name) = match request.bucket.map(|bucket| (bucket, bucket.split_appid())) {
            Some((bucket, (short, Some(_)))) => (short, bucket.to_string()),
            Some((bucket, _)) => (bucket.as_str(), format!("{bucket}-{appid}")),
            None => ("*", "*".to_owned()),
        };
        let whole = |uid: &str, region: &str, tail: &str| format!("qcs::cos:{region}:{uid}:{tail}");
        let rest = key.unwrap_or_default();
        // The second is an older form, which the token service's page still shows.
        let mut tails = vec![format!("{name}/{rest}"), format!("prefix//{appid}/{short}/{rest}")];
        if key.is_none() {
            tails.push(name);
        }
        // Region and account may be left out.
        let uid = format!("uid/{appid}");
        tails.iter().any(|tail| {
            [uid.as_str(), ""]
                .iter()
                .any(|uid| [region, ""].iter().any(|region| pattern.matches(&whole(uid, region, tail))))
        })
    } else {
        let bucket = request.bucket.map_or("*", BucketName::as_str);
        match key {
            Some(key) => pattern.matches(&format!("arn:aws:s3:::{bucket}/{key}")),
            None => pattern.matches(&format!("arn:aws:s3:::{bucket}")),
        }
    }
}
