//! Inventories: lists of a bucket's objects, written as objects of another bucket. At the beginning of
//! each day all buckets are looked through for those that are due; those asked for once are written at
//! once. Killed in between, one is written anew by the next start.

mod report;
mod row;

use cosette_model::setting::{Frequency, Inventory, Status};
use cosette_model::{Day, Seq, SettingName, Timestamp};
use cosette_store::{Bucket, Error as StoreError, Store, Table};
use serde::{Deserialize, Serialize};

use crate::{Error, Job, Next, Stop};

/// Rows of [`Table::Report`]: what is to be written once, what has been so today, and when the others
/// come next.
const TODO: &[u8] = b"todo\0";
const DONE: &[u8] = b"done\0";
const NEXT: &[u8] = b"next\0";
/// Days in a month of short days.
const MONTH: u32 = 30;
/// Looked at together.
const PAGE_MAX: usize = 16;

/// One that was asked for once.
#[derive(Serialize, Deserialize)]
struct Asked {
    bucket: cosette_model::BucketName,
    inventory: Inventory,
}

pub(crate) struct Inventories {
    store: Store,
    day: Day,
    /// When the buckets are to be looked through; `None` before the first time.
    scan: Option<Timestamp>,
    /// All commits up to this one have been looked at.
    head: Seq,
}

impl Job for Inventories {
    const NAME: &'static str = "inventories";

    async fn run_due(&mut self, now: Timestamp, stop: &Stop) -> Result<Next, Error> {
        self.head = self.store.head();
        self.write_asked(now, stop).await?;
        if self.scan.is_none_or(|scan| scan <= now) {
            for bucket in self.store.buckets()? {
                self.write_due(&bucket, now, stop).await?;
            }
            self.forget_done(now).await?;
            self.scan = Some(self.day.next(now));
        }
        Ok(Next { at: self.scan, restores: None })
    }

    /// A commit may have asked for one; looking costs one read of the index.
    async fn early(&self) {
        self.store.changed(self.head).await;
    }
}

impl Inventories {
    pub(crate) fn new(store: Store, day: Day) -> Self {
        Self { head: store.head(), store, day, scan: None }
    }

    async fn write_asked(&self, now: Timestamp, stop: &Stop) -> Result<(), Error> {
        loop {
            let rows = self.store.scan(Table::Report, TODO, None, PAGE_MAX)?;
            if rows.is_empty() {
                return Ok(());
            }
            for (key, row) in rows {
                stop.check()?;
                if let Ok(asked) = serde_json::from_slice::<Asked>(&row)
                    && let Some(bucket) = self.store.bucket(&asked.bucket)?
                {
                    report::write(&self.store, &bucket, &asked.inventory, now, stop).await?;
                }
                let done = [DONE, key.strip_prefix(TODO).unwrap_or_default()].concat();
                self.store
                    .commit(move |tx| {
                        tx.delete(Table::Report, &key);
                        tx.put(Table::Report, &done, now.as_micros().to_be_bytes().to_vec());
                        Ok::<_, StoreError>(())
                    })
                    .await?;
            }
        }
    }

    async fn write_due(&self, bucket: &Bucket, now: Timestamp, stop: &Stop) -> Result<(), Error> {
        let name = SettingName::Inventory;
        let rows = match self.store.settings(&bucket.name, &name.row_of(Some(""))) {
            Err(StoreError::NoSuchBucket(_)) => return Ok(()),
            rows => rows?,
        };
        for row in rows {
            stop.check()?;
            let Ok(inventory) = serde_json::from_slice::<Inventory>(&row) else { continue };
            let Some(schedule) = inventory.schedule.filter(|_| inventory.status == Status::Enabled) else {
                continue;
            };
            let key = [NEXT, &bucket.id.to_be_bytes(), inventory.id.as_bytes()].concat();
            let due = match self.store.get(Table::Report, &key)? {
                Some(row) => time(&row),
                // Found for the first time: with the day that begins now, but not because of a start.
                None if self.scan.is_some() && !matches!(schedule, Frequency::Monthly(Some(_))) => Some(now),
                None => None,
            };
            let next = match due {
                Some(due) if due > now => continue,
                Some(_) => {
                    report::write(&self.store, bucket, &inventory, now, stop).await?;
                    after(schedule, now, self.day)
                }
                None => first(schedule, now, self.day),
            };
            self.store
                .commit(move |tx| {
                    tx.put(Table::Report, &key, next.as_micros().to_be_bytes().to_vec());
                    Ok::<_, StoreError>(())
                })
                .await?;
        }
        Ok(())
    }

    /// An id may be used again the day after.
    async fn forget_done(&self, now: Timestamp) -> Result<(), Error> {
        let today = self.day.start(now);
        let rows = self.store.scan(Table::Report, DONE, None, usize::MAX)?;
        let old: Vec<_> = rows
            .into_iter()
            .filter(|(_, row)| time(row).is_none_or(|time| time < today))
            .map(|(key, _)| key)
            .collect();
        if old.is_empty() {
            return Ok(());
        }
        self.store
            .commit(move |tx| {
                for key in &old {
                    tx.delete(Table::Report, key);
                }
                Ok::<_, StoreError>(())
            })
            .await?;
        Ok(())
    }
}

fn time(row: &[u8]) -> Option<Timestamp> {
    Some(Timestamp::from_micros(u64::from_be_bytes(row.try_into().ok()?)))
}

/// When one that was just found comes for the first time.
fn first(schedule: Frequency, now: Timestamp, day: Day) -> Timestamp {
    match schedule {
        Frequency::Daily | Frequency::Weekly | Frequency::Monthly(None) => day.next(now),
        Frequency::Monthly(Some(_)) => after(schedule, now, day),
    }
}

/// When it comes again after it was written at `now`.
fn after(schedule: Frequency, now: Timestamp, day: Day) -> Timestamp {
    let plus = |days: u32| day.start(now).plus(day.length().saturating_mul(days));
    match schedule {
        Frequency::Daily => plus(1),
        Frequency::Weekly => plus(7),
        Frequency::Monthly(date) if day == Day::default() => {
            let of = |time: Timestamp| {
                time.iso_seconds().get(8..10).and_then(|date| date.parse().ok()).unwrap_or(1)
            };
            let date = date.unwrap_or_else(|| of(now));
            // Some months have no such date; two months always have one that has.
            (1..=62).map(plus).find(|time| of(*time) == date).unwrap_or_else(|| plus(MONTH))
        }
        Frequency::Monthly(_) => plus(MONTH),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn they_come_daily_weekly_and_monthly() {
        let at = |text| Timestamp::parse_rfc3339(text).unwrap();
        let now = at("2024-01-30T12:00:00Z");
        let day = Day::default();
        for (schedule, want) in [
            (Frequency::Daily, "2024-01-31T00:00:00Z"),
            (Frequency::Weekly, "2024-02-06T00:00:00Z"),
            (Frequency::Monthly(Some(3)), "2024-02-03T00:00:00Z"),
            (Frequency::Monthly(Some(31)), "2024-01-31T00:00:00Z"),
            // No February has it.
            (Frequency::Monthly(None), "2024-03-30T00:00:00Z"),
        ] {
            assert_eq!(after(schedule, now, day), at(want), "{schedule:?}");
        }
        let short = Day::of(std::time::Duration::from_secs(10)).unwrap();
        assert_eq!(after(Frequency::Weekly, Timestamp::from_secs(105), short), Timestamp::from_secs(170));
    }
}
