//! Listings: one page of keys in order, rolled up at a delimiter. Keys under a common prefix are
//! skipped by a seek, so a page costs what it shows.

use std::collections::VecDeque;
use std::ops::ControlFlow;

use cosette_kv::{Engine, Range, successor};
use cosette_model::op::Listing;
use cosette_model::{BucketName, ObjectKey, VersionId};

use crate::error::{Error, Result};
use crate::record::{Bucket, Object, Summary, Upload, UploadRecord, decode};
use crate::schema::{self, Kind};
use crate::store::Store;
use crate::version::newest;

/// One page of a listing.
#[derive(Clone, Debug, Default)]
pub struct Page {
    pub objects: Vec<(ObjectKey, Summary)>,
    pub common_prefixes: Vec<String>,
    /// The last key or common prefix of this page, when there are more.
    pub next: Option<String>,
}

/// One page of versions and delete markers: by key, newest first.
#[derive(Clone, Debug, Default)]
pub struct VersionPage {
    pub versions: Vec<ListedVersion>,
    pub common_prefixes: Vec<String>,
    /// Key (or common prefix) and version of the last entry, when there are more.
    pub next: Option<(String, Option<VersionId>)>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct ListedVersion {
    pub key: ObjectKey,
    /// It is what the key shows now.
    pub latest: bool,
    pub summary: Summary,
}

#[derive(Clone, Debug, Default)]
pub struct UploadPage {
    pub uploads: Vec<Upload>,
    pub common_prefixes: Vec<String>,
    /// Key (or common prefix) and upload id of the last entry, when there are more.
    pub next: Option<(String, String)>,
}

/// A table that is listed: its rows' keys are a base, then a name in some writing, then a tail.
trait Listed {
    /// What a row becomes.
    type Entry;
    /// A name, or the beginning of one, as it stands in a row's key after the base.
    fn write(name: &str) -> Vec<u8>;
    /// The name in a row's key, and what follows it.
    fn read(rest: &[u8]) -> Result<(String, &[u8])>;
    fn entry(name: String, value: &[u8]) -> Result<Self::Entry>;
}

struct Objects;

impl Listed for Objects {
    type Entry = (ObjectKey, Summary);

    fn write(name: &str) -> Vec<u8> {
        name.as_bytes().to_vec()
    }

    fn read(rest: &[u8]) -> Result<(String, &[u8])> {
        let name = std::str::from_utf8(rest).map_err(|_| Error::corrupt("a key that is no UTF-8"))?;
        Ok((name.to_owned(), &[]))
    }

    fn entry(name: String, value: &[u8]) -> Result<Self::Entry> {
        Ok((object_key(name)?, Summary::decode(value)?))
    }
}

fn object_key(name: String) -> Result<ObjectKey> {
    ObjectKey::new(name).map_err(|_| Error::corrupt("an object's key"))
}

struct Uploads;

impl Listed for Uploads {
    type Entry = Upload;

    fn write(name: &str) -> Vec<u8> {
        schema::escape(name)
    }

    fn read(rest: &[u8]) -> Result<(String, &[u8])> {
        schema::unescape(rest)
    }

    fn entry(_: String, value: &[u8]) -> Result<Self::Entry> {
        Ok(decode::<UploadRecord>("upload", value)?.upload)
    }
}

/// A page while it is filled.
struct Rolled<E> {
    entries: Vec<E>,
    common_prefixes: Vec<String>,
    /// Name and tail of the last entry; the tail of a common prefix is empty.
    last: (String, Vec<u8>),
    more: bool,
}

impl<E> Rolled<E> {
    /// Puts a row on the page; gives back the common prefix it was rolled up to, as keys write it.
    fn take<L: Listed<Entry = E>>(
        &mut self,
        rest: &[u8],
        value: &[u8],
        listing: &Listing,
        delimiter: Option<&str>,
    ) -> Result<Option<Vec<u8>>> {
        let (name, tail) = L::read(rest)?;
        if let Some(common) = common(&name, &listing.prefix, delimiter) {
            self.last = (common.to_owned(), Vec::new());
            self.common_prefixes.push(common.to_owned());
            return Ok(Some(L::write(common)));
        }
        self.last = (name.clone(), tail.to_vec());
        self.entries.push(L::entry(name, value)?);
        Ok(None)
    }
}

/// The common prefix that `name` belongs to.
fn common<'a>(name: &'a str, prefix: &str, delimiter: Option<&str>) -> Option<&'a str> {
    let delimiter = delimiter?;
    let at = name.get(prefix.len()..)?.find(delimiter)?;
    name.get(..prefix.len() + at + delimiter.len())
}

