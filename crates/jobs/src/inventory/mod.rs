//! Inventories: lists of a bucket's objects, written as objects of another bucket. At the beginning of
//! each day all buckets are looked through for those that are due; those asked for once are written at
//! once. Killed in between, one is written anew by the next start; one that cannot be written is tried
//! again when the others have been.

mod report;
mod row;

use std::collections::BTreeSet;

use cosette_model::setting::{Frequency, Inventory, Status};
use cosette_model::{Day, Seq, SettingName, Timestamp};
use cosette_store::{Bucket, Error as StoreError, Store, Table};
use serde::{Deserialize, Serialize};

use crate::{Called, Error, Job, Next, Stop};

/// Rows of [`Table::Report`]: what is to be written once, what has been so today, and when the others
/// come next ([`Coming`]).
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
    /// The bucket's id: another that has its name since is not meant.
    made: Option<u64>,
    inventory: Inventory,
}

/// When one comes next, by this schedule: what a change of it brings is another one.
#[derive(Serialize, Deserialize)]
struct Coming {
    at: Timestamp,
    schedule: Frequency,
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
        let mut failed = Failed::default();
        self.write_asked(now, stop, &mut failed).await?;
        if self.scan.is_none_or(|scan| scan <= now) {
            let mut known = BTreeSet::new();
            for bucket in self.store.buckets()? {
                self.write_due(&bucket, now, stop, &mut known, &mut failed).await?;
            }
            self.forget(now, &known).await?;
            if failed.0.is_none() {
                self.scan = Some(self.day.next(now));
            }
        }
        if let Some(error) = failed.0 {
            return Err(error);
        }
        Ok(Next { at: self.scan, restores: None })
    }

    /// A commit may have asked for one; looking costs one read of the index.
    async fn early(&self) {
        self.store.changed(self.head).await;
    }

    fn called(&self) -> Called {
        let store = self.store.clone();
        Box::new(move || store.scan(Table::Report, TODO, None, 1).is_ok_and(|rows| !rows.is_empty()))
    }
}

impl Inventories {
    pub(crate) fn new(store: Store, day: Day) -> Self {
        Self { head: store.head(), store, day, scan: None }
    }

