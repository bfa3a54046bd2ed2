//! A table of rules and versions, each with where it is said.

use super::*;
use crate::setting::{NoncurrentTransition, Transition};
use crate::{Retention, RetentionMode};

const DAY: u64 = 24 * 3600;

/// So many days, and hours, after a midnight.
fn at(days: u64, hours: u64) -> Timestamp {
    Timestamp::from_secs(1_700_006_400 + days * DAY + hours * 3600)
}

fn rule(id: &str, change: impl FnOnce(&mut LifecycleRule)) -> LifecycleRule {
    let mut rule = LifecycleRule {
        id: id.to_owned(),
        status: Status::Enabled,
        filter: LifecycleFilter::default(),
        transitions: Vec::new(),
        expiration: None,
        noncurrent_transitions: Vec::new(),
        noncurrent_expiration: None,
        abort_uploads: None,
    };
    change(&mut rule);
    rule
}

fn rules(rules: impl IntoIterator<Item = LifecycleRule>) -> Lifecycle {
    Lifecycle { rules: rules.into_iter().collect(), ..Lifecycle::default() }
}

fn expire(days: u32) -> impl FnOnce(&mut LifecycleRule) {
    move |rule| rule.expiration = Some(Expiration::At(When::Days(days)))
}

fn to(days: u32, class: StorageClass) -> Transition {
    Transition { when: When::Days(days), class }
}

/// Written half a day after the beginning, of a mebibyte, in a bucket that never had versions.
fn object(key: &str) -> Aged<'_> {
    Aged {
        key,
        standing: Standing::Only,
        marker: false,
        written: at(0, 12),
        size: 1 << 20,
        class: StorageClass::Standard,
        tags: None,
        lock: Lock::default(),
        tiering: Default::default(),
        restore: None,
    }
}

/// The act that is due then, with its rule.
fn due<'a>(rules: &'a Lifecycle, now: Timestamp, version: &Aged<'_>) -> Option<(Act, &'a str)> {
    rules.outlook(Day::default(), now, version).now.map(|due| (due.act, due.rule))
}

fn next(rules: &Lifecycle, now: Timestamp, version: &Aged<'_>) -> Option<Timestamp> {
    rules.outlook(Day::default(), now, version).next
}

/// S3: "rounding the resulting time to the next day midnight UTC".
#[test]
fn days_end_at_the_midnight_after() {
    let rules = rules([rule("old", expire(3))]);
    let object = object("k");
    assert_eq!(due(&rules, at(3, 23), &object), None);
    assert_eq!(next(&rules, at(3, 23), &object), Some(at(4, 0)));
    assert_eq!(due(&rules, at(4, 0), &object), Some((Act::Remove, "old")));
    assert_eq!(rules.expiry(Day::default(), &object), Some((at(4, 0), "old")));
    let short = Day::of(std::time::Duration::from_secs(10)).unwrap();
    let now = object.written.plus(std::time::Duration::from_secs(30));
    assert!(rules.outlook(short, now, &object).now.is_some());
}

#[test]
fn a_rule_is_for_what_its_filter_says() {
    let tags: BTreeMap<String, String> =
        [("a", "1"), ("b", "2")].map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    let tag = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    type Filter = LifecycleFilter;
    let cases: [(Filter, bool); 12] = [
        (Filter::default(), true),
        (Filter { prefix: Some("log/".into()), ..Filter::default() }, true),
        (Filter { prefix: Some("logs".into()), ..Filter::default() }, false),
        (Filter { not_prefix: Some("log/x".into()), ..Filter::default() }, false),
        (Filter { not_prefix: Some("log/y".into()), ..Filter::default() }, true),
        (Filter { tags: vec![tag("a", "1")], ..Filter::default() }, true),
        (Filter { tags: vec![tag("a", "2")], ..Filter::default() }, false),
        (Filter { tags: vec![tag("a", "1"), tag("c", "3")], ..Filter::default() }, false),
        // Both are exclusive (S3 "Lifecycle configuration elements").
        (Filter { larger: Some(1 << 20), ..Filter::default() }, false),
        (Filter { larger: Some((1 << 20) - 1), ..Filter::default() }, true),
        (Filter { smaller: Some(1 << 20), ..Filter::default() }, false),
        (Filter { smaller: Some((1 << 20) + 1), larger: Some(5), ..Filter::default() }, true),
    ];
    for (filter, is_for) in cases {
        let rules = rules([rule("r", |rule| {
            expire(1)(rule);
            rule.filter = filter.clone();
        })]);
        let object = Aged { tags: Some(&tags), ..object("log/x") };
        assert_eq!(due(&rules, at(2, 0), &object).is_some(), is_for, "{filter:?}");
    }
    let disabled = rules([rule("r", |rule| {
        expire(1)(rule);
        rule.status = Status::Disabled;
    })]);
    assert_eq!(due(&disabled, at(9, 0), &object("k")), None);
    assert!(disabled.is_idle());
}

