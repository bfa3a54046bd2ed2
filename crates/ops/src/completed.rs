//! A complete that comes again, because its first answer was lost: S3 answers it as the first.

use cosette_model::op::{CompleteMultipartUpload, CompletedPart};
use cosette_model::{ETag, ObjectKey, UploadId, Wanted};
use cosette_store::{Bucket, Digester, Error as StoreError, Object};

use crate::Ops;
use crate::error::Result;

/// What is remembered of a complete until it has succeeded.
pub(crate) struct Again {
    key: ObjectKey,
    upload: UploadId,
    parts: Vec<CompletedPart>,
}

impl Again {
    pub(crate) fn of(ask: &CompleteMultipartUpload) -> Self {
        Self { key: ask.key.clone(), upload: ask.upload.clone(), parts: ask.parts.clone() }
    }
}

impl Ops {
    /// The current object, if it is what this complete makes: put together of exactly these parts
    /// after its upload was begun.
    pub(crate) fn completed(&self, bucket: &Bucket, again: &Again) -> Result<Option<Object>> {
        let object = match self.store.object(&bucket.name, &again.key, None) {
            Err(StoreError::NoSuchObject(_) | StoreError::DeleteMarker { .. }) => return Ok(None),
            found => found?,
        };
        // An upload's id begins with the second it was begun in.
        let begun = again.upload.as_str().get(..10).and_then(|digits| digits.parse::<u64>().ok());
        if begun.is_none_or(|begun| begun > object.modified.as_secs())
            || etag(again) != Some(object.etag.clone())
        {
            return Ok(None);
        }
        let parts = self.store.object_parts(&object, 0, again.parts.len() + 1)?;
        let same = parts.iter().map(|part| part.number).eq(again.parts.iter().map(|part| part.number));
        Ok(same.then_some(object))
    }
}

/// Of the object that the listed parts make; `None` if one of their tags is no part's.
fn etag(again: &Again) -> Option<ETag> {
    let mut digester = Digester::new(&Wanted::default());
    for part in &again.parts {
        let digits = part.etag.as_str();
        if digits.len() != 32 {
            return None;
        }
        let mut md5 = [0; 16];
        for (at, byte) in md5.iter_mut().enumerate() {
            *byte = u8::from_str_radix(digits.get(2 * at..2 * at + 2)?, 16).ok()?;
        }
        digester.update(&md5);
    }
    Some(ETag::of_parts(digester.finish().md5, again.parts.len()))
}
