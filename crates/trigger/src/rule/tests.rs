//! Rules made, found, changed and refused, on a store in memory.

use super::*;

fn function(name: &str) -> FunctionRef {
    FunctionRef {
        appid: "1250000000".into(),
        region: "ap-guangzhou".into(),
        namespace: "default".into(),
        name: name.into(),
        qualifier: "$DEFAULT".into(),
        routed: None,
    }
}

fn new(function_name: &str, event: &str, prefix: &str, suffix: &str) -> NewRule {
    NewRule {
        bucket: BucketName::new("examplebucket-1250000000").unwrap(),
        event: EventPattern::parse(event).unwrap(),
        prefix: prefix.into(),
        suffix: suffix.into(),
        target: function(function_name).into(),
        style: Style::Cos,
        description: String::new(),
        enabled: true,
    }
}

fn standing_rule(new: NewRule) -> Rule {
    Rule {
        id: format!("{PREFIX}{:016x}", 1),
        bucket: new.bucket,
        region: "ap-guangzhou".into(),
        events: Events::Cos(new.event),
        prefix: new.prefix,
        suffix: new.suffix,
        target: new.target,
        style: new.style,
        description: new.description,
        created: Timestamp::default(),
        modified: Timestamp::default(),
        active: Vec::new(),
        deleted: false,
        configuration: None,
        ended: None,
    }
}

/// What becomes of a rule of function `b` beside one of function `a`.
fn conflict(a: (&str, &str, &str), b: (&str, &str, &str)) -> bool {
    let rule = standing_rule(new("a", a.0, a.1, a.2));
    match check(&new("b", b.0, b.1, b.2), &[rule]) {
        Ok(()) => false,
        Err(Error::Conflict { .. }) => true,
        Err(other) => panic!("{other}"),
    }
}

const ANY: &str = "cos:ObjectCreated:*";
const PUT: &str = "cos:ObjectCreated:Put";
const COPY: &str = "cos:ObjectCreated:Copy";
const GONE: &str = "cos:ObjectRemove:*";

#[test]
fn overlapping_rules_conflict() {
    for (a, b, want) in [
        // The unfiltered wildcard takes its whole family and nothing else.
        ((ANY, "", ""), (PUT, "x/", ".jpg"), true),
        ((ANY, "", ""), (GONE, "", ""), false),
        // Different events of one family do not meet.
        ((PUT, "", ""), (COPY, "", ""), false),
        ((PUT, "", ""), (PUT, "", ""), true),
        // Both filters must overlap.
        ((PUT, "Log", ""), (PUT, "Lo", ""), true),
        ((PUT, "Lo", ""), (PUT, "Log", ""), true),
        ((PUT, "log", ""), (PUT, "Log", ""), false),
        ((PUT, "a/", ".jpg"), (PUT, "a/", ".png"), false),
        ((PUT, "a/", ".gz"), (PUT, "a/b/", ".tar.gz"), true),
        ((PUT, "a/", ""), (PUT, "", ".jpg"), true),
        ((ANY, "a/", ""), (PUT, "b/", ""), false),
        ((ANY, "a/", ""), (PUT, "a/b", ""), true),
        // Restores have no wildcard.
        (("cos:ObjectRestore:Post", "", ""), ("cos:ObjectRestore:Completed", "", ""), false),
    ] {
        assert_eq!(conflict(a, b), want, "{a:?} {b:?}");
        assert_eq!(conflict(b, a), want, "{b:?} {a:?}");
    }
}

#[test]
fn rules_of_other_buckets_never_conflict() {
    let rule = standing_rule(new("a", PUT, "", ""));
    let mut other = new("b", PUT, "", "");
    other.bucket = BucketName::new("other-1250000000").unwrap();
    assert!(check(&other, &[rule]).is_ok());
}

#[test]
fn the_same_rule_exists_and_another_qualifier_conflicts() {
    let rules = [standing_rule(new("a", PUT, "x/", ""))];
    assert!(matches!(check(&new("a", PUT, "x/", ""), &rules), Err(Error::Exists)));
    let mut other = new("a", PUT, "x/", "");
    other.target = FunctionRef { qualifier: "$LATEST".into(), ..function("a") }.into();
    assert!(matches!(check(&other, &rules), Err(Error::Conflict { .. })));
}

#[test]
fn ten_rules_fill_a_bucket_and_a_function() {
    let in_bucket: Vec<Rule> =
        (0..10).map(|n| standing_rule(new(&format!("f{n}"), PUT, &format!("{n}/"), ""))).collect();
    assert!(matches!(check(&new("g", COPY, "", ""), &in_bucket), Err(Error::Limit(_))));
    assert!(check(&new("g", COPY, "", ""), &in_bucket[1..]).is_ok());
    let of_function: Vec<Rule> = (0..10)
        .map(|n| {
            let mut new = new("g", PUT, "", "");
            new.bucket = BucketName::new(format!("bucket-{n}")).unwrap();
            standing_rule(new)
        })
        .collect();
    assert!(matches!(check(&new("g", COPY, "", ""), &of_function), Err(Error::Limit(_))));
}