/// S3: "If you specify a date in the past, all qualified objects become immediately eligible", and
/// the action goes on for as long as the rule is enabled. COS: for what was written before it.
#[test]
fn a_date_is_for_all_or_for_what_is_older() {
    let mut rules =
        rules([rule("dated", |rule| rule.expiration = Some(Expiration::At(When::Date(at(0, 0)))))]);
    let later = object("k");
    let before = Aged { written: Timestamp::from_secs(1_700_000_000), ..later };
    assert_eq!(due(&rules, at(0, 1), &before), Some((Act::Remove, "dated")));
    assert_eq!(due(&rules, at(0, 13), &later), None);
    assert_eq!(due(&rules, at(1, 0), &later), Some((Act::Remove, "dated")));
    rules.written_before = true;
    assert_eq!(due(&rules, at(0, 1), &before), Some((Act::Remove, "dated")));
    assert_eq!(due(&rules, at(9, 0), &later), None);
    assert_eq!(next(&rules, at(9, 0), &later), None);
}

/// S3 "Conflicting lifecycle actions": permanent deletion before transition before delete marker; of
/// transitions the one to the cheapest class; of expirations the earlier.
#[test]
fn of_what_is_due_one_comes_first() {
    use StorageClass::{DeepArchive, Glacier, Standard, StandardIa};
    let both = rules([
        rule("gone", expire(5)),
        rule("down", |rule| rule.transitions = vec![to(5, StandardIa), to(5, Glacier)]),
    ]);
    assert_eq!(due(&both, at(6, 0), &object("k")), Some((Act::Remove, "gone")));
    let current = Aged { standing: Standing::Current { alone: true }, ..object("k") };
    assert_eq!(due(&both, at(6, 0), &current), Some((Act::Move(Glacier), "down")));
    let moved = Aged { class: Glacier, ..current };
    assert_eq!(due(&both, at(6, 0), &moved), Some((Act::Mark, "gone")));
    let twice = rules([rule("late", expire(9)), rule("soon", expire(2))]);
    assert_eq!(due(&twice, at(10, 0), &object("k")), Some((Act::Remove, "soon")));
    assert_eq!(twice.expiry(Day::default(), &object("k")), Some((at(3, 0), "soon")));
    // Never up, and not where it is already.
    let down = rules([rule("down", |rule| rule.transitions = vec![to(0, Glacier)])]);
    for (class, moves) in [(Standard, true), (StandardIa, true), (Glacier, false), (DeepArchive, false)] {
        let object = Aged { class, ..object("k") };
        assert_eq!(due(&down, at(1, 0), &object).is_some(), moves, "{class:?}");
    }
}

/// S3: objects below 128 KiB stay by default, and a filter with a size comes before that; with the
/// other default archives take them. COS: below 64 KiB.
#[test]
fn small_objects_may_stay() {
    use SmallObjects::{Move, Stay, StayInCos, StayUnlessArchived};
    use StorageClass::{Glacier, StandardIa};
    let kib = |size: u64| size << 10;
    for (small, size, class, moves) in [
        (Move, 1, StandardIa, true),
        (Stay, kib(128) - 1, StandardIa, false),
        (Stay, kib(128) - 1, Glacier, false),
        (Stay, kib(128), StandardIa, true),
        (StayUnlessArchived, 1, StandardIa, false),
        (StayUnlessArchived, 1, Glacier, true),
        (StayInCos, kib(64) - 1, Glacier, false),
        (StayInCos, kib(64), Glacier, true),
    ] {
        let mut rules = rules([rule("r", |rule| rule.transitions = vec![to(0, class)])]);
        rules.small = small;
        let object = Aged { size, ..object("k") };
        assert_eq!(due(&rules, at(1, 0), &object).is_some(), moves, "{small:?} {size} {class:?}");
        rules.rules[0].filter.larger = Some(0);
        assert!(due(&rules, at(1, 0), &object).is_some());
    }
}

/// S3: the days of a version that is not current begin when the next one was written, and as many
/// newer ones stay as the rule says.
#[test]
fn versions_that_are_not_current() {
    use StorageClass::Glacier;
    let rules = rules([rule("r", |rule| {
        rule.noncurrent_expiration = Some(Noncurrent { days: 2, keep: Some(1) });
        let after = Noncurrent { days: 1, keep: None };
        rule.noncurrent_transitions = vec![NoncurrentTransition { after, class: Glacier }];
        expire(1)(rule);
    })]);
    let version = |newer| Aged { standing: Standing::Noncurrent { since: at(5, 6), newer }, ..object("k") };
    assert_eq!(due(&rules, at(6, 23), &version(1)), None);
    assert_eq!(due(&rules, at(7, 0), &version(1)), Some((Act::Move(Glacier), "r")));
    assert_eq!(due(&rules, at(8, 0), &version(1)), Some((Act::Remove, "r")));
    assert_eq!(due(&rules, at(8, 0), &version(0)), Some((Act::Move(Glacier), "r")));
    let moved = Aged { class: Glacier, ..version(0) };
    assert_eq!(due(&rules, at(99, 0), &moved), None);
    let marker = Aged { marker: true, ..version(1) };
    assert_eq!(due(&rules, at(7, 0), &marker), None);
    assert_eq!(due(&rules, at(8, 0), &marker), Some((Act::Remove, "r")));
}

