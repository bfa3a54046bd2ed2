//! Brings rules, timers, URLs, domains and deliveries of older data directories into the form of today: a function's
//! name used to be said without its account, and before that without its region.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use cosette_model::Target;
use cosette_model::function::{FunctionRef, Home, Invoke};
use cosette_store::{Store, Table, Tx};

use crate::{Error, domain, row, rule, stored, timer, url};

/// Before [`Triggers::start`](crate::Triggers::start), once the functions can be asked. Of a function that is not there
/// the account is that of `home`. Interrupted, it goes on where it was.
///
/// # Errors
/// The store's.
pub async fn upgrade(store: &Store, targets: &dyn Invoke, home: &Home) -> Result<(), Error> {
    // To ask for each delivery would be long where there are many.
    let known = Mutex::new(HashMap::new());
    let complete = |function: &mut FunctionRef| {
        if !function.region.is_empty() && !function.appid.is_empty() {
            return false;
        }
        // Whose it is does not hang on a qualifier that may be gone.
        let asked = function.full_name().under("");
        let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
        let place = known.entry(asked).or_insert_with_key(|function| {
            let found = targets.describe(&Target::Function(function.clone()));
            let nowhere = || Home { region: function.region.clone(), appid: home.appid.clone() };
            found.and_then(|found| found.home).unwrap_or_else(nowhere)
        });
        function.region.clone_from(&place.region);
        function.appid.clone_from(&place.appid);
        true
    };
    let mut changed = Vec::new();
    for mut rule in rule::all(store)? {
        if let Target::Function(function) = &mut rule.target
            && (function.region.is_empty() || function.appid.is_empty())
        {
            // Both in one account and region, as the bucket is.
            function.region.clone_from(&rule.region);
            match store.bucket(&rule.bucket)? {
                Some(bucket) if function.appid.is_empty() => function.appid = bucket.owner_appid,
                _ => drop(complete(function)),
            }
            changed.push((rule.id.clone().into_bytes(), row::encode(&rule)?));
        }
    }
    for mut timer in timer::all(store)? {
        if complete(&mut timer.function) {
            changed.push((timer.id.clone().into_bytes(), row::encode(&timer)?));
        }
    }
    for mut url in url::all(store)? {
        if complete(&mut url.function) {
            changed.push((url::key(&url.id).into_bytes(), row::encode(&url)?));
        }
    }
    for mut domain in domain::all(store)? {
        let routes = domain.settings.routes.iter_mut();
        let open: Vec<_> = routes.filter(|route| route.function.appid.is_empty()).collect();
        if open.is_empty() {
            continue;
        }
        open.into_iter().for_each(|route| route.function.appid.clone_from(&domain.appid));
        changed.push((domain::key(&domain.name).into_bytes(), row::encode(&domain)?));
    }
    write(store, Table::Rule, changed).await?;
    deliveries(store, &complete).await
}

