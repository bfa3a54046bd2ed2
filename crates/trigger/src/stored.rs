//! How deliveries lie in the store: each is one row of `Table::Delivery`, its key a kind and then its place.
//!
//! - `w`: it is unfinished; a start reads these and no others.
//! - `e`: it has ended. The oldest are removed first.
//!
//! Of a delivery that runs for the first time there may be no row yet: what is known of it then is the change behind
//! it, and the saved cursor stays before that (see [`record`](crate::record)).

use std::collections::BTreeMap;
use std::sync::Arc;

use cosette_model::Seq;
use cosette_store::{Error as StoreError, Store, Table, Tx};

use crate::delivery::{Delivery, Filed, Place, Progress, places};
use crate::{Error, row};

/// The row of `Table::Cursor` with the seq up to which every change has been dealt with.
const CURSOR: &[u8] = b"trigger.pump";

const WAITING: u8 = b'w';
const ENDED: u8 = b'e';

/// The row that counts those that have ended.
const ENDED_COUNT: &[u8] = b"finished";

/// What the error about a damaged row names.
const WHAT: &str = "delivery";

/// Deliveries removed in one commit.
const REMOVED_MAX: usize = 1024;

/// Deliveries read at a time.
const PAGE: usize = 256;

/// Deliveries that have no row yet.
pub(crate) type Fresh = Vec<(Place, Arc<Filed>)>;

impl Place {
    pub(crate) fn row(self, kind: u8) -> Vec<u8> {
        let mut key = vec![kind];
        key.extend(self.commit.0.to_be_bytes());
        key.extend(self.index.to_be_bytes());
        key
    }

    pub(crate) fn parse(row: &[u8]) -> Result<Self, StoreError> {
        let damaged = || StoreError::Corrupt { what: "delivery key".into() };
        let (commit, index) = row.get(1..).and_then(|row| row.split_at_checked(8)).ok_or_else(damaged)?;
        let commit = u64::from_be_bytes(commit.try_into().map_err(|_| damaged())?);
        let index = u32::from_be_bytes(index.try_into().map_err(|_| damaged())?);
        Ok(Self { commit: Seq(commit), index })
    }
}

pub(crate) fn encode(filed: &Filed, progress: &Progress) -> Result<Vec<u8>, Error> {
    Ok(row::encode(&(filed, progress))?)
}

fn decode(row: &[u8]) -> Result<(Filed, Progress), Error> {
    Ok(row::decode(row, WHAT)?)
}

/// Files encoded deliveries that no change stands behind, in order, at the [`places`] of this commit.
pub(crate) fn file(tx: &mut Tx<'_>, rows: Vec<Vec<u8>>) {
    for (place, row) in places(tx.seq(), rows.len()).zip(rows) {
        wait(tx, place, row);
    }
}

/// Writes an unfinished delivery as it is now.
pub(crate) fn wait(tx: &mut Tx<'_>, place: Place, row: Vec<u8>) {
    tx.put(Table::Delivery, &place.row(WAITING), row);
}

/// A delivery that has ended, as it will be written.
pub(crate) struct End {
    pub(crate) place: Place,
    pub(crate) row: Vec<u8>,
    /// Whether it has a row as an unfinished one.
    pub(crate) waited: bool,
}

/// Writes how deliveries have ended, and forgets the oldest beyond `finished_max`, but none whose change may be read
/// once more.
pub(crate) fn end(tx: &mut Tx<'_>, ends: Vec<End>, finished_max: usize) -> Result<(), Error> {
    if ends.is_empty() {
        return Ok(());
    }
    let mut count = ends.len()
        + match tx.get(Table::TriggerNote, ENDED_COUNT)? {
            Some(row) => row::decode(&row, "finished count")?,
            None => 0_usize,
        };
    for End { place, row, waited } in ends {
        if waited {
            tx.delete(Table::Delivery, &place.row(WAITING));
        }
        tx.put(Table::Delivery, &place.row(ENDED), row);
    }
    if count > finished_max {
        let cursor = cursor(tx.get(Table::Cursor, CURSOR)?.as_deref())?;
        // Some more than needed at a time, so that most commits remove nothing.
        let surplus = (count - finished_max + (finished_max / 8).min(256)).min(REMOVED_MAX);
        for (key, _) in tx.scan(Table::Delivery, &[ENDED], surplus)? {
            if Place::parse(&key)?.commit > cursor {
                break;
            }
            tx.delete(Table::Delivery, &key);
            count = count.saturating_sub(1);
        }
    }
    tx.put(Table::TriggerNote, ENDED_COUNT, row::encode(&count)?);
    Ok(())
}

