//! Access logs: lines about answered requests are gathered in memory, and written as objects of the
//! bucket that each source bucket's logging names. As with the services, what is logged is not
//! guaranteed: a line is dropped rather than a request held up.

mod line;

use std::collections::VecDeque;
use std::io::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cosette_clock::Clock;
use cosette_model::setting::{LogKeyFormat, ServiceForm};
use cosette_model::{Access, Acl, BucketName, LogTarget, Region, Timestamp};
use cosette_store::{Error as StoreError, Store};
use flate2::Compression;
use flate2::write::GzEncoder;
use tokio::sync::Notify;

use crate::{Called, Error, Job, Next, Stop, deliver};

/// Bytes of lines of one object; more begin another.
const OBJECT_BYTES_MAX: usize = 4 << 20;
/// Bytes of lines in memory at most; what comes beyond is dropped and counted.
const BYTES_MAX: usize = 16 << 20;

/// Takes lines from whoever answers requests; cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct AccessLog(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    /// There is something to write that was not known of.
    news: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    batches: VecDeque<Batch>,
    bytes: usize,
    dropped: u64,
    /// The writer has been told of something and has not looked yet.
    news: bool,
}

/// Lines for one object.
#[derive(Debug)]
struct Batch {
    source: Source,
    target: LogTarget,
    /// When its first line came.
    since: Timestamp,
    /// Of the requests, where objects are named by that.
    day: Option<String>,
    lines: String,
    full: bool,
}

/// Whom the lines are about.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Source {
    bucket: BucketName,
    owner: String,
    region: Region,
}

