//! Buckets with their settings, as every request asks for them, kept in memory.
//!
//! A view is as good as the count that was read before it was made: a commit that changes a bucket
//! or a setting raises the count once the index has it, and before anybody hears of it.

use std::collections::{BTreeMap, HashMap};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use cosette_kv::{Engine, Range, Visit};
use cosette_model::BucketName;

use crate::error::Result;
use crate::record::{Bucket, decode};
use crate::schema::{self, Kind};
use crate::target::Target;
use crate::tx::Tx;

/// With more buckets than this all are forgotten, and read again as they are asked for.
const VIEWS_MAX: usize = 1_000;

/// A bucket and its settings at one moment.
#[derive(Clone, Debug)]
pub struct View {
    pub bucket: Bucket,
    /// By name, in the form their owners gave them.
    pub(crate) settings: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl View {
    /// A setting, in the form the bucket's owner gave it.
    pub fn setting(&self, name: &str) -> Option<&[u8]> {
        self.settings.get(name.as_bytes()).map(Vec::as_slice)
    }

    /// Those whose names begin so, in the order of their names.
    pub fn settings(&self, begin: &str) -> impl Iterator<Item = &[u8]> {
        let rows = self.settings.range(begin.as_bytes().to_vec()..);
        rows.take_while(move |(name, _)| name.starts_with(begin.as_bytes())).map(|(_, row)| row.as_slice())
    }
}

/// The view of a bucket whose rows are scanned so.
fn view(bucket: Bucket, scan: impl FnOnce(&Range, &mut Visit<'_>) -> Result<()>) -> Result<View> {
    let mut settings = BTreeMap::new();
    let prefix = schema::of_bucket(Kind::Setting, bucket.id);
    scan(&Range::prefix(&prefix), &mut |key, value| {
        settings.insert(key[prefix.len()..].to_vec(), value.to_vec());
        ControlFlow::Continue(())
    })?;
    Ok(View { bucket, settings })
}

impl Tx<'_> {
    /// The bucket as this commit sees it.
    pub(crate) fn need_view(&self, target: &Target) -> Result<View> {
        self.view_of(self.target(target)?)
    }

    pub(crate) fn view_of(&self, bucket: Bucket) -> Result<View> {
        view(bucket, |range, visit| self.rows(range, visit))
    }
}

#[derive(Debug, Default)]
pub(crate) struct Views {
    /// Commits so far that changed a bucket or a setting.
    count: AtomicU64,
    views: RwLock<HashMap<BucketName, (u64, Arc<View>)>>,
}

impl Views {
    pub(crate) fn count(&self) -> u64 {
        self.count.load(Ordering::Acquire)
    }

    /// The index has a commit that changed a bucket or a setting.
    pub(crate) fn outdate(&self) {
        self.count.fetch_add(1, Ordering::AcqRel);
    }

    pub(crate) fn get(&self, engine: &dyn Engine, name: &BucketName) -> Result<Option<Arc<View>>> {
        let count = self.count.load(Ordering::Acquire);
        if let Some((of, view)) = self.views.read().unwrap_or_else(PoisonError::into_inner).get(name)
            && *of == count
        {
            return Ok(Some(Arc::clone(view)));
        }
        let Some(row) = engine.get(&schema::bucket(name))? else { return Ok(None) };
        let bucket: Bucket = decode("bucket", &row)?;
        let view = Arc::new(view(bucket, |range, visit| Ok(engine.scan(range, visit)?))?);
        let mut views = self.views.write().unwrap_or_else(PoisonError::into_inner);
        if views.len() >= VIEWS_MAX {
            views.clear();
        }
        views.insert(name.clone(), (count, Arc::clone(&view)));
        Ok(Some(view))
    }
}
