//! Rows as they were while keys had no account, and before that no region.

use std::collections::HashMap;

use cosette_model::function::Home;

use super::*;
use crate::concurrency::reserved_key;

fn home() -> Home {
    Home { region: "ap-beijing".into(), appid: "1250000009".into() }
}

/// A key without its first parts, after the byte that tells its kind.
fn strip(key: &[u8], parts: usize) -> Vec<u8> {
    let mut rest = key;
    for _ in 0..parts {
        rest = &rest[rest.iter().position(|byte| *byte == 0).unwrap() + 1..];
    }
    rest.to_vec()
}

fn of_kind(old: u8, rest: Vec<u8>) -> Vec<u8> {
    [vec![old], rest].concat()
}

/// Rewrites all rows into a form of then: an account is told by functions only, and a region too unless it is in keys.
async fn age(store: &Store, has_region: bool) {
    let parts = if has_region { 1 } else { 2 };
    let [reserved, records, counts] = if has_region { *b"fic" } else { *b"rrn" };
    store
        .commit::<_, Error, _>(move |tx| {
            for (key, value) in tx.scan(Table::Function, &[], usize::MAX)? {
                tx.delete(Table::Function, &key);
                tx.put(Table::Function, &strip(&key, parts), value);
            }
            for (key, value) in tx.scan(Table::Concurrency, b"m", usize::MAX)? {
                tx.delete(Table::Concurrency, &key);
                tx.put(Table::Concurrency, &of_kind(reserved, strip(&key, parts)), value);
            }
            for (key, value) in tx.scan(Table::Concurrency, b"q", usize::MAX)? {
                tx.delete(Table::Concurrency, &key);
                tx.put(Table::Concurrency, &of_kind(b'p', strip(&key, 2)), value);
            }
            let mut names = HashMap::new();
            for (key, value) in tx.scan(Table::Invocation, b"l", usize::MAX)? {
                tx.delete(Table::Invocation, &key);
                let by_time = row::time_key_of(&key);
                let mut record: Record = row::decode("record", &value)?;
                let full = record.function.full_name();
                let owner = row::owner(record.id.take().as_deref(), &full);
                let name = strip(&row::function_key(&full), parts);
                let mut key = of_kind(records, name.clone());
                key.push(0);
                key.extend_from_slice(&by_time[1..]);
                names.insert(owner, name);
                record.function.appid.clear();
                if !has_region {
                    record.function.region.clear();
                }
                tx.put(Table::Invocation, &by_time, key.clone());
                tx.put(Table::Invocation, &key, row::encode("record", &record)?);
            }
            for (key, value) in tx.scan(Table::Invocation, b"k", usize::MAX)? {
                tx.delete(Table::Invocation, &key);
                tx.put(Table::Invocation, &of_kind(counts, names[&key[1..]].clone()), value);
            }
            Ok(())
        })
        .await
        .unwrap();
}

#[tokio::test]
async fn what_an_older_server_left_is_found() {
    for has_region in [false, true] {
        upgraded_from(has_region).await;
    }
}

async fn upgraded_from(has_region: bool) {
    let house = House::new();
    let functions = &house.functions;
    let echo = "def main_handler(event, context):\n    return event\n";
    let [region, appid] = ["ap-shanghai", "1250000002"].map(str::to_owned);
    let far = FunctionName { region: region.clone(), appid: appid.clone(), ..named("far") };
    functions.create(NewFunction { region, appid, ..new("far", echo) }).await.unwrap();
    house.create("near", echo).await;
    let near = functions.get(&named("near")).unwrap();
    let version = functions.publish(&near, None, false).await.unwrap();
    functions.provision(&version, 1, Vec::new()).await.unwrap();
    functions.reserve(&functions.get(&far).unwrap(), Some(256)).await.unwrap();
    for name in ["near", "near", "gone"] {
        house.invoke(name, "1").await;
    }
    let before = functions.records(None, 10).unwrap();
    age(&house.store, has_region).await;
    assert!(functions.get(&named("near")).is_err() && functions.get(&far).is_err());

    upgrade(&house.store, &home()).await.unwrap();
    assert_eq!(functions.versions(&named("near")).unwrap().len(), 2);
    assert_eq!(functions.get(&far).unwrap().appid, "1250000002");
    assert_eq!(functions.reserved_mb(&far).unwrap(), Some(256));
    assert!(house.store.scan(Table::Concurrency, &reserved_key(&named("far")), None, 1).unwrap().is_empty());
    assert_eq!(functions.provisioned(&near).unwrap().len(), 1);
    let records = functions.records(Some(&named("near")), 10).unwrap();
    assert_eq!(records.len(), 2);
    assert!(records.iter().all(|record| record.function == called("near", "$DEFAULT")));
    let region = if has_region { "ap-guangzhou" } else { "ap-beijing" };
    let gone = FunctionName { region: region.into(), appid: home().appid, ..named("gone") };
    assert_eq!(functions.records(Some(&gone), 10).unwrap().len(), 1, "of one that is not there");
    let ids = |records: &[Record]| records.iter().map(|record| record.request_id.clone()).collect::<Vec<_>>();
    assert_eq!(ids(&functions.records(None, 10).unwrap()), ids(&before));

    // A second one finds nothing to do, and what is counted goes on being counted.
    let head = house.store.head();
    upgrade(&house.store, &home()).await.unwrap();
    assert_eq!(house.store.head(), head);
    functions.delete(&near, |_| Ok(())).await.unwrap();
    assert!(functions.records(Some(&named("near")), 10).unwrap().is_empty());
    assert_eq!(functions.records(None, 10).unwrap().len(), 1);
}

