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
