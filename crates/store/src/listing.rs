//! Listings: one page of keys in order, rolled up at a delimiter. Keys under a common prefix are
//! skipped by a seek, so a page costs what it shows.

use std::ops::ControlFlow;

use cosette_kv::{Engine, Range, successor};
use cosette_model::op::Listing;
use cosette_model::{BucketName, ObjectKey};

use crate::error::{Error, Result};
use crate::record::{Object, Upload, UploadRecord, decode};
use crate::schema::{self, Kind};
use crate::store::Store;

/// One page of a listing.
#[derive(Clone, Debug, Default)]
pub struct Page {
    pub objects: Vec<(ObjectKey, Object)>,
    pub common_prefixes: Vec<String>,
    /// The last key or common prefix of this page, when there are more.
    pub next: Option<String>,
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
    type Entry = (ObjectKey, Object);

    fn write(name: &str) -> Vec<u8> {
        name.as_bytes().to_vec()
    }

    fn read(rest: &[u8]) -> Result<(String, &[u8])> {
        let name = std::str::from_utf8(rest).map_err(|_| Error::corrupt("a key that is no UTF-8"))?;
        Ok((name.to_owned(), &[]))
    }

    fn entry(name: String, value: &[u8]) -> Result<Self::Entry> {
        let key = ObjectKey::new(name).map_err(|_| Error::corrupt("an object's key"))?;
        Ok((key, decode("object", value)?))
    }
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
    let mut range = match after {
        After::Nothing => whole.clone(),
        After::Row(key) => whole.clone().after(&key),
        After::All(prefix) => match successor(&prefix) {
            Some(next) => whole.clone().at_least(&next),
            None => return Ok(page),
        },
    };
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