/// A deletion that was interrupted once the function was gone is finished by the next start, and takes nothing away of
/// a function that has been made of its name since.
#[tokio::test]
async fn records_go_with_their_function_and_not_with_its_name() {
    let house = House::new();
    let echo = "def main_handler(event, context):\n    return event\n";
    house.create("f1", echo).await;
    house.invoke("f1", "1").await;
    let was = house.functions.get(&named("f1")).unwrap();
    let gone = was.clone();
    let delete = move |tx: &mut cosette_store::Tx<'_>| {
        tx.delete(Table::Function, &row::function_key(&gone.full_name()));
        tx.put(Table::Invocation, &row::kind(row::DELETED, gone.id.as_bytes()), Vec::new());
        Ok::<_, Error>(())
    };
    house.store.commit(delete).await.unwrap();
    house.create("f1", echo).await;
    assert!(house.functions.records(Some(&named("f1")), 10).unwrap().is_empty());
    house.invoke("f1", "2").await;
    upgrade(&house.store, &home()).await.unwrap();
    let records = house.functions.records(None, 10).unwrap();
    assert_eq!(records.iter().map(|record| record.event.as_str()).collect::<Vec<_>>(), ["2"]);
    assert_eq!(house.functions.records(Some(&named("f1")), 10).unwrap().len(), 1);
    assert!(house.store.scan(Table::Invocation, &[row::DELETED], None, 1).unwrap().is_empty());
}

#[tokio::test]
async fn one_name_may_be_taken_in_each_namespace_of_each_region_of_each_account() {
    let house = House::new();
    let functions = &house.functions;
    let says = |text: &str| format!("def main_handler(event, context):\n    return {text:?}\n");
    let in_other = |appid: &str, region: &str, namespace: &str| NewFunction {
        appid: appid.into(),
        region: region.into(),
        namespace: namespace.into(),
        ..new("f1", &says(&format!("{appid} {region} {namespace}")))
    };
    let (mine, other) = ("1250000000", "1250000001");
    assert!(matches!(
        functions.create(in_other(mine, "ap-guangzhou", "prod")).await,
        Err(Error::NoSuchNamespace(name)) if name == "prod"
    ));
    functions.create_namespace("1250000000", "ap-guangzhou", "prod", "").await.unwrap();
    for (appid, region, namespace) in [
        (mine, "ap-guangzhou", "default"),
        (mine, "ap-guangzhou", "prod"),
        (mine, "ap-shanghai", "default"),
        (other, "ap-guangzhou", "default"),
    ] {
        functions.create(in_other(appid, region, namespace)).await.unwrap();
        assert!(matches!(functions.create(in_other(appid, region, namespace)).await, Err(Error::Exists(_))));
        let name = full_name(appid, region, namespace, "f1");
        let target = name.clone().under("$LATEST").into();
        let outcome = functions.invoke(Invocation { target, ..call("f1", "1") }).await;
        assert_eq!(outcome.result, format!("\"{appid} {region} {namespace}\""));
        assert_eq!(functions.records(Some(&name), 10).unwrap().len(), 1);
        assert_eq!(functions.list(appid, region, namespace).unwrap().len(), 1);
    }
    assert!(functions.list("1250000001", "ap-guangzhou", "prod").unwrap().is_empty(), "another account's");
    let refused = functions.delete_namespace("1250000000", "ap-guangzhou", "prod").await.unwrap_err();
    assert_eq!(refused.to_string(), "the namespace prod still has function f1");
    let prod = FunctionName { namespace: "prod".into(), ..named("f1") };
    functions.delete(&functions.get(&prod).unwrap(), |_| Ok(())).await.unwrap();
    functions.delete_namespace("1250000000", "ap-guangzhou", "prod").await.unwrap();
    assert!(functions.get(&named("f1")).is_ok());
}