impl AccessLog {
    /// Never waits.
    pub fn note(&self, target: &LogTarget, access: &Access) {
        let mut line = String::with_capacity(512);
        line::write(target.form, access, &mut line);
        if line.is_empty() {
            return;
        }
        let day = (target.keys == LogKeyFormat::ByEventTime).then(|| day(access.came));
        let mut waiting = self.waiting();
        if waiting.bytes + line.len() > BYTES_MAX {
            waiting.dropped += 1;
            return;
        }
        waiting.bytes += line.len();
        let fits = |batch: &&mut Batch| {
            !batch.full && batch.source.bucket == access.bucket && batch.target == *target && batch.day == day
        };
        let news = match waiting.batches.iter_mut().find(fits) {
            Some(batch) => {
                batch.lines.push_str(&line);
                batch.full = batch.lines.len() >= OBJECT_BYTES_MAX;
                batch.full
            }
            None => {
                waiting.batches.push_back(Batch {
                    source: Source {
                        bucket: access.bucket.clone(),
                        owner: access.owner.clone(),
                        region: access.region.clone(),
                    },
                    target: target.clone(),
                    since: access.ended,
                    day,
                    lines: line,
                    full: false,
                });
                true
            }
        };
        waiting.news |= news;
        drop(waiting);
        if news {
            self.0.news.notify_one();
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One whose time has come; with `None` any.
    fn take(&self, due: Option<Timestamp>) -> Option<Batch> {
        let mut waiting = self.waiting();
        let at = waiting
            .batches
            .iter()
            .position(|batch| batch.full || due.is_none_or(|due| batch.since <= due))?;
        let batch = waiting.batches.remove(at)?;
        waiting.bytes -= batch.lines.len();
        if waiting.dropped > 0 {
            tracing::warn!(lines = waiting.dropped, "more requests were to be logged than could be held");
            waiting.dropped = 0;
        }
        Some(batch)
    }

    fn oldest(&self) -> Option<Timestamp> {
        self.waiting().batches.iter().map(|batch| batch.since).min()
    }
}

/// Writes what has been gathered, an interval after the first line of each object.
pub(crate) struct Writer {
    pub(crate) log: AccessLog,
    pub(crate) store: Store,
    pub(crate) clock: Clock,
    pub(crate) interval: Duration,
}

impl Job for Writer {
    const NAME: &'static str = "access logs";

    async fn run_due(&mut self, now: Timestamp, stop: &Stop) -> Result<Next, Error> {
        self.log.waiting().news = false;
        while let Some(batch) = self.log.take(Some(now.minus(self.interval))) {
            self.write(batch).await?;
            stop.check()?;
        }
        Ok(Next { at: self.log.oldest().map(|since| since.plus(self.interval)), restores: None })
    }

    async fn finish(&mut self) -> Result<(), Error> {
        while let Some(batch) = self.log.take(None) {
            self.write(batch).await?;
        }
        Ok(())
    }

    async fn early(&self) {
        self.log.0.news.notified().await;
    }

    fn called(&self) -> Called {
        let log = self.log.clone();
        Box::new(move || log.waiting().news)
    }
}

impl Writer {
    async fn write(&self, mut batch: Batch) -> Result<(), Error> {
        let now = self.clock.now();
        let id = uuid::Uuid::new_v4().simple().to_string().to_ascii_uppercase();
        let name = name(&batch, now, &id);
        let (content_type, body) = match batch.target.form {
            ServiceForm::S3 => ("text/plain", std::mem::take(&mut batch.lines).into_bytes()),
            ServiceForm::Cos => ("application/gzip", gzip(batch.lines.as_bytes())),
        };
        match self.put(&batch, &name, content_type, body).await {
            Ok(_) => {
                tracing::debug!(source = %batch.source.bucket, target = %batch.target.bucket, %name, "log written");
                Ok(())
            }
            Err(Error::Store(error @ (StoreError::Closed | StoreError::Poisoned(_)))) => Err(error.into()),
            // The target may have gone meanwhile. Nobody is told, as on the services.
            Err(error) => {
                tracing::warn!(source = %batch.source.bucket, target = %batch.target.bucket, %error, "log lost");
                Ok(())
            }
        }
    }

    async fn put(&self, batch: &Batch, name: &str, content_type: &str, body: Vec<u8>) -> Result<(), Error> {
        let target = &batch.target;
        // Another account may have got the name since the lines were gathered.
        let found = self.store.bucket(&target.bucket)?;
        let Some(bucket) = found.filter(|bucket| bucket.owner_uin == batch.source.owner) else {
            return Err(StoreError::NoSuchBucket(target.bucket.clone()).into());
        };
        let acl = (!target.grants.is_empty()).then(|| Acl { grants: target.grants.clone() });
        let sealed = deliver::whole(&self.store, &bucket, body, None).await?;
        deliver::put(&self.store, &bucket, name, content_type, acl, sealed).await
    }
}

/// `2023/11/14`
fn day(time: Timestamp) -> String {
    time.iso_seconds().get(..10).unwrap_or_default().replace('-', "/")
}

/// As the services name them (S3: "Log object key format"; COS: cos-api 3.3).
fn name(batch: &Batch, now: Timestamp, id: &str) -> String {
    let LogTarget { prefix, form, keys, .. } = &batch.target;
    let unique = id.get(..16).unwrap_or(id);
    // 2023-11-14-22-13-20
    let time = now.iso_seconds().get(..19).unwrap_or_default().replace([':', 'T'], "-");
    match (form, keys) {
        (ServiceForm::Cos, _) => {
            let digits: String = time.chars().filter(char::is_ascii_digit).collect();
            format!("{prefix}{}/{digits}_{unique}_0.gz", day(now))
        }
        (ServiceForm::S3, LogKeyFormat::Simple) => format!("{prefix}{time}-{unique}"),
        (ServiceForm::S3, LogKeyFormat::ByEventTime | LogKeyFormat::ByDeliveryTime) => {
            let Source { bucket, owner, region } = &batch.source;
            let (day, time) = match &batch.day {
                Some(day) => (day.clone(), format!("{}-00-00-00", day.replace('/', "-"))),
                None => (day(now), time),
            };
            format!("{prefix}{owner}/{region}/{bucket}/{day}/{time}-{unique}")
        }
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    // Writing into memory does not fail.
    let _ = encoder.write_all(bytes);
    encoder.finish().unwrap_or_default()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(crate) mod tests {
    use cosette_model::op::{Listing, Op, Owner};
    use cosette_model::{AccessPart, Cause, Grant, Grantee, Permission, Signed, SignedIn};
    use cosette_store::{Durability, Options};

    use super::*;
    use crate::Jobs;

    pub(crate) fn access(bucket: &str, key: &str) -> Access {
        let came = Timestamp::from_secs(1_700_000_000);
        Access {
            bucket: BucketName::new(bucket).unwrap(),
            region: Region::new("ap-guangzhou").unwrap(),
            owner: "100000000001".into(),
            part: AccessPart::Whole,
            came,
            answered: came.plus(Duration::from_millis(20)),
            ended: came.plus(Duration::from_millis(30)),
            remote: "127.0.0.1".into(),
            requester: Some("100000000002".into()),
            access_key: Some("AKID".into()),
            request_id: "id".into(),
            host_id: Some("host-id".into()),
            op: Some(Op::GetObject),
            event: Some("GetObject"),
            key: Some(key.into()),
            method: "GET".into(),
            target: "/a%20b?x=1".into(),
            host: Some("h".into()),
            status: 200,
            error: None,
            received: 0,
            sent: 5,
            object_size: Some(5),
            version: None,
            class: None,
            referer: None,
            agent: Some("agent 1".into()),
            signed: Signed { version: Some("SigV4"), place: Some(SignedIn::Header) },
        }
    }

    fn target(form: ServiceForm, keys: LogKeyFormat) -> LogTarget {
        LogTarget {
            bucket: BucketName::new("logs-1250000000").unwrap(),
            prefix: "p/".into(),
            form,
            keys,
            grants: vec![Grant { grantee: Grantee::AllUsers, permission: Permission::Read }],
        }
    }

    fn batch(form: ServiceForm, keys: LogKeyFormat, day: Option<&str>) -> Batch {
        Batch {
            source: Source {
                bucket: BucketName::new("b-1250000000").unwrap(),
                owner: "100000000001".into(),
                region: Region::new("ap-guangzhou").unwrap(),
            },
            target: target(form, keys),
            since: Timestamp::from_secs(0),
            day: day.map(str::to_owned),
            lines: String::new(),
            full: false,
        }
    }

    #[test]
    fn objects_are_named_as_the_services_name_them() {
        let now = Timestamp::from_secs(1_700_000_000);
        let id = "0123456789ABCDEF0123456789ABCDEF";
        for (batch, want) in [
            (batch(ServiceForm::S3, LogKeyFormat::Simple, None), "p/2023-11-14-22-13-20-0123456789ABCDEF"),
            (
                batch(ServiceForm::S3, LogKeyFormat::ByDeliveryTime, None),
                "p/100000000001/ap-guangzhou/b-1250000000/2023/11/14/2023-11-14-22-13-20-0123456789ABCDEF",
            ),
            (
                batch(ServiceForm::S3, LogKeyFormat::ByEventTime, Some("2023/11/13")),
                "p/100000000001/ap-guangzhou/b-1250000000/2023/11/13/2023-11-13-00-00-00-0123456789ABCDEF",
            ),
            (
                batch(ServiceForm::Cos, LogKeyFormat::Simple, None),
                "p/2023/11/14/20231114221320_0123456789ABCDEF_0.gz",
            ),
        ] {
            assert_eq!(name(&batch, now, id), want);
        }
    }

    #[test]
    fn memory_is_bounded_and_what_is_beyond_it_is_dropped() {
        let log = AccessLog::default();
        let target = target(ServiceForm::S3, LogKeyFormat::Simple);
        let big = Access { agent: Some("x".repeat(1 << 20)), ..access("b-1250000000", "k") };
        for _ in 0..40 {
            log.note(&target, &big);
        }
        let waiting = log.waiting();
        assert!(waiting.bytes <= BYTES_MAX && waiting.dropped > 20, "{}", waiting.dropped);
        assert!(waiting.batches.iter().all(|batch| batch.lines.len() < OBJECT_BYTES_MAX + (2 << 20)));
    }

    async fn keys(store: &Store) -> Vec<String> {
        let page = store
            .list_objects(
                &BucketName::new("logs-1250000000").unwrap(),
                &Listing { max: 100, ..Listing::default() },
            )
            .unwrap();
        page.objects.iter().map(|(key, _)| key.to_string()).collect()
    }

    #[tokio::test]
    async fn lines_are_written_when_the_interval_is_over_and_at_the_stop() {
        let now = Timestamp::from_secs(1_700_000_000);
        let clock = Clock::frozen(now);
        let options = Options { dir: None, durability: Durability::Relaxed, cache_bytes: 1 << 20 };
        let store = Store::open(options, clock.clone()).unwrap();
        let owner = Owner { uin: "100000000001".into(), appid: "1250000000".into(), name: String::new() };
        let region = Region::new("ap-guangzhou").unwrap();
        let name = BucketName::new("logs-1250000000").unwrap();
        store.create_bucket(name, region, owner, Cause::default()).await.unwrap();
        let jobs = Jobs::new(store.clone(), clock.clone());
        let log = AccessLog::default();
        let interval = Duration::from_secs(300);
        jobs.add(Writer { log: log.clone(), store: store.clone(), clock: clock.clone(), interval });
        let target = target(ServiceForm::S3, LogKeyFormat::Simple);
        jobs.settled().await;
        log.note(&target, &access("b-1250000000", "1"));
        log.note(&target, &access("b-1250000000", "2"));
        log.note(&target, &access("other-1250000000", "3"));
        // Whose target it was before another account got its name.
        log.note(&target, &Access { owner: "2".into(), ..access("gone-1250000000", "4") });
        assert_eq!(keys(&store).await.len(), 0);
        clock.set(now.plus(Duration::from_secs(301)));
        assert!(!jobs.is_settled(), "not looked at yet");
        jobs.settled().await;
        assert_eq!(keys(&store).await.len(), 2);
        log.note(&target, &access("b-1250000000", "4"));
        jobs.stop().await;
        assert_eq!(keys(&store).await.len(), 3);
        store.close().await.unwrap();
    }
}
