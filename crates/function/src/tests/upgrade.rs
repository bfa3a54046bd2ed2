//! Rows as they were while keys had no region.

use super::*;
use crate::concurrency::reserved_key;

/// Rewrites all rows into the form of then: a region is told by functions only.
async fn age(store: &Store) {
    let strip = |key: &[u8], kinds: usize| {
        let (kind, rest) = key.split_at(kinds);
        let at = rest.iter().position(|byte| *byte == 0).unwrap();
        [kind, &rest[at + 1..]].concat()
    };
    store
        .commit::<_, Error, _>(move |tx| {
            for (key, value) in tx.scan(Table::Function, &[], usize::MAX)? {
                tx.delete(Table::Function, &key);
                tx.put(Table::Function, &strip(&key, 0), value);
            }
            for (kind, old) in [(b"f", b'r')] {
                for (key, value) in tx.scan(Table::Concurrency, kind, usize::MAX)? {
                    tx.delete(Table::Concurrency, &key);
                    let mut key = strip(&key, 1);
                    key[0] = old;
                    tx.put(Table::Concurrency, &key, value);
                }
            }
            for (kind, old) in [(b"i", b'r'), (b"c", b'n')] {
                for (key, value) in tx.scan(Table::Invocation, kind, usize::MAX)? {
                    tx.delete(Table::Invocation, &key);
                    let by_time = row::time_key_of(&key);
                    let mut key = strip(&key, 1);
                    key[0] = old;
                    if old == b'n' {
                        tx.put(Table::Invocation, &key, value);
                        continue;
                    }
                    let mut record: Record = row::decode("record", &value)?;
                    record.function.region.clear();
                    tx.put(Table::Invocation, &by_time, key.clone());
                    tx.put(Table::Invocation, &key, row::encode("record", &record)?);
                }
            }
            Ok(())
        })
        .await
        .unwrap();
}

#[tokio::test]
async fn what_an_older_server_left_is_found() {
    let house = House::new();
    let functions = &house.functions;
    let echo = "def main_handler(event, context):\n    return event\n";
    let shanghai = FunctionName { region: "ap-shanghai".into(), ..named("far") };
    functions.create(NewFunction { region: "ap-shanghai".into(), ..new("far", echo) }).await.unwrap();
    house.create("near", echo).await;
    functions.publish(&functions.get(&named("near")).unwrap(), None, false).await.unwrap();
    functions.reserve(&functions.get(&shanghai).unwrap(), Some(256)).await.unwrap();
    for name in ["near", "near", "gone"] {
        house.invoke(name, "1").await;
    }
    let before = functions.records(None, 10).unwrap();
    age(&house.store).await;
    assert!(functions.get(&named("near")).is_err() && functions.get(&shanghai).is_err());

    upgrade(&house.store, "ap-beijing").await.unwrap();
    assert_eq!(functions.versions(&named("near")).unwrap().len(), 2);
    assert_eq!(functions.get(&shanghai).unwrap().region, "ap-shanghai");
    assert_eq!(functions.reserved_mb(&shanghai).unwrap(), Some(256));
    assert!(house.store.scan(Table::Concurrency, &reserved_key(&named("far")), None, 1).unwrap().is_empty());
    let near = functions.records(Some(&named("near")), 10).unwrap();
    assert_eq!(near.len(), 2);
    assert!(near.iter().all(|record| record.function.region == "ap-guangzhou"));
    let gone = FunctionName { region: "ap-beijing".into(), ..named("gone") };
    assert_eq!(functions.records(Some(&gone), 10).unwrap().len(), 1, "of one that is not there");
    let ids = |records: &[Record]| records.iter().map(|record| record.request_id.clone()).collect::<Vec<_>>();
    assert_eq!(ids(&functions.records(None, 10).unwrap()), ids(&before));

    // A second one finds nothing to do, and what is counted goes on being counted.
    let head = house.store.head();
    upgrade(&house.store, "ap-beijing").await.unwrap();
    assert_eq!(house.store.head(), head);
    functions.delete(&functions.get(&named("near")).unwrap(), |_| Ok(())).await.unwrap();
    assert!(functions.records(Some(&named("near")), 10).unwrap().is_empty());
}

#[tokio::test]
async fn one_name_may_be_taken_in_each_region_and_namespace() {
    let house = House::new();
    let functions = &house.functions;
    let says = |text: &str| format!("def main_handler(event, context):\n    return {text:?}\n");
    let in_other = |region: &str, namespace: &str| NewFunction {
        region: region.into(),
        namespace: namespace.into(),
        ..new("f1", &says(&format!("{region} {namespace}")))
    };
    assert!(matches!(
        functions.create(in_other("ap-guangzhou", "prod")).await,
        Err(Error::NoSuchNamespace(name)) if name == "prod"
    ));
    functions.create_namespace("1250000000", "ap-guangzhou", "prod", "").await.unwrap();
    for (region, namespace) in
        [("ap-guangzhou", "default"), ("ap-guangzhou", "prod"), ("ap-shanghai", "default")]
    {
        functions.create(in_other(region, namespace)).await.unwrap();
        assert!(matches!(functions.create(in_other(region, namespace)).await, Err(Error::Exists(_))));
        let name = FunctionName { region: region.into(), namespace: namespace.into(), name: "f1".into() };
        let target = name.clone().under("$LATEST").into();
        let outcome = functions.invoke(Invocation { target, ..call("f1", "1") }).await;
        assert_eq!(outcome.result, format!("\"{region} {namespace}\""));
        assert_eq!(functions.records(Some(&name), 10).unwrap().len(), 1);
        assert_eq!(functions.list("1250000000", region, namespace).unwrap().len(), 1);
    }
    assert!(functions.list("1250000001", "ap-guangzhou", "prod").unwrap().is_empty(), "another account's");
    let refused = functions.delete_namespace("1250000000", "ap-guangzhou", "prod").await.unwrap_err();
    assert_eq!(refused.to_string(), "the namespace prod still has function f1");
    let prod = FunctionName { namespace: "prod".into(), ..named("f1") };
    functions.delete(&functions.get(&prod).unwrap(), |_| Ok(())).await.unwrap();
    functions.delete_namespace("1250000000", "ap-guangzhou", "prod").await.unwrap();
    assert!(functions.get(&named("f1")).is_ok());
}