/// Moves the saved cursor on to `to`: every delivery of the changes up to there is in a row after this commit.
pub(crate) fn advance(tx: &mut Tx<'_>, to: Seq) -> Result<(), Error> {
    if cursor(tx.get(Table::Cursor, CURSOR)?.as_deref())? < to {
        tx.put(Table::Cursor, CURSOR, to.0.to_be_bytes().to_vec());
    }
    Ok(())
}

/// The saved cursor.
pub(crate) fn saved_cursor(store: &Store) -> Result<Seq, Error> {
    cursor(store.get(Table::Cursor, CURSOR)?.as_deref())
}

/// The same within a commit.
pub(crate) fn saved_cursor_in(tx: &Tx<'_>) -> Result<Seq, Error> {
    cursor(tx.get(Table::Cursor, CURSOR)?.as_deref())
}

/// The beginning when there is no row.
fn cursor(row: Option<&[u8]>) -> Result<Seq, Error> {
    let Some(row) = row else { return Ok(Seq::default()) };
    let bytes = row.try_into().map_err(|_| StoreError::Corrupt { what: "trigger cursor".into() })?;
    Ok(Seq(u64::from_be_bytes(bytes)))
}

/// A delivery with how far it has come; `None` when it has no row, or no more.
pub(crate) fn get(store: &Store, place: Place) -> Result<Option<(Filed, Progress)>, Error> {
    // In this order: one that ends in between is found all the same.
    for kind in [WAITING, ENDED] {
        if let Some(row) = store.get(Table::Delivery, &place.row(kind))? {
            return decode(&row).map(Some);
        }
    }
    Ok(None)
}

/// Unfinished deliveries after `after`, in order, at most `max`.
pub(crate) fn unfinished(
    store: &Store,
    after: Option<Place>,
    max: usize,
) -> Result<Vec<(Place, Filed, Progress)>, Error> {
    let after = after.map(|place| place.row(WAITING));
    let rows = store.scan(Table::Delivery, &[WAITING], after.as_deref(), max)?;
    let read = |(key, row): &(Vec<u8>, Vec<u8>)| {
        let (filed, progress) = decode(row)?;
        Ok((Place::parse(key)?, filed, progress))
    };
    rows.iter().map(read).collect()
}

/// Deliveries from the commit `from` on that are picked, oldest first, at most `max`, as what is made of each. Reads all
/// that there are. `fresh` was taken before.
pub(crate) fn picked<T>(
    store: &Store,
    fresh: Fresh,
    from: Seq,
    max: usize,
    mut pick: impl FnMut(&Filed) -> bool,
    make: impl Fn(Place, Delivery) -> T,
) -> Result<Vec<T>, Error> {
    let mut last = Place { commit: Seq(from.0.saturating_sub(1)), index: u32::MAX };
    let mut found = Vec::new();
    loop {
        let mut page: BTreeMap<Place, (Filed, Progress)> = BTreeMap::new();
        let mut rows = Vec::new();
        let mut until = None;
        // In this order: of one that goes on in between the later state counts.
        for kind in [WAITING, ENDED] {
            let of_kind = store.scan(Table::Delivery, &[kind], Some(&last.row(kind)), PAGE)?;
            if of_kind.len() == PAGE
                && let Some((key, _)) = of_kind.last()
            {
                let end = Place::parse(key)?;
                until = Some(until.map_or(end, |until: Place| until.min(end)));
            }
            rows.extend(of_kind);
        }
        let is_of_page = |place: &Place| *place > last && until.is_none_or(|until| *place <= until);
        for (place, filed) in fresh.iter().filter(|(place, _)| is_of_page(place)) {
            page.insert(*place, (Filed::clone(filed), Progress::default()));
        }
        for (key, row) in rows {
            let place = Place::parse(&key)?;
            if is_of_page(&place) {
                page.insert(place, decode(&row)?);
            }
        }
        for (place, (filed, progress)) in page {
            if found.len() < max && pick(&filed) {
                found.push(make(place, filed.with(progress)));
            }
        }
        match until {
            Some(until) if found.len() < max => last = until,
            _ => return Ok(found),
        }
    }
}

