//! Rules: what they are, which may stand beside each other, and their rows in the store.
//! Knows nothing of deliveries.

use cosette_model::function::{Description, FunctionName, FunctionRef, Home};
use cosette_model::{BucketName, EventPattern, Events, Seq, Style, Target, Timestamp};
use cosette_store::{Bucket, Store, Table, Tx};
use serde::{Deserialize, Serialize};

use crate::matcher::Why;
use crate::{Error, row, stored};

/// Rules of one bucket (scf.md 2.4).
pub const RULES_PER_BUCKET_MAX: usize = 10;
/// COS triggers of one function, over all its qualifiers (scf.md 2.4).
pub const RULES_PER_FUNCTION_MAX: usize = 10;

/// Passed intervals that a rule remembers.
const INTERVALS_MAX: usize = 64;

/// More rules than any store will hold; scans need a bound.
const SCAN_MAX: usize = 100_000;

/// Rule rows: this, then the commit that made the rule in 16 hex digits, so key order is age.
const PREFIX: &str = "rule-";

/// The row with the seq of the last commit that changed any rule.
const VERSION: &[u8] = b"rules";

/// A rule: from events of a bucket to a target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    pub id: String,
    pub bucket: BucketName,
    pub region: String,
    #[serde(alias = "event")]
    pub events: Events,
    /// `""` for none.
    pub prefix: String,
    pub suffix: String,
    #[serde(alias = "function")]
    pub target: Target,
    #[serde(default)]
    pub style: Style,
    pub description: String,
    pub created: Timestamp,
    pub modified: Timestamp,
    /// Active for changes with `from < seq <= to` of any of these; the last is open while enabled.
    pub active: Vec<Interval>,
    /// Set when the rule was deleted. The youngest of these are kept, for who asks why nothing came of a change.
    pub deleted: bool,
    /// Which configuration it is of its bucket's notification, if it is one.
    #[serde(default)]
    pub configuration: Option<Configuration>,
    /// The commit that deleted it.
    #[serde(default)]
    pub ended: Option<Seq>,
}

/// What messages say of the configuration that a rule is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Configuration {
    pub id: String,
    /// The bucket's owner.
    pub owner: String,
    /// Whether the target is to be told, once, that it will hear of the bucket.
    pub greets: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interval {
    pub from: Seq,
    pub to: Option<Seq>,
}

impl Interval {
    fn holds(self, seq: Seq) -> bool {
        self.from < seq && self.to.is_none_or(|to| seq <= to)
    }

    /// Whether no change after `cursor` can lie in it.
    fn is_passed(self, cursor: Seq) -> bool {
        self.to.is_some_and(|to| to <= cursor)
    }
}

impl Rule {
    pub fn enabled(&self) -> bool {
        self.active.last().is_some_and(|i| i.to.is_none())
    }

    /// Whether a change at `seq` falls into a time when the rule was on.
    pub fn is_active_at(&self, seq: Seq) -> bool {
        self.active.iter().any(|interval| interval.holds(seq))
    }

    /// Whether it began with the commit `seq` and its target is to be told so.
    pub(crate) fn greets_at(&self, seq: Seq) -> bool {
        self.configuration.as_ref().is_some_and(|of| of.greets)
            && self.active.first().is_some_and(|interval| interval.from == seq)
    }

    /// The commit that made the rule.
    fn born(&self) -> Seq {
        let hex = self.id.strip_prefix(PREFIX).unwrap_or_default();
        let hex = hex.get(..16).unwrap_or(hex);
        Seq(u64::from_str_radix(hex, 16).unwrap_or_default())
    }

    /// Why the rule was off at `seq`, if it was.
    pub(crate) fn inactive_at(&self, seq: Seq) -> Option<Why> {
        if self.is_active_at(seq) {
            return None;
        }
        Some(match self.ended {
            _ if seq <= self.born() => Why::CreatedLater,
            Some(ended) if seq > ended => Why::Deleted,
            _ => Why::Disabled,
        })
    }

    /// Whether nothing after `cursor` can match.
    pub(crate) fn is_passed(&self, cursor: Seq) -> bool {
        self.active.iter().all(|interval| interval.is_passed(cursor))
    }