    async fn write_asked(&self, now: Timestamp, stop: &Stop, failed: &mut Failed) -> Result<(), Error> {
        let mut after: Option<Vec<u8>> = None;
        loop {
            let rows = self.store.scan(Table::Report, TODO, after.as_deref(), PAGE_MAX)?;
            if rows.is_empty() {
                return Ok(());
            }
            for (key, row) in rows {
                stop.check()?;
                after = Some(key.clone());
                if let Ok(asked) = serde_json::from_slice::<Asked>(&row)
                    && let Some(bucket) = self.store.bucket(&asked.bucket)?
                    && asked.made.is_none_or(|made| made == bucket.id)
                    && let Err(error) =
                        report::write(&self.store, &bucket, &asked.inventory, (now, self.day), stop).await
                {
                    failed.note(error)?;
                    continue;
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

    /// Adds to `known` the rows of those that there are.
    async fn write_due(
        &self,
        bucket: &Bucket,
        now: Timestamp,
        stop: &Stop,
        known: &mut BTreeSet<Vec<u8>>,
        failed: &mut Failed,
    ) -> Result<(), Error> {
        let name = SettingName::Inventory;
        let rows = match self.store.settings(&bucket.name, &name.row_of(Some(""))) {
            Err(StoreError::NoSuchBucket(_)) => return Ok(()),
            rows => rows?,
        };
        for row in rows {
            stop.check()?;
            let Ok(inventory) = serde_json::from_slice::<Inventory>(&row) else {
                tracing::error!(bucket = %bucket.name, "an inventory cannot be read");
                continue;
            };
            let Some(schedule) = inventory.schedule.filter(|_| inventory.status == Status::Enabled) else {
                continue;
            };
            let key = [NEXT, &bucket.id.to_be_bytes(), inventory.id.as_bytes()].concat();
            known.insert(key.clone());
            let coming = self.store.get(Table::Report, &key)?;
            let coming = coming.and_then(|row| serde_json::from_slice::<Coming>(&row).ok());
            let due = match coming.filter(|coming| coming.schedule == schedule) {
                Some(coming) => Some(coming.at),
                // Found for the first time: with the day that begins now, but not because of a start.
                None if self.scan.is_some() && !matches!(schedule, Frequency::Monthly(Some(_))) => Some(now),
                None => None,
            };
            let next = match due {
                Some(due) if due > now => continue,
                Some(_) => {
                    match report::write(&self.store, bucket, &inventory, (now, self.day), stop).await {
                        Ok(()) => after(schedule, now, self.day),
                        Err(error) => {
                            failed.note(error)?;
                            continue;
                        }
                    }
                }
                None => first(schedule, now, self.day),
            };
            let coming = serde_json::to_vec(&Coming { at: next, schedule });
            let coming = coming.map_err(|error| StoreError::Index(error.to_string()))?;
            self.store
                .commit(move |tx| {
                    tx.put(Table::Report, &key, coming);
                    Ok::<_, StoreError>(())
                })
                .await?;
        }
        Ok(())
    }

    /// An id may be used again the day after; those that are gone come no more.
    async fn forget(&self, now: Timestamp, known: &BTreeSet<Vec<u8>>) -> Result<(), Error> {
        let today = self.day.start(now);
        let done = self.store.scan(Table::Report, DONE, None, usize::MAX)?;
        let done = done.into_iter().filter(|(_, row)| time(row).is_none_or(|time| time < today));
        let next = self.store.scan(Table::Report, NEXT, None, usize::MAX)?;
        let next = next.into_iter().filter(|(key, _)| !known.contains(key));
        let old: Vec<_> = done.chain(next).map(|(key, _)| key).collect();
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

/// The first failure of a list: it is not done, and the job is to run again.
#[derive(Default)]
struct Failed(Option<Error>);

impl Failed {
    /// # Errors
    /// Those after which nothing more can be done now.
    fn note(&mut self, error: Error) -> Result<(), Error> {
        match error {
            Error::Stopping | Error::Store(StoreError::Closed | StoreError::Poisoned(_)) => Err(error),
            error => {
                self.0.get_or_insert(error);
                Ok(())
            }
        }
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
    use std::path::Path;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use cosette_clock::Clock;
    use cosette_model::op::{Listing, Owner};
    use cosette_model::setting::{BucketRef, Destination, InventoryFormat, ServiceForm};
    use cosette_model::{BucketName, Cause, Region};
    use cosette_store::{Disk, Durability, Faults, Options, Step, Verdict};

    use super::*;

    struct World {
        clock: Clock,
        store: Store,
        job: Inventories,
    }

    const BUCKET: &str = "listed-1250000000";

    /// A disk that takes nothing more while it is so told: what is written to the journal is refused.
    #[derive(Default)]
    struct Full(AtomicBool);

    impl Faults for Full {
        fn before(&self, step: Step<'_>, path: &Path) -> Verdict {
            let adds = path.iter().any(|name| name == "journal") && matches!(step, Step::Write { .. });
            if adds && self.0.load(Ordering::SeqCst) {
                return Verdict::Fail(std::io::Error::other("no more"));
            }
            Verdict::Go
        }
    }

    impl World {
        async fn new() -> Self {
            let options = Options { dir: None, durability: Durability::Relaxed, cache_bytes: 1 << 20 };
            Self::on(options, Disk::default()).await
        }

        async fn on(options: Options, disk: Disk) -> Self {
            // Noon.
            let clock = Clock::frozen(Timestamp::parse_rfc3339("2024-01-30T12:00:00Z").unwrap());
            let store = Store::open_on(options, clock.clone(), disk).unwrap();
            let owner = Owner { uin: "100".to_owned(), appid: "1250000000".to_owned(), name: String::new() };
            let region = Region::new("ap-guangzhou").unwrap();
            let bucket = BucketName::new(BUCKET).unwrap();
            store.create_bucket(bucket, region, owner, Cause::default()).await.unwrap();
            let job = Inventories::new(store.clone(), Day::default());
            Self { clock, store, job }
        }

        fn inventory(schedule: Option<Frequency>) -> Inventory {
            Inventory {
                id: "list".to_owned(),
                made: 0,
                form: ServiceForm::Cos,
                status: Status::Enabled,
                all_versions: false,
                filter: None,
                fields: Vec::new(),
                schedule,
                destination: Destination {
                    bucket: BucketRef { name: BUCKET.to_owned(), region: None },
                    account: None,
                    prefix: None,
                    format: InventoryFormat::Csv,
                    encryption: None,
                },
            }
        }

        /// As a request leaves it to the job.
        async fn ask(&self, made: u64) {
            let inventory = Self::inventory(None);
            let row = serde_json::json!({ "bucket": BUCKET, "made": made, "inventory": inventory });
            let put = move |tx: &mut cosette_store::Tx<'_>| {
                tx.put(Table::Report, b"todo\x001\0list", serde_json::to_vec(&row).unwrap());
                Ok::<_, StoreError>(())
            };
            self.store.commit(put).await.unwrap();
        }

        /// `None` removes it.
        async fn set(&self, schedule: Option<Frequency>) {
            let row = schedule.map(|schedule| serde_json::to_vec(&Self::inventory(Some(schedule))).unwrap());
            let name = SettingName::Inventory.row_of(Some("list"));
            let bucket = BucketName::new(BUCKET).unwrap();
            let set = self.store.revise_setting(bucket, name, Cause::default(), |_| Ok::<_, StoreError>(row));
            set.await.unwrap();
        }

        /// Moves to noon so many days later and does what is due; how many lists there are then.
        async fn after(&mut self, days: u32) -> usize {
            self.clock.advance(std::time::Duration::from_secs(24 * 3600) * days);
            self.job.run_due(self.clock.now(), &crate::supervisor::never()).await.unwrap();
            let listing = Listing { max: 100, ..Listing::default() };
            let page = self.store.list_objects(&BucketName::new(BUCKET).unwrap(), &listing).unwrap();
            page.objects.iter().filter(|(key, _)| key.as_str().ends_with("manifest.json")).count()
        }
    }

    #[tokio::test]
    async fn a_new_schedule_counts_at_once_and_one_that_is_gone_leaves_nothing() {
        let mut world = World::new().await;
        world.set(Some(Frequency::Weekly)).await;
        assert_eq!(world.after(0).await, 0);
        assert_eq!(world.after(1).await, 1);
        assert_eq!(world.after(1).await, 1);
        world.set(Some(Frequency::Daily)).await;
        assert_eq!(world.after(1).await, 2);
        assert_eq!(world.after(1).await, 3);
        world.set(None).await;
        assert_eq!(world.after(1).await, 3);
        assert!(world.store.scan(Table::Report, NEXT, None, 10).unwrap().is_empty());
        world.store.close().await.unwrap();
    }

    #[tokio::test]
    async fn what_cannot_be_written_is_not_done() {
        let dir = std::env::temp_dir().join(format!("cosette-inventory-{}", std::process::id()));
        let full = Arc::new(Full::default());
        let options =
            Options { dir: Some(dir.clone()), durability: Durability::Relaxed, cache_bytes: 1 << 20 };
        let mut world = World::on(options, Disk::faulty(full.clone())).await;
        let bucket = world.store.buckets().unwrap().remove(0);
        world.set(Some(Frequency::Daily)).await;
        world.after(0).await;
        world.ask(bucket.id).await;
        full.0.store(true, Ordering::SeqCst);
        world.clock.advance(std::time::Duration::from_secs(24 * 3600));
        for _ in 0..2 {
            let run = world.job.run_due(world.clock.now(), &crate::supervisor::never()).await;
            assert!(matches!(run, Err(Error::Store(_))), "{run:?}");
        }
        full.0.store(false, Ordering::SeqCst);
        assert_eq!(world.after(0).await, 1, "both are of one day, and have one name");
        assert!(world.store.scan(Table::Report, TODO, None, 10).unwrap().is_empty());
        assert_eq!(world.store.scan(Table::Report, DONE, None, 10).unwrap().len(), 1);
        world.store.close().await.unwrap();
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[tokio::test]
    async fn one_that_was_asked_of_a_bucket_that_is_gone_is_not_written() {
        let mut world = World::new().await;
        let bucket = world.store.buckets().unwrap().remove(0);
        world.ask(bucket.id + 1).await;
        assert_eq!(world.after(0).await, 0);
        assert!(world.store.scan(Table::Report, TODO, None, 10).unwrap().is_empty());
        world.ask(bucket.id).await;
        assert_eq!(world.after(0).await, 1);
        world.store.close().await.unwrap();
    }

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