fn selector(prefix: Option<&str>, suffix: Option<&str>) -> RuleSelector {
    RuleSelector {
        target: function("a").into(),
        bucket: BucketName::new("examplebucket-1250000000").unwrap(),
        event: EventPattern::parse(PUT).unwrap(),
        prefix: prefix.map(str::to_owned),
        suffix: suffix.map(str::to_owned),
    }
}

#[test]
fn a_selector_picks_exactly_one_rule() {
    let rule = |prefix: &str, suffix: &str| standing_rule(new("a", PUT, prefix, suffix));
    let [plain, x, y] = [rule("", ""), rule("x/", ".a"), rule("y/", ".a")];
    assert!(matches!(selector(None, None).pick([]), Err(Error::NoSuchRule)));
    assert_eq!(selector(None, None).pick([&x]).unwrap(), &x);
    assert_eq!(selector(None, None).pick([&x, &plain, &y]).unwrap(), &plain);
    assert!(matches!(selector(None, None).pick([&x, &y]), Err(Error::Ambiguous)));
    assert_eq!(selector(Some("y/"), Some(".a")).pick([&x, &y]).unwrap(), &y);
    assert_eq!(selector(Some(""), Some("")).pick([&x, &plain]).unwrap(), &plain);
    assert!(matches!(selector(Some(""), Some("")).pick([&x]), Err(Error::NoSuchRule)));
    assert!(matches!(selector(None, Some(".a")).pick([&x, &y]), Err(Error::Ambiguous)));
    let mut other = selector(None, None);
    other.target = FunctionRef { qualifier: "1".into(), ..function("a") }.into();
    assert!(matches!(other.pick([&x]), Err(Error::NoSuchRule)));
}

#[test]
fn of_deleted_rules_those_are_kept_that_were_deleted_last() {
    let deleted = |born: u64, ended: u64| {
        let mut rule = standing_rule(new("a", PUT, "", ""));
        rule.id = format!("{PREFIX}{born:016x}");
        rule.open(Seq(born));
        rule.close(Seq(ended));
        (rule.deleted, rule.ended) = (true, Some(Seq(ended)));
        rule
    };
    // The oldest was deleted last; the last one's end has not been passed.
    let rules = [deleted(1, 9), deleted(2, 4), deleted(3, 6), deleted(5, 20)];
    let spent = |kept| spent(&rules, Seq(10), kept);
    assert_eq!(spent(1), [rules[1].id.as_str(), &rules[2].id]);
    assert_eq!(spent(2), [rules[1].id.as_str()]);
    assert!(spent(3).is_empty());
}

#[test]
fn intervals_are_open_below_and_closed_above() {
    let mut rule = standing_rule(new("a", PUT, "", ""));
    assert!(!rule.enabled() && !rule.is_active_at(Seq(1)));
    rule.open(Seq(5));
    assert!(rule.enabled());
    assert_eq!([5, 6, 1000].map(|n| rule.is_active_at(Seq(n))), [false, true, true]);
    rule.close(Seq(8));
    rule.open(Seq(11));
    rule.close(Seq(13));
    assert!(!rule.enabled());
    assert_eq!(
        [5, 6, 8, 9, 11, 12, 13, 14].map(|n| rule.is_active_at(Seq(n))),
        [false, true, true, false, false, true, true, false]
    );
    assert!(rule.is_passed(Seq(13)) && !rule.is_passed(Seq(12)));
}

/// A row as it was while functions were the only targets and COS's the only events.
#[test]
fn a_row_that_knew_functions_only_is_read() {
    #[derive(Serialize)]
    struct Old {
        id: &'static str,
        bucket: &'static str,
        region: &'static str,
        event: EventPattern,
        prefix: &'static str,
        suffix: &'static str,
        function: FunctionRef,
        description: &'static str,
        created: Timestamp,
        modified: Timestamp,
        active: Vec<Interval>,
        deleted: bool,
    }
    let event = EventPattern::parse(ANY).unwrap();
    let old = Old {
        id: "rule-0000000000000001",
        bucket: "examplebucket-1250000000",
        region: "ap-guangzhou",
        event,
        prefix: "a/",
        suffix: "",
        function: function("f"),
        description: "",
        created: Timestamp::default(),
        modified: Timestamp::default(),
        active: vec![Interval { from: Seq(1), to: None }],
        deleted: false,
    };
    let read: Rule = row::decode(&row::encode(&old).unwrap(), "rule").unwrap();
    assert_eq!(read.as_trigger(), Some((&function("f"), event)));
    assert_eq!((read.style, read.prefix.as_str()), (Style::Cos, "a/"));
    assert_eq!(row::decode::<Rule>(&row::encode(&read).unwrap(), "rule").unwrap(), read);
}

#[test]
fn a_webhook_may_listen_beside_a_function_but_not_twice() {
    let webhook = |name: &str| Target::Webhook { webhook: name.into() };
    let hooked = |name: &str, event: &str| NewRule { target: webhook(name), ..new("a", event, "", "") };
    let rules = [standing_rule(new("a", ANY, "", "")), standing_rule(hooked("w", ANY))];
    assert!(check(&hooked("v", PUT), &rules).is_ok());
    assert!(matches!(check(&hooked("w", PUT), &rules), Err(Error::Conflict { .. })));
    assert!(matches!(check(&hooked("w", ANY), &rules), Err(Error::Exists)));
}
