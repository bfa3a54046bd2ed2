//! Versions and aliases.

use std::collections::VecDeque;
use std::sync::Mutex;

use super::*;

const SAY: &str = "import os\n\
    def main_handler(event, context):\n\
    \x20   return [os.environ['GREETING'], context['function_version']]\n";

/// Changes what the function says.
async fn say(house: &House, greeting: &str) {
    let environment = Some(vec![("GREETING".to_owned(), greeting.to_owned())]);
    let patch = ConfigurationPatch { environment, ..ConfigurationPatch::default() };
    house.functions.update_configuration(&house.now("f1"), patch).await.unwrap();
}

async fn publish(house: &House) -> Version {
    house.functions.publish(&house.now("f1"), None, false).await.unwrap().version
}

async fn said(house: &House, qualifier: &str) -> String {
    let target = called("f1", qualifier).into();
    let outcome = house.functions.invoke(Invocation { target, ..call("f1", "1") }).await;
    if outcome.status == StatusCode::Success { outcome.result } else { outcome.error }
}

fn alias(name: &str, version: u64, additional: Option<(u64, When)>) -> AliasChange {
    AliasChange {
        name: name.into(),
        version: Version::Number(version),
        additional: additional.map(|(version, when)| Additional { version: Version::Number(version), when }),
        description: None,
    }
}

fn code_of<T: std::fmt::Debug>(result: Result<T, Error>) -> String {
    match result.unwrap_err() {
        Error::Refused { code, .. } => code.to_owned(),
        Error::Invalid { field, .. } => field.to_owned(),
        other => other.to_string(),
    }
}

