//! Brings rules, timers and deliveries of older data directories into the form of today: a function's name used to be
//! said without its region.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use cosette_model::Target;
use cosette_model::function::{FunctionRef, Invoke};
use cosette_store::{Store, Table, Tx};

use crate::{Error, delivery, row, rule, timer};

/// The row that says that deliveries have been looked at.
const DONE: &[u8] = b"regions";

/// Before [`Triggers::start`](crate::Triggers::start), once the functions can be asked. Interrupted, it goes on where
/// it was.
///
/// # Errors
/// The store's.
pub async fn upgrade(store: &Store, targets: &dyn Invoke) -> Result<(), Error> {
    // To ask for each delivery would be long where there are many.
    let known = Mutex::new(HashMap::new());
    let complete = |function: &mut FunctionRef| {
        if !function.region.is_empty() {
            return false;
        }
        let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
        let region = known.entry(function.clone()).or_insert_with_key(|function| {
            let found = targets.describe(&Target::Function(function.clone()));
            found.and_then(|found| found.home).map(|home| home.region).unwrap_or_default()
        });
        function.region.clone_from(region);
        !function.region.is_empty()
    };
    let mut changed = Vec::new();
    for mut rule in rule::all(store)? {
        // Of a function that is not there the bucket's region says where it would have to be.
        if let Target::Function(function) = &mut rule.target
            && function.region.is_empty()
        {
            function.region.clone_from(&rule.region);
            changed.push((rule.id.clone().into_bytes(), row::encode(&rule)?));
        }
    }
    for mut timer in timer::all(store)? {
        if complete(&mut timer.function) {
            changed.push((timer.id.clone().into_bytes(), row::encode(&timer)?));
        }
    }
    write(store, Table::Rule, changed).await?;
    deliveries(store, &complete).await
}

async fn deliveries(store: &Store, complete: &impl Fn(&mut FunctionRef) -> bool) -> Result<(), Error> {
    let mut after = None;
    if store.get(Table::TriggerNote, DONE)?.is_some() || delivery::filed_after(store, &after)?.is_empty() {
        return Ok(());
    }
    loop {
        let rows = delivery::filed_after(store, &after)?;
        let Some((last, _)) = rows.last() else { break };
        after = Some(last.clone());
        let mut changed = Vec::new();
        for (key, mut filed) in rows {
            if let Target::Function(function) = &mut filed.target
                && complete(function)
            {
                changed.push((key, row::encode(&filed)?));
            }
        }
        write(store, Table::Delivery, changed).await?;
    }
    write(store, Table::TriggerNote, vec![(DONE.to_vec(), Vec::new())]).await
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