/// Fills a page with the rows after `after`, which is a whole row key, or all that begin with it.
fn roll<L: Listed>(
    engine: &dyn Engine,
    base: &[u8],
    listing: &Listing,
    after: After,
) -> Result<Rolled<L::Entry>> {
    let max = listing.max as usize;
    let delimiter = listing.delimiter.as_deref().filter(|delimiter| !delimiter.is_empty());
    let mut page =
        Rolled { entries: Vec::new(), common_prefixes: Vec::new(), last: Default::default(), more: false };
    if max == 0 {
        return Ok(page);
    }
    let whole = Range::prefix(&[base, &L::write(&listing.prefix)].concat());
    let Some(mut range) = after.within(&whole) else { return Ok(page) };
    loop {
        let mut outcome: Result<()> = Ok(());
        let mut skip = None;
        engine.scan(&range, &mut |key, value| {
            if page.entries.len() + page.common_prefixes.len() == max {
                page.more = true;
                return ControlFlow::Break(());
            }
            match page.take::<L>(&key[base.len()..], value, listing, delimiter) {
                Ok(common) => skip = common,
                Err(error) => outcome = Err(error),
            }
            if outcome.is_err() || skip.is_some() {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        })?;
        outcome?;
        match skip.and_then(|common| successor(&[base, &common].concat())) {
            Some(next) if !page.more => range = whole.clone().at_least(&next),
            _ => return Ok(page),
        }
    }
}

/// Where a page begins.
enum After {
    Nothing,
    Row(Vec<u8>),
    /// After every row that begins with this.
    All(Vec<u8>),
    /// With this row.
    From(Vec<u8>),
}

impl After {
    /// What of `whole` comes after; `None` if nothing can.
    fn within(self, whole: &Range) -> Option<Range> {
        Some(match self {
            Self::Nothing => whole.clone(),
            Self::Row(key) => whole.clone().after(&key),
            Self::All(prefix) => whole.clone().at_least(&successor(&prefix)?),
            Self::From(key) => whole.clone().at_least(&key),
        })
    }
}

/// Rows of a range one at a time, for who reads two ranges side by side. Reads ahead more and
/// more, and little again after a seek.
struct Rows<'a> {
    engine: &'a dyn Engine,
    /// What has not been read yet; `None` at the end.
    rest: Option<Range>,
    read: VecDeque<(Vec<u8>, Vec<u8>)>,
    ahead: usize,
}

impl<'a> Rows<'a> {
    const AHEAD_MAX: usize = 256;

    fn new(engine: &'a dyn Engine, range: Option<Range>) -> Self {
        Self { engine, rest: range, read: VecDeque::new(), ahead: 2 }
    }