    fn open(&mut self, at: Seq) {
        self.active.push(Interval { from: at, to: None });
    }

    fn close(&mut self, at: Seq) {
        if let Some(last) = self.active.last_mut()
            && last.to.is_none()
        {
            last.to = Some(at);
        }
    }

    /// Two rules of one bucket that some event could both fire, by SCF's reading of it (scf.md 2.3).
    fn conflicts(&self, new: &NewRule) -> bool {
        let overlap = |a: &str, b: &str, is_part: fn(&str, &str) -> bool| is_part(a, b) || is_part(b, a);
        let wild = |event| matches!(event, EventPattern::Family(_));
        // A change is told to one function, and to any webhook once.
        let meet = match (&self.target, &new.target) {
            (Target::Function(_), Target::Function(_)) => true,
            (mine, its) => mine == its,
        };
        let Some(event) = self.events.cos() else { return false };
        meet && self.bucket == new.bucket
            && event.family() == new.event.family()
            && (event == new.event || wild(event) || wild(new.event))
            && overlap(&self.prefix, &new.prefix, |a, b| a.starts_with(b))
            && overlap(&self.suffix, &new.suffix, |a, b| a.ends_with(b))
    }

    /// Whether the rule is one of the function's, under any qualifier.
    fn is_of(&self, function: &FunctionName) -> bool {
        self.target.function().is_some_and(|of| of.is_of(function))
    }

    /// The function and the event of a COS trigger, as SCF knows them; `None` for any other rule.
    pub fn as_trigger(&self) -> Option<(&FunctionRef, EventPattern)> {
        let triggers = self.configuration.is_none();
        Some((self.target.function().filter(|_| triggers)?, self.events.cos()?))
    }

    fn is_same(&self, new: &NewRule) -> bool {
        self.target == new.target
            && self.bucket == new.bucket
            && self.events.cos() == Some(new.event)
            && self.prefix == new.prefix
            && self.suffix == new.suffix
    }

    /// For people: what it listens to and for whom.
    fn in_words(&self) -> String {
        format!(
            "{} with prefix \"{}\" and suffix \"{}\" of {}",
            self.events, self.prefix, self.suffix, self.target
        )
    }
}

/// A rule of COS's to be made.
pub struct NewRule {
    pub bucket: BucketName,
    pub event: EventPattern,
    pub prefix: String,
    pub suffix: String,
    pub target: Target,
    pub style: Style,
    pub description: String,
    pub enabled: bool,
}

/// Picks one rule of a target, as the SCF API names those of a function. `None` filters match any.
pub struct RuleSelector {
    pub target: Target,
    pub bucket: BucketName,
    pub event: EventPattern,
    pub prefix: Option<String>,
    pub suffix: Option<String>,
}

impl RuleSelector {
    /// The rule meant: of several, the one without a filter (scf.md 2.1).
    fn pick<'a>(&self, rules: impl IntoIterator<Item = &'a Rule>) -> Result<&'a Rule, Error> {
        let is_any = |wanted: &Option<String>, has: &str| wanted.as_ref().is_none_or(|w| w == has);
        let mut found = rules.into_iter().filter(|rule| {
            rule.target == self.target
                && rule.bucket == self.bucket
                && rule.events.cos() == Some(self.event)
                && is_any(&self.prefix, &rule.prefix)
                && is_any(&self.suffix, &rule.suffix)
        });
        let first = found.next().ok_or(Error::NoSuchRule)?;
        let others: Vec<&Rule> = found.collect();
        if others.is_empty() {
            return Ok(first);
        }
        let is_plain = |rule: &&Rule| rule.prefix.is_empty() && rule.suffix.is_empty();
        others.into_iter().chain([first]).find(is_plain).ok_or(Error::Ambiguous)
    }
}