/// S3: a delete marker without other versions goes by `ExpiredObjectDeleteMarker`, and by `Days` once
/// it is so old; one that covers versions stays.
#[test]
fn markers_that_nothing_is_left_of() {
    let marker = |alone| Aged { standing: Standing::Current { alone }, marker: true, ..object("k") };
    let cleared = |says| rules([rule("r", move |rule| rule.expiration = Some(Expiration::Marker(says)))]);
    assert_eq!(due(&cleared(true), at(1, 0), &marker(true)), Some((Act::Remove, "r")));
    assert_eq!(due(&cleared(true), at(99, 0), &marker(false)), None);
    assert_eq!(due(&cleared(false), at(99, 0), &marker(true)), None);
    let aged = rules([rule("r", expire(3))]);
    assert_eq!(due(&aged, at(3, 0), &marker(true)), None);
    assert_eq!(due(&aged, at(4, 0), &marker(true)), Some((Act::Remove, "r")));
    // It has no tags and no size.
    let mut tagged = aged.clone();
    tagged.rules[0].filter.tags = vec![("a".into(), "1".into())];
    assert_eq!(due(&tagged, at(9, 0), &marker(true)), None);
}

/// A lock keeps from removal for good (S3 "Object Lock and lifecycle"), not from a marker or a move.
#[test]
fn locks_are_respected() {
    let rules = rules([rule("r", |rule| {
        expire(1)(rule);
        rule.noncurrent_expiration = Some(Noncurrent { days: 1, keep: None });
    })]);
    let until = at(9, 5);
    let retention = Some(Retention { mode: RetentionMode::Governance, until });
    let old = Standing::Noncurrent { since: at(0, 0), newer: 0 };
    for standing in [Standing::Only, old] {
        let held = Aged { standing, lock: Lock { legal_hold: true, ..Lock::default() }, ..object("k") };
        assert_eq!(due(&rules, at(99, 0), &held), None);
        let retained = Aged { lock: Lock { retention, legal_hold: false }, ..held };
        assert_eq!(due(&rules, at(9, 23), &retained), None);
        assert_eq!(next(&rules, at(9, 0), &retained), Some(at(10, 0)));
        assert_eq!(due(&rules, at(10, 0), &retained), Some((Act::Remove, "r")));
    }
    let current = Aged {
        standing: Standing::Current { alone: true },
        lock: Lock { retention, legal_hold: true },
        ..object("k")
    };
    assert_eq!(due(&rules, at(2, 0), &current), Some((Act::Mark, "r")));
}

#[test]
fn uploads_are_aborted_by_prefix_alone() {
    let mut rules = rules([rule("r", |rule| {
        rule.abort_uploads = Some(2);
        rule.filter.prefix = Some("up/".into());
    })]);
    let day = Day::default();
    assert_eq!(rules.abort(day, "up/a", at(0, 12)), Some((at(3, 0), "r")));
    assert_eq!(rules.abort(day, "down/a", at(0, 12)), None);
    rules.rules[0].filter.larger = Some(1);
    assert_eq!(rules.abort(day, "up/a", at(0, 12)), None);
}

#[test]
fn prefixes_cover_all_rules_once() {
    let prefixed = |prefix: &str| rule(prefix, |rule| rule.filter.prefix = Some(prefix.to_owned()));
    let several = rules(["b/", "a", "a/b", "ab", "c"].map(prefixed));
    assert_eq!(several.prefixes(), ["a", "b/", "c"]);
    assert_eq!(rules([prefixed("a"), rule("all", expire(1))]).prefixes(), [""]);
}

/// What a walk need not look for: the bound is never later than what really comes due.
#[test]
fn nothing_written_later_is_due_earlier_than_told() {
    let day = Day::default();
    let keep = Some(3);
    for (bound, rule) in [
        (at(4, 0), rule("r", expire(3))),
        (at(2, 0), rule("r", |rule| rule.noncurrent_expiration = Some(Noncurrent { days: 1, keep: None }))),
        (at(1, 0), rule("r", |rule| rule.noncurrent_expiration = Some(Noncurrent { days: 5, keep }))),
        (at(3, 0), rule("r", |rule| rule.abort_uploads = Some(2))),
        (at(7, 0), rule("r", |rule| rule.expiration = Some(Expiration::At(When::Date(at(7, 0)))))),
        (at(1, 0), rule("r", |rule| rule.expiration = Some(Expiration::At(When::Date(at(0, 0)))))),
    ] {
        assert_eq!(rules([rule.clone()]).earliest(day, at(0, 12)), Some(bound), "{rule:?}");
    }
}