    fn first(&mut self) -> Result<Option<&(Vec<u8>, Vec<u8>)>> {
        if self.read.is_empty()
            && let Some(range) = self.rest.take()
        {
            self.engine.scan(&range, &mut |key, value| {
                self.read.push_back((key.to_vec(), value.to_vec()));
                if self.read.len() == self.ahead { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            })?;
            if self.read.len() == self.ahead {
                self.rest = self.read.back().map(|(key, _)| range.after(key));
                self.ahead = (self.ahead * 2).min(Self::AHEAD_MAX);
            }
        }
        Ok(self.read.front())
    }

    fn pop(&mut self) -> Option<(Vec<u8>, Vec<u8>)> {
        self.read.pop_front()
    }

    /// Leaves out everything before `key`.
    fn seek(&mut self, key: &[u8]) {
        while self.read.front().is_some_and(|(front, _)| front.as_slice() < key) {
            self.read.pop_front();
        }
        if self.read.is_empty() {
            self.rest = self.rest.take().map(|range| range.at_least(key));
            self.ahead = 2;
        }
    }

    fn end(&mut self) {
        self.read.clear();
        self.rest = None;
    }
}

/// Whether a marker is itself a common prefix of this listing, which has been shown whole.
fn is_common(listing: &Listing) -> bool {
    let delimiter = listing.delimiter.as_deref().filter(|delimiter| !delimiter.is_empty());
    listing.after.starts_with(&listing.prefix)
        && common(&listing.after, &listing.prefix, delimiter) == Some(listing.after.as_str())
}

impl Store {
    pub fn list_objects(&self, bucket: &BucketName, listing: &Listing) -> Result<Page> {
        let bucket = self.need_bucket(bucket)?;
        let base = schema::of_bucket(Kind::Object, bucket.id);
        let marker = [&base, listing.after.as_bytes()].concat();
        let after = match listing.after.as_str() {
            "" => After::Nothing,
            _ if is_common(listing) => After::All(marker),
            _ => After::Row(marker),
        };
        let page = roll::<Objects>(&*self.engine()?, &base, listing, after)?;
        Ok(Page {
            objects: page.entries,
            common_prefixes: page.common_prefixes,
            next: page.more.then_some(page.last.0),
        })
    }

    /// All versions and delete markers. `listing.after` is the key marker: with `version_marker`
    /// what comes after that version of the key, without it what comes after the key. The version
    /// need not be there any more: whoever empties a bucket deletes each page before the next.
    ///
    /// # Errors
    /// `NoSuchVersion` for a marker that cannot be a version's id, `NoSuchBucket`.
    pub fn list_versions(
        &self,
        bucket: &BucketName,
        listing: &Listing,
        version_marker: Option<&VersionId>,
    ) -> Result<VersionPage> {
        let bucket = self.need_bucket(bucket)?;
        let engine = &*self.engine()?;
        let max = listing.max as usize;
        let delimiter = listing.delimiter.as_deref().filter(|delimiter| !delimiter.is_empty());
        let mut page = VersionPage::default();
        if max == 0 {
            return Ok(page);
        }
        let bases = [Kind::Object, Kind::Version].map(|kind| schema::of_bucket(kind, bucket.id));
        let mut last = None;
        let [objects, versions] = match version_marker {
            _ if listing.after.is_empty() => [After::Nothing, After::Nothing],
            _ if is_common(listing) => [
                After::All([&bases[0], listing.after.as_bytes()].concat()),
                After::All([bases[1].as_slice(), &schema::escape(&listing.after)].concat()),
            ],
            None => [
                After::Row([&bases[0], listing.after.as_bytes()].concat()),
                After::All(schema::of_key(Kind::Version, bucket.id, &listing.after)),
            ],
            Some(marker) => {
                let (after, newest) = self.after_version(&bucket, &listing.after, marker)?;
                last = newest.then(|| listing.after.clone());
                after
            }
        };
        let written = [listing.prefix.as_bytes().to_vec(), schema::escape(&listing.prefix)];
        let whole = [0, 1].map(|at| Range::prefix(&[bases[at].as_slice(), &written[at]].concat()));
        let mut objects = Rows::new(engine, objects.within(&whole[0]));
        let mut versions = Rows::new(engine, versions.within(&whole[1]));
        loop {
            let object = match objects.first()? {
                Some((row, _)) => Some(Objects::read(&row[bases[0].len()..])?.0),
                None => None,
            };
            let version = match versions.first()? {
                Some((row, _)) => Some(schema::unescape(&row[bases[1].len()..])?.0),
                None => None,
            };
            let (name, from) = match (object, version) {
                (None, None) => return Ok(page),
                (Some(object), Some(version)) if version < object => (version, &mut versions),
                (Some(object), _) => (object, &mut objects),
                (None, Some(version)) => (version, &mut versions),
            };
            if page.versions.len() + page.common_prefixes.len() == max {
                page.next = Some(match page.versions.last() {
                    Some(shown) if page.common_prefixes.last() < Some(&shown.key.as_str().to_owned()) => {
                        (shown.key.as_str().to_owned(), Some(shown.summary.version.id()))
                    }
                    _ => (page.common_prefixes.last().cloned().unwrap_or_default(), None),
                });
                return Ok(page);
            }
            if let Some(common) = common(&name, &listing.prefix, delimiter) {
                page.common_prefixes.push(common.to_owned());
                for (rows, prefix) in [
                    (&mut objects, [&bases[0], common.as_bytes()].concat()),
                    (&mut versions, [bases[1].as_slice(), &schema::escape(common)].concat()),
                ] {
                    match successor(&prefix) {
                        Some(next) => rows.seek(&next),
                        None => rows.end(),
                    }
                }
                continue;
            }
            let Some((_, record)) = from.pop() else { return Ok(page) };
            let latest = last.as_ref() != Some(&name);
            last = Some(name.clone());
            page.versions.push(ListedVersion {
                key: object_key(name)?,
                latest,
                summary: Summary::decode(&record)?,
            });
        }
    }