/// Newest first, at most `max`. `fresh` was taken before.
pub(crate) fn newest(store: &Store, fresh: Fresh, max: usize) -> Result<Vec<(Place, Delivery)>, Error> {
    let plain = |(place, filed): (Place, Arc<Filed>)| (place, (Filed::clone(&filed), Progress::default()));
    let mut found: BTreeMap<Place, (Filed, Progress)> = fresh.into_iter().map(plain).collect();
    for kind in [WAITING, ENDED] {
        for (key, row) in store.scan_back(Table::Delivery, &[kind], max)? {
            found.insert(Place::parse(&key)?, decode(&row)?);
        }
    }
    let found = found.into_iter().rev().take(max);
    Ok(found.map(|(place, (filed, progress))| (place, filed.with(progress))).collect())
}

/// Rows as they were while what is delivered, `d`, and how far it had come, `u` or `f`, were two: the next of them, each
/// in the form of today, and nothing after the last. What is given is to be written by [`renew`].
pub(crate) fn outdated(store: &Store) -> Result<Vec<Outdated>, Error> {
    let rows = store.scan(Table::Delivery, b"d", None, PAGE)?;
    let read = |(key, row): (Vec<u8>, Vec<u8>)| {
        let place = Place::parse(&key)?;
        let filed: Filed = row::decode(&row, WHAT)?;
        let kinds = [(b'u', WAITING), (b'f', ENDED)];
        for (old, kind) in kinds {
            if let Some(row) = store.get(Table::Delivery, &place.row(old))? {
                return Ok(Outdated { place, filed, now: Some((kind, row::decode(&row, WHAT)?)) });
            }
        }
        Ok(Outdated { place, filed, now: None })
    };
    rows.into_iter().map(read).collect()
}

/// A delivery in rows of an older form.
pub(crate) struct Outdated {
    place: Place,
    pub(crate) filed: Filed,
    /// The kind of its row and how far it has come; of one without neither was known.
    now: Option<(u8, Progress)>,
}