/// Whether `new` may stand beside the rules there are (none of them deleted). A disabled rule keeps its slot.
fn check(new: &NewRule, rules: &[Rule]) -> Result<(), Error> {
    if rules.iter().any(|rule| rule.is_same(new)) {
        return Err(Error::Exists);
    }
    if let Some(other) = rules.iter().find(|rule| rule.conflicts(new)) {
        return Err(Error::Conflict { with: other.in_words() });
    }
    let Target::Function(function) = &new.target else { return Ok(()) };
    let function = function.full_name();
    let rules: Vec<&Rule> = rules.iter().filter(|rule| rule.as_trigger().is_some()).collect();
    if rules.iter().filter(|rule| rule.bucket == new.bucket).count() >= RULES_PER_BUCKET_MAX {
        return Err(Error::Limit(format!("a bucket has at most {RULES_PER_BUCKET_MAX} rules")));
    }
    if rules.iter().filter(|rule| rule.is_of(&function)).count() >= RULES_PER_FUNCTION_MAX {
        return Err(Error::Limit(format!("a function has at most {RULES_PER_FUNCTION_MAX} COS triggers")));
    }
    Ok(())
}

/// Makes a rule that is active from this commit on.
pub(crate) fn create(tx: &mut Tx<'_>, new: NewRule, target: &Description) -> Result<Rule, Error> {
    let Some(bucket) = tx.bucket(&new.bucket)? else {
        return Err(Error::NoSuchBucket(new.bucket.into_string()));
    };
    if let Some(Home { region, appid }) = &target.home {
        if bucket.region.as_str() != region {
            let (bucket, function) = (bucket.region.into_string(), region.clone());
            return Err(Error::OtherRegion { bucket, function });
        }
        if bucket.owner_appid != *appid {
            return Err(Error::OtherAccount);
        }
    }
    check(&new, &standing(tx)?)?;
    let mut rule = Rule {
        id: format!("{PREFIX}{:016x}", tx.seq().0),
        bucket: new.bucket,
        region: bucket.region.into_string(),
        events: Events::Cos(new.event),
        prefix: new.prefix,
        suffix: new.suffix,
        target: new.target,
        style: new.style,
        description: new.description,
        created: tx.now(),
        modified: tx.now(),
        active: Vec::new(),
        deleted: false,
        configuration: None,
        ended: None,
    };
    if new.enabled {
        rule.open(tx.seq());
    }
    save(tx, &rule)?;
    Ok(rule)
}

/// Switches the rule on or off from this commit on.
pub(crate) fn set_enabled(tx: &mut Tx<'_>, selector: &RuleSelector, enabled: bool) -> Result<Rule, Error> {
    let rules = standing(tx)?;
    let mut rule = selector.pick(&rules)?.clone();
    if rule.enabled() == enabled {
        return Err(Error::Unchanged(enabled));
    }
    if enabled {
        let cursor = stored::saved_cursor_in(tx)?;
        while rule.active.len() >= INTERVALS_MAX && rule.active[0].is_passed(cursor) {
            rule.active.remove(0);
        }
        rule.open(tx.seq());
    } else {
        rule.close(tx.seq());
    }
    rule.modified = tx.now();
    save(tx, &rule)?;
    Ok(rule)
}

/// Takes the picked rule away: what happened before this commit still reaches its function.
pub(crate) fn delete(tx: &mut Tx<'_>, selector: &RuleSelector) -> Result<Rule, Error> {
    let rules = standing(tx)?;
    let rule = selector.pick(&rules)?.clone();
    retire(tx, rule)
}

/// The same of one that is named, and is not a bucket's notification's.
pub(crate) fn delete_by_id(tx: &mut Tx<'_>, id: &str) -> Result<Rule, Error> {
    let is_meant = |rule: &Rule| rule.id == id && rule.configuration.is_none();
    let rule = standing(tx)?.into_iter().find(is_meant).ok_or(Error::NoSuchRule)?;
    retire(tx, rule)
}

/// Takes away all rules that `is_meant`.
pub(crate) fn delete_all(tx: &mut Tx<'_>, is_meant: impl Fn(&Rule) -> bool) -> Result<(), Error> {
    for rule in standing(tx)?.into_iter().filter(is_meant) {
        retire(tx, rule)?;
    }
    Ok(())
}