/// Deliveries were two rows each.
async fn deliveries(store: &Store, complete: &impl Fn(&mut FunctionRef) -> bool) -> Result<(), Error> {
    loop {
        let mut all = stored::outdated(store)?;
        if all.is_empty() {
            return Ok(());
        }
        for outdated in &mut all {
            if let Target::Function(function) = &mut outdated.filed.target {
                complete(function);
            }
        }
        store.commit(move |tx: &mut Tx<'_>| stored::renew(tx, all)).await?;
    }
}

async fn write(store: &Store, table: Table, rows: Vec<(Vec<u8>, Vec<u8>)>) -> Result<(), Error> {
    if rows.is_empty() {
        return Ok(());
    }
    let put = move |tx: &mut Tx<'_>| {
        for (key, row) in rows {
            tx.put(table, &key, row);
        }
        Ok::<_, Error>(())
    };
    store.commit(put).await?;
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::future::Future;
    use std::pin::Pin;

    use cosette_clock::Clock;
    use cosette_model::function::{Description, Invocation, Outcome, RetryPolicy};
    use cosette_model::op::Owner;
    use cosette_model::{BucketName, Cause, Chain, Events, Region, Seq, Style, Timestamp};
    use cosette_store::{Durability, Options};

    use super::*;
    use crate::delivery::{Filed, Place, Progress};
    use crate::{Authorization, Domain, DomainSettings, Protocols, Route, Rule, Timer, Url, UrlSettings};

    /// Knows a function `f` of an account of its own.
    struct One;

    impl Invoke for One {
        fn invoke<'a>(&'a self, _: Invocation) -> Pin<Box<dyn Future<Output = Outcome> + Send + 'a>> {
            Box::pin(std::future::pending())
        }

        fn describe(&self, target: &Target) -> Option<Description> {
            let function = target.function().filter(|of| of.name == "f" && of.qualifier.is_empty())?;
            assert!(["", "ap-shanghai"].contains(&function.region.as_str()));
            let home = Some(home("ap-shanghai", "1250000002"));
            Some(Description { home, retry: RetryPolicy::default(), concurrency: 1, dead_letter: None })
        }
    }

    fn home(region: &str, appid: &str) -> Home {
        Home { region: region.into(), appid: appid.into() }
    }

    fn then(name: &str, region: &str) -> FunctionRef {
        let [region, namespace, name, qualifier] = [region, "default", name, "old"].map(str::to_owned);
        FunctionRef { appid: String::new(), region, namespace, name, qualifier, routed: None }
    }

    async fn store() -> (Store, BucketName) {
        let clock = Clock::frozen(Timestamp::from_secs(1_700_000_000));
        let options = Options { dir: None, durability: Durability::Relaxed, cache_bytes: 1 << 20 };
        let store = Store::open(options, clock).unwrap();
        let bucket = BucketName::new("examplebucket-1250000003").unwrap();
        let owner = Owner { uin: "3".into(), appid: "1250000003".into(), name: String::new() };
        let region = Region::new("ap-shanghai").unwrap();
        store.create_bucket(bucket.clone(), region, owner, Cause::default()).await.unwrap();
        (store, bucket)
    }

    fn rows(bucket: BucketName) -> Vec<(Table, Vec<u8>, Vec<u8>)> {
        let now = Timestamp::from_secs(1);
        let text = String::new;
        let rule = Rule {
            id: "rule-1".into(),
            bucket,
            region: "ap-shanghai".into(),
            events: Events::S3(vec!["s3:*".into()]),
            prefix: text(),
            suffix: text(),
            target: then("gone", "").into(),
            style: Style::Cos,
            description: text(),
            created: now,
            modified: now,
            active: Vec::new(),
            deleted: false,
            configuration: None,
            ended: None,
        };
        let timer = |id: &str, function| Timer {
            id: id.into(),
            name: "t".into(),
            function,
            cron: "0 * * * * * *".into(),
            argument: text(),
            description: text(),
            enabled: true,
            created: now,
            modified: now,
            revision: Seq(1),
        };
        let timers = [timer("timer-1", then("f", "")), timer("timer-2", then("gone", "ap-beijing"))];
        let authorization = Authorization::Anybody;
        let url = Url {
            id: "abcdefghij".into(),
            name: "u".into(),
            function: then("f", "ap-shanghai"),
            settings: UrlSettings { authorization, intranet: true, extranet: true, cors: None },
            description: text(),
            enabled: true,
            created: now,
            modified: now,
        };
        let route = Route { path: "/*".into(), function: then("gone", "ap-shanghai"), rewrites: Vec::new() };
        let protocols = Protocols { http: true, https: false };
        let domain = Domain {
            name: "www.example.com".into(),
            appid: "1250000004".into(),
            region: "ap-shanghai".into(),
            settings: DomainSettings { protocols, certificate: None, routes: vec![route] },
            tags: Vec::new(),
            created: now,
            modified: now,
        };
        let filed = Filed {
            id: "1".into(),
            source: None,
            timer: None,
            target: then("f", "ap-shanghai").into(),
            event: "{}".into(),
            created: now,
            chain: Chain::default(),
            letter_of: None,
            repeats: None,
        };
        let place = Place { commit: Seq(1), index: 0 };
        let mut rows = vec![
            (Table::Rule, rule.id.clone().into_bytes(), row::encode(&rule).unwrap()),
            (Table::Rule, url::key(&url.id).into_bytes(), row::encode(&url).unwrap()),
            (Table::Rule, domain::key(&domain.name).into_bytes(), row::encode(&domain).unwrap()),
            (Table::Delivery, place.row(b'd'), row::encode(&filed).unwrap()),
            (Table::Delivery, place.row(b'u'), row::encode(&Progress::default()).unwrap()),
            // What an upgrade of before has left behind.
            (Table::TriggerNote, b"regions".to_vec(), Vec::new()),
        ];
        rows.extend(
            timers.map(|timer| (Table::Rule, timer.id.clone().into_bytes(), row::encode(&timer).unwrap())),
        );
        rows
    }

    #[tokio::test]
    async fn what_an_older_server_left_learns_whose_functions_it_is_of() {
        let (store, bucket) = store().await;
        let put = move |tx: &mut Tx<'_>| {
            rows(bucket).into_iter().for_each(|(table, key, row)| tx.put(table, &key, row));
            Ok::<_, Error>(())
        };
        store.commit(put).await.unwrap();
        upgrade(&store, &One, &home("ap-guangzhou", "1250000000")).await.unwrap();
        let place = |function: &FunctionRef| home(&function.region, &function.appid);
        let rule = rule::all(&store).unwrap().remove(0);
        assert_eq!(place(rule.target.function().unwrap()), home("ap-shanghai", "1250000003"), "the bucket's");
        let timers = timer::all(&store).unwrap();
        assert_eq!(place(&timers[0].function), home("ap-shanghai", "1250000002"));
        assert_eq!(place(&timers[1].function), home("ap-beijing", "1250000000"), "the default account's");
        assert_eq!(timers[0].function.qualifier, "old");
        let url = url::all(&store).unwrap().remove(0);
        assert_eq!(place(&url.function), home("ap-shanghai", "1250000002"));
        let domain = domain::all(&store).unwrap().remove(0);
        assert_eq!(place(&domain.settings.routes[0].function), home("ap-shanghai", "1250000004"));
        let filed = stored::unfinished(&store, None, 9).unwrap().remove(0).1;
        assert_eq!(place(filed.target.function().unwrap()), home("ap-shanghai", "1250000002"));

        let head = store.head();
        upgrade(&store, &One, &home("ap-guangzhou", "1250000000")).await.unwrap();
        assert_eq!(store.head(), head, "it finds nothing to do");
    }
}