/// Puts these in the place of their older rows.
pub(crate) fn renew(tx: &mut Tx<'_>, all: Vec<Outdated>) -> Result<(), Error> {
    for Outdated { place, filed, now } in all {
        for kind in *b"duf" {
            tx.delete(Table::Delivery, &place.row(kind));
        }
        if let Some((kind, progress)) = now {
            tx.put(Table::Delivery, &place.row(kind), encode(&filed, &progress)?);
        }
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use cosette_clock::Clock;
    use cosette_model::{Chain, Target, Timestamp};
    use cosette_store::{Durability, Options};

    use super::*;
    use crate::delivery::DeliveryState;

    fn filed(id: String) -> Filed {
        Filed {
            id,
            source: None,
            timer: None,
            target: Target::Webhook { webhook: "w".into() },
            event: "{}".into(),
            created: Timestamp::from_secs(1),
            chain: Chain::default(),
            letter_of: None,
            repeats: None,
        }
    }

    fn place(n: u64) -> Place {
        Place { commit: Seq(n), index: 0 }
    }

    fn store() -> Store {
        let options = Options { dir: None, durability: Durability::Relaxed, cache_bytes: 1 << 20 };
        Store::open(options, Clock::real()).unwrap()
    }

    #[tokio::test]
    async fn older_rows_become_todays() {
        let store = store();
        let write = |tx: &mut Tx<'_>| {
            for n in 1..=600 {
                let state = if n % 2 == 0 { DeliveryState::Succeeded } else { DeliveryState::Pending };
                let kind = if state.is_finished() { b'f' } else { b'u' };
                let progress = Progress { state, tries: 7, ..Progress::default() };
                tx.put(Table::Delivery, &place(n).row(b'd'), row::encode(&filed(n.to_string()))?);
                tx.put(Table::Delivery, &place(n).row(kind), row::encode(&progress)?);
            }
            Ok::<_, Error>(())
        };
        store.commit(write).await.unwrap();
        loop {
            let all = outdated(&store).unwrap();
            if all.is_empty() {
                break;
            }
            store.commit(move |tx: &mut Tx<'_>| renew(tx, all)).await.unwrap();
        }
        let waiting = unfinished(&store, None, 1000).unwrap();
        assert_eq!(waiting.iter().map(|(place, ..)| place.commit.0).sum::<u64>(), 300 * 300);
        assert!(waiting.iter().all(|(.., progress)| progress.tries == 7));
        let all = picked(&store, Vec::new(), Seq(0), 1000, |_| true, |place, delivery| (place, delivery));
        let all: Vec<(u64, String, bool)> = all
            .unwrap()
            .into_iter()
            .map(|(place, delivery)| (place.commit.0, delivery.id, delivery.state.is_finished()))
            .collect();
        let expected: Vec<_> = (1..=600).map(|n| (n, n.to_string(), n % 2 == 0)).collect();
        assert_eq!(all, expected);
        assert!(store.scan(Table::Delivery, b"f", None, 1).unwrap().is_empty());
    }

    #[tokio::test]
    async fn rows_and_what_is_in_none_are_one_list() {
        let store = store();
        let write = |tx: &mut Tx<'_>| {
            wait(tx, place(2), encode(&filed("2".into()), &Progress::default())?);
            let row = encode(&filed("4".into()), &Progress::default())?;
            end(tx, vec![End { place: place(4), row, waited: false }], 10)
        };
        store.commit(write).await.unwrap();
        // What has come to be in a row since is not said twice.
        let fresh = || [1, 3, 4, 5].map(|n| (place(n), Arc::new(filed(n.to_string())))).to_vec();
        let ids = |from, max| {
            picked(&store, fresh(), Seq(from), max, |_| true, |_, delivery| delivery.id).unwrap().concat()
        };
        assert_eq!((ids(0, 9), ids(3, 9), ids(0, 2)), ("12345".into(), "345".into(), "12".into()));
        let newest: String =
            newest(&store, fresh(), 3).unwrap().into_iter().map(|(_, delivery)| delivery.id).collect();
        assert_eq!(newest, "543");
    }

    #[tokio::test]
    async fn nothing_is_forgotten_that_could_be_made_again() {
        let store = store();
        let ends = |upto: u64, numbers: [u64; 2]| {
            move |tx: &mut Tx<'_>| {
                advance(tx, Seq(upto))?;
                let row = encode(&filed("i".into()), &Progress::default())?;
                let ends = numbers.map(|n| End { place: place(n), row: row.clone(), waited: false });
                end(tx, ends.into(), 1)
            }
        };
        let left = || store.scan(Table::Delivery, &[ENDED], None, 9).unwrap().len();
        store.commit(ends(0, [1, 2])).await.unwrap();
        assert_eq!(left(), 2);
        // The cursor does not go back.
        for upto in [2, 1] {
            store.commit(ends(upto, [upto + 2, upto + 3])).await.unwrap();
            assert_eq!(saved_cursor(&store).unwrap(), Seq(2));
        }
        assert_eq!(left(), 3);
    }
}