fn retire(tx: &mut Tx<'_>, mut rule: Rule) -> Result<Rule, Error> {
    rule.close(tx.seq());
    rule.deleted = true;
    rule.ended = Some(tx.seq());
    rule.modified = tx.now();
    save(tx, &rule)?;
    Ok(rule)
}

/// One configuration of a bucket's notification, with its target.
pub struct NewNotification {
    pub configuration: Configuration,
    pub events: Events,
    pub prefix: String,
    pub suffix: String,
    pub target: Target,
    pub style: Style,
}

/// Puts the rules of the bucket's notification in the place of those it had, from this commit on.
///
/// # Errors
/// The store's.
pub fn notify(
    tx: &mut Tx<'_>,
    bucket: &Bucket,
    configurations: Vec<NewNotification>,
) -> cosette_store::Result<()> {
    let is_meant = |rule: &Rule| rule.configuration.is_some() && rule.bucket == bucket.name;
    let retired = delete_all(tx, is_meant);
    let begun = configurations.into_iter().enumerate().try_for_each(|(at, new)| {
        let mut rule = Rule {
            // Below the ids of rules that are made one at a time.
            id: format!("{PREFIX}{:016x}-{at:03}", tx.seq().0),
            bucket: bucket.name.clone(),
            region: bucket.region.as_str().to_owned(),
            events: new.events,
            prefix: new.prefix,
            suffix: new.suffix,
            target: new.target,
            style: new.style,
            description: String::new(),
            created: tx.now(),
            modified: tx.now(),
            active: Vec::new(),
            deleted: false,
            configuration: Some(new.configuration),
            ended: None,
        };
        rule.open(tx.seq());
        save(tx, &rule)
    });
    retired.and(begun).map_err(|error| match error {
        Error::Store(error) => error,
        other => cosette_store::Error::Index(other.to_string()),
    })
}

/// Of the deleted rules that nothing after `cursor` can fire, all but the `kept` that were deleted last.
pub(crate) fn spent(rules: &[Rule], cursor: Seq, kept: usize) -> Vec<String> {
    let mut gone: Vec<&Rule> = rules.iter().filter(|rule| rule.deleted && rule.is_passed(cursor)).collect();
    gone.sort_by_key(|rule| rule.ended);
    let surplus = gone.len().saturating_sub(kept);
    gone[..surplus].iter().map(|rule| rule.id.clone()).collect()
}

/// Removes the rows of deleted rules for good.
pub(crate) fn purge(tx: &mut Tx<'_>, ids: &[String]) {
    if ids.is_empty() {
        return;
    }
    for id in ids {
        tx.delete(Table::Rule, id.as_bytes());
    }
    touch(tx);
}

fn save(tx: &mut Tx<'_>, rule: &Rule) -> Result<(), Error> {
    tx.put(Table::Rule, rule.id.as_bytes(), row::encode(rule)?);
    touch(tx);
    Ok(())
}

fn touch(tx: &mut Tx<'_>) {
    let seq = tx.seq().0.to_be_bytes().to_vec();
    tx.put(Table::TriggerNote, VERSION, seq);
}

/// The rules that are not deleted, oldest first, as this commit sees them.
fn standing(tx: &Tx<'_>) -> Result<Vec<Rule>, Error> {
    let mut rules = decode(tx.scan(Table::Rule, PREFIX.as_bytes(), SCAN_MAX)?)?;
    rules.retain(|rule| !rule.deleted);
    Ok(rules)
}

/// All rules with deleted ones whose end has not been passed, oldest first.
pub(crate) fn all(store: &Store) -> Result<Vec<Rule>, Error> {
    decode(store.scan(Table::Rule, PREFIX.as_bytes(), None, SCAN_MAX)?)
}

/// Changes whenever any rule does.
pub(crate) fn version(store: &Store) -> Result<Option<Vec<u8>>, Error> {
    Ok(store.get(Table::TriggerNote, VERSION)?)
}

fn decode(rows: Vec<(Vec<u8>, Vec<u8>)>) -> Result<Vec<Rule>, Error> {
    rows.iter().map(|(_, value)| Ok(row::decode(value, "rule")?)).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