    /// Where the rows go on after one version of a key, and whether the key's newest has been shown.
    fn after_version(&self, bucket: &Bucket, key: &str, id: &VersionId) -> Result<([After; 2], bool)> {
        let engine = self.engine()?;
        let key = ObjectKey::new(key).map_err(|_| Error::NoSuchVersion)?;
        let row = schema::object(bucket.id, &key);
        let current = engine.get(&row)?.map_or(Ok(None), |record| Object::decode(&record))?;
        let current = current.map(|object| object.version);
        let stamp = match id {
            VersionId::Id(_) => id.stamp().ok_or(Error::NoSuchVersion)?,
            VersionId::Null => match current.filter(|version| version.null) {
                Some(version) => version.stamp,
                // One that is gone may have had any place among them: none may be left out.
                None => engine
                    .get(&schema::null(bucket.id, &key))?
                    .and_then(|row| schema::number8(&row, 0))
                    .unwrap_or(u64::MAX),
            },
        };
        let newest = match current {
            Some(version) => Some(version.stamp),
            None => newest(&*engine, bucket, &key)?.map(|(row, _)| schema::stamp_of(&row)).transpose()?,
        };
        let shown = newest.is_some_and(|newest| newest >= stamp);
        let objects = if shown { After::Row(row) } else { After::From(row) };
        Ok(([objects, After::Row(schema::version(bucket.id, &key, stamp))], shown))
    }

    /// Open uploads by key, then upload id. `listing.after` is the key marker; `upload_marker`
    /// counts only together with it.
    pub fn list_uploads(
        &self,
        bucket: &BucketName,
        listing: &Listing,
        upload_marker: &str,
    ) -> Result<UploadPage> {
        let bucket = self.need_bucket(bucket)?;
        let base = schema::of_bucket(Kind::Upload, bucket.id);
        let name = [base.as_slice(), &Uploads::write(&listing.after)].concat();
        let after = if listing.after.is_empty() {
            After::Nothing
        } else if is_common(listing) {
            After::All(name)
        } else if upload_marker.is_empty() {
            After::All([name.as_slice(), schema::END].concat())
        } else {
            After::Row([name.as_slice(), schema::END, upload_marker.as_bytes()].concat())
        };
        let page = roll::<Uploads>(&*self.engine()?, &base, listing, after)?;
        let (key, id) = page.last;
        Ok(UploadPage {
            uploads: page.entries,
            common_prefixes: page.common_prefixes,
            next: page.more.then(|| (key, String::from_utf8_lossy(&id).into_owned())),
        })
    }
}