#[tokio::test]
async fn a_version_stays_what_it_was() {
    let house = House::new();
    house.create("f1", SAY).await;
    assert_eq!(publish(&house).await, Version::Number(1));
    say(&house, "second").await;
    assert_eq!(publish(&house).await, Version::Number(2));
    let code = python("def main_handler(event, context):\n    return 'new'\n");
    let before = house.now("f1").code;
    house.functions.update_code(&house.now("f1"), None, None, code, None).await.unwrap();
    assert!(house.store.is_kept(before).unwrap(), "two versions have it");

    assert_eq!(said(&house, "1").await, r#"["hello", "1"]"#);
    assert_eq!(said(&house, "2").await, r#"["second", "2"]"#);
    for latest in ["$LATEST", "$DEFAULT", ""] {
        assert_eq!(said(&house, latest).await, "\"new\"");
    }
    for missing in ["3", "0", "01", "live"] {
        assert_eq!(said(&house, missing).await, format!("qualifier {missing} of function f1 does not exist"));
    }
    let ran: Vec<_> = house.functions.records(None, 2).unwrap().iter().map(|record| record.version).collect();
    assert_eq!(ran, [None, None]);
    let all: Vec<_> = house.functions.versions(&named("f1")).unwrap();
    let numbers: Vec<_> = all.iter().map(|version| version.version).collect();
    assert_eq!(numbers, [Version::Latest, Version::Number(1), Version::Number(2)]);
    assert_eq!(house.functions.list("1250000000", "ap-guangzhou", "default").unwrap().len(), 1);
    // A name cannot be made to be the key of a version.
    let key = format!("f1\0{}", "\0\0\0\0\0\0\0\u{1}");
    assert!(matches!(house.functions.get(&named(&key)), Err(Error::NoSuchFunction(_))));

    house.functions.delete_version(&house.now("f1"), 1, |_| Ok(())).await.unwrap();
    assert!(house.store.is_kept(before).unwrap(), "one version has it");
    house.functions.delete_version(&house.now("f1"), 2, |_| Ok(())).await.unwrap();
    assert!(!house.store.is_kept(before).unwrap());
    assert!(matches!(
        house.functions.delete_version(&house.now("f1"), 2, |_| Ok(())).await,
        Err(Error::NoSuchQualifier(_))
    ));
    assert_eq!(publish(&house).await, Version::Number(3), "numbers only grow");
    let last = house.now("f1");
    house.functions.delete(&house.now("f1"), |_| Ok(())).await.unwrap();
    assert!(!house.store.is_kept(last.code).unwrap());
    house.create("f1", SAY).await;
    assert_eq!(said(&house, "3").await, "qualifier 3 of function f1 does not exist");
}

#[tokio::test]
async fn a_version_is_of_the_package_while_latest_runs_from_a_folder() {
    let house = House::new();
    house.create("f1", SAY).await;
    let folder = house.folder.0.join("mine");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("index.py"), "def main_handler(event, context):\n    return 'mine'\n")
        .unwrap();
    house.functions.run_from(&named("f1"), Some(folder), None).await.unwrap();
    publish(&house).await;
    assert_eq!(said(&house, "$LATEST").await, "\"mine\"");
    assert_eq!(said(&house, "1").await, r#"["hello", "1"]"#);
}

#[tokio::test]
async fn an_alias_leads_to_its_versions() {
    let house = House::new();
    let drawn = Arc::new(Mutex::new(VecDeque::from([0.29, 0.3, 0.0])));
    let draws = drawn.clone();
    let functions = house.functions.clone().drawing(move || draws.lock().unwrap().pop_front().unwrap());
    house.create("f1", SAY).await;
    publish(&house).await;
    say(&house, "second").await;
    publish(&house).await;
    say(&house, "latest").await;
    let set = async |change, is_new| {
        functions.set_alias(&functions.get(&named("f1")).unwrap(), change, is_new).await
    };

    set(alias("live", 1, None), true).await.unwrap();
    assert_eq!(said(&house, "live").await, r#"["hello", "1"]"#);
    set(alias("live", 2, None), false).await.unwrap();
    assert_eq!(said(&house, "live").await, r#"["second", "2"]"#);
    assert_eq!(functions.records(None, 1).unwrap()[0].version, Some(Version::Number(2)));

    set(alias("live", 1, Some((2, When::Weight(0.3)))), false).await.unwrap();
    for version in ["second", "hello", "second"] {
        assert!(said(&house, "live").await.contains(version));
    }
    assert!(drawn.lock().unwrap().is_empty(), "no more was drawn");

    set(alias("$DEFAULT", 2, None), false).await.unwrap();
    assert_eq!(said(&house, "$DEFAULT").await, r#"["second", "2"]"#);
    assert_eq!(said(&house, "$LATEST").await, r#"["latest", "$LATEST"]"#);

    let method = Method::Exact;
    let rule = When::Rule { key: "invoke.headers.User".into(), method, expression: "B".into() };
    set(alias("beta", 1, Some((2, rule))), true).await.unwrap();
    let routed = |qualifier, key: &str| {
        functions.routed(&called("f1", qualifier), &RoutingKey::parse(key).unwrap()).unwrap()
    };
    assert_eq!(routed("beta", r#"{"User":"B"}"#), Some(Version::Number(2)));
    assert_eq!(routed("beta", r#"{"User":"A"}"#), Some(Version::Number(1)));
    assert_eq!(routed("live", r#"{"User":"B"}"#), None);
    assert_eq!(said(&house, "beta").await, r#"["hello", "1"]"#);

    let names: Vec<_> =
        functions.get(&named("f1")).unwrap().aliases().into_iter().map(|alias| alias.name).collect();
    assert_eq!(names, ["$DEFAULT", "live", "beta"]);
    assert_eq!(
        code_of(functions.delete_version(&functions.get(&named("f1")).unwrap(), 2, |_| Ok(())).await),
        "UnsupportedOperation.AliasBind"
    );
    assert_eq!(
        code_of(functions.delete_alias(&functions.get(&named("f1")).unwrap(), "$DEFAULT", |_| Ok(())).await),
        "Alias"
    );
    assert_eq!(
        code_of(functions.delete_alias(&functions.get(&named("f1")).unwrap(), "none", |_| Ok(())).await),
        "ResourceNotFound.Alias"
    );
    functions.delete_alias(&functions.get(&named("f1")).unwrap(), "live", |_| Ok(())).await.unwrap();
    assert_eq!(said(&house, "live").await, "qualifier live of function f1 does not exist");
}

#[tokio::test]
async fn what_goes_and_what_goes_with_it_are_one_commit() {
    let house = House::new();
    house.create("f1", SAY).await;
    publish(&house).await;
    house.functions.set_alias(&house.now("f1"), alias("live", 1, None), true).await.unwrap();
    let fail = |_: &mut cosette_store::Tx<'_>| Err(cosette_store::Error::Index("no".into()));
    house.functions.delete_alias(&house.now("f1"), "live", fail).await.unwrap_err();
    assert_eq!(said(&house, "live").await, r#"["hello", "1"]"#);
    house.functions.delete_alias(&house.now("f1"), "live", |_| Ok(())).await.unwrap();
    house.functions.delete_version(&house.now("f1"), 1, fail).await.unwrap_err();
    house.functions.delete(&house.now("f1"), fail).await.unwrap_err();
    assert_eq!(said(&house, "1").await, r#"["hello", "1"]"#);
    assert_eq!(said(&house, "$LATEST").await, r#"["hello", "$LATEST"]"#);
}

#[tokio::test]
async fn what_cannot_be_an_alias_is_refused() {
    let house = House::new();
    let function = house.create("f1", SAY).await;
    publish(&house).await;
    let set =
        async |change, is_new| code_of(house.functions.set_alias(&house.now("f1"), change, is_new).await);
    assert_eq!(set(alias("live", 7, None), true).await, "ResourceNotFound.FunctionVersion");
    let missing = Some((7, When::Weight(0.5)));
    assert_eq!(set(alias("live", 1, missing), true).await, "ResourceNotFound.FunctionVersion");
    assert_eq!(set(alias("live", 1, Some((1, When::Weight(0.5)))), true).await, "RoutingConfig");
    assert_eq!(set(alias("live", 1, None), false).await, "ResourceNotFound.Alias");
    for bad in ["1", "$x", "", "a b"] {
        assert_eq!(set(alias(bad, 1, None), true).await, "Name", "{bad}");
    }
    say(&house, "changed").await;
    let late = house.functions.publish(&function, None, true).await;
    assert_eq!(code_of(late), "FailedOperation.PublishVersion");
}

#[tokio::test]
async fn only_latest_runs_from_a_folder() {
    let house = House::new();
    house.create("f1", SAY).await;
    let folder = house.folder.0.join("mine");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("index.py"), "def main_handler(event, context):\n    return 'folder'\n")
        .unwrap();
    house.functions.run_from(&named("f1"), Some(folder), None).await.unwrap();
    assert_eq!(publish(&house).await, Version::Number(1));
    assert_eq!(said(&house, "$LATEST").await, r#""folder""#);
    assert_eq!(said(&house, "1").await, r#"["hello", "1"]"#);
    // A change ends it, and the instance of the folder with it.
    say(&house, "second").await;
    let instances = house.folder.0.join("scratch/instances");
    assert_eq!(std::fs::read_dir(instances).unwrap().count(), 1, "the version's");
    assert_eq!(said(&house, "$LATEST").await, r#"["second", "$LATEST"]"#);
}

#[tokio::test]
async fn there_is_an_end_to_versions() {
    let house = House::new();
    house.create("f1", SAY).await;
    for n in 1..=500 {
        assert_eq!(publish(&house).await, Version::Number(n));
    }
    let more = house.functions.publish(&house.now("f1"), None, false).await;
    assert_eq!(code_of(more), "LimitExceeded.FunctionVersions");
    house.functions.delete_version(&house.now("f1"), 7, |_| Ok(())).await.unwrap();
    assert_eq!(publish(&house).await, Version::Number(501), "no number comes twice");
}
