//! The parameters of listings.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use std::ops::Bound;

use cosette_model::op::{
    ListBuckets, ListMultipartUploads, ListObjects, ListObjectsV2, ListParts, Listing, Span,
};
use cosette_model::{Error, ErrorCode, Region};

use super::{Incoming, invalid};
use crate::DialectName;

/// Most entries of one page (cos-api 3.7).
const PAGE_MAX: u32 = 1000;
/// Most buckets of one page of a COS client that asks for pages (cos-api 3.1).
const BUCKETS_MAX: u32 = 2000;

/// A continuation token for going on after `name`: opaque to clients.
pub(crate) fn token(name: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(name)
}

/// No more than `max`, not negative.
pub(super) fn count(name: &str, text: &str, max: u32) -> Result<u32, Error> {
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    if !digits || text.len() > 10 {
        return Err(invalid(name, text, format!("Provided {name} not an integer or within integer range")));
    }
    Ok(text.parse().unwrap_or(u32::MAX).min(max))
}

pub(super) fn read_token(token: &str) -> Result<String, Error> {
    BASE64_URL_SAFE_NO_PAD
        .decode(token)
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .filter(|name| !name.is_empty())
        .ok_or_else(|| invalid("continuation-token", token, "The continuation token provided is incorrect"))
}

impl Incoming<'_> {
    pub(super) fn list_buckets(self) -> Result<ListBuckets, Error> {
        let given = |name: &str| self.query.filled(name);
        let region = match given("region").or_else(|| given("bucket-region")) {
            Some(text) => {
                Some(Region::new(text).map_err(|_| invalid("region", text, "The region is not valid."))?)
            }
            None => self.target.host.region.clone(),
        };
        let tag = match (given("tagkey"), given("tagvalue")) {
            (None, None) => None,
            (Some(key), Some(value)) => Some((key.to_owned(), value.to_owned())),
            (key, _) => {
                return Err(invalid("tagkey", key.unwrap_or_default(), "A tag has a key and a value."));
            }
        };
        let created = created(given("create-time"), given("range"))?;
        let (after, max) = match self.dialect {
            DialectName::Cos => {
                (given("marker").map(str::to_owned), self.number("max-keys", BUCKETS_MAX, BUCKETS_MAX)?)
            }
            DialectName::S3 => {
                let after = self.query.get("continuation-token").map(read_token).transpose()?;
                (after, self.number("max-buckets", 10_000, 10_000)?)
            }
        };
        let prefix = given("prefix").map(str::to_owned);
        Ok(ListBuckets { region, prefix, after, max: Some(max), tag, created })
    }

    pub(super) fn list_objects(self) -> Result<ListObjects, Error> {
        let after = self.query.get("marker").unwrap_or_default().to_owned();
        Ok(ListObjects {
            bucket: self.bucket()?,
            listing: self.listing(after)?,
            url_encode: self.url_encode()?,
        })
    }

    pub(super) fn list_objects_v2(self) -> Result<ListObjectsV2, Error> {
        let continuation_token = self.query.get("continuation-token").map(str::to_owned);
        let start_after = self.query.filled("start-after").map(str::to_owned);
        let after = match &continuation_token {
            Some(token) => read_token(token)?,
            None => start_after.clone().unwrap_or_default(),
        };
        Ok(ListObjectsV2 {
            bucket: self.bucket()?,
            listing: self.listing(after)?,
            continuation_token,
            start_after,
            fetch_owner: self.query.get("fetch-owner") == Some("true"),
            url_encode: self.url_encode()?,
        })
    }

    pub(super) fn list_uploads(self) -> Result<ListMultipartUploads, Error> {
        let text = |name: &str| self.query.get(name).unwrap_or_default().to_owned();
        Ok(ListMultipartUploads {
            bucket: self.bucket()?,
            prefix: text("prefix"),
            delimiter: self.delimiter()?,
            key_marker: text("key-marker"),
            upload_marker: text("upload-id-marker"),
            max: self.number("max-uploads", PAGE_MAX, PAGE_MAX)?,
            url_encode: self.url_encode()?,
        })
    }

    pub(super) fn list_parts(mut self) -> Result<ListParts, Error> {
        if self.query.filled("uploadId").is_none() {
            return Err(ErrorCode::ListPartUploadIdIsEmpty.into());
        }
        let after = self.number("part-number-marker", 0, u32::from(u16::MAX))?;
        Ok(ListParts {
            bucket: self.bucket()?,
            key: self.key()?,
            upload: self.upload(),
            after: u16::try_from(after).unwrap_or(u16::MAX),
            max: self.number("max-parts", PAGE_MAX, PAGE_MAX)?,
            url_encode: self.url_encode()?,
            customer: self.customer_key()?,
        })
    }

    pub(super) fn listing(&self, after: String) -> Result<Listing, Error> {
        Ok(Listing {
            prefix: self.query.get("prefix").unwrap_or_default().to_owned(),
            delimiter: self.delimiter()?,
            after,
            max: self.number("max-keys", PAGE_MAX, PAGE_MAX)?,
        })
    }

    /// Empty is none. COS takes one character only (cos-api 3.2).
    fn delimiter(&self) -> Result<Option<String>, Error> {
        let Some(text) = self.query.filled("delimiter") else { return Ok(None) };
        if self.dialect == DialectName::Cos && text.chars().count() > 1 {
            return Err(Error::new(ErrorCode::InvalidDelimiter));
        }
        Ok(Some(text.to_owned()))
    }

    /// A count: `default` when absent or empty, no more than `max`, not negative.
    fn number(&self, name: &'static str, default: u32, max: u32) -> Result<u32, Error> {
        let Some(text) = self.query.filled(name) else { return Ok(default) };
        count(name, text, max)
    }

    pub(super) fn url_encode(&self) -> Result<bool, Error> {
        match self.query.filled("encoding-type") {
            None => Ok(false),
            Some("url") => Ok(true),
            Some(other) => {
                Err(invalid("encoding-type", other, "Invalid Encoding Method specified in Request"))
            }
        }
    }
}

/// `create-time` in seconds, and on which side of it (cos-api 3.1).
fn created(time: Option<&str>, range: Option<&str>) -> Result<Option<Span>, Error> {
    use Bound::{Excluded, Included, Unbounded};
    let (Some(time), Some(range)) = (time, range) else {
        return match time.or(range) {
            None => Ok(None),
            Some(text) => Err(invalid("create-time", text, "create-time and range go together.")),
        };
    };
    let seconds: u64 =
        time.parse().map_err(|_| invalid("create-time", time, "The time must be a number of seconds."))?;
    Ok(Some(match range {
        "gt" => (Excluded(seconds), Unbounded),
        "gte" => (Included(seconds), Unbounded),
        "lt" => (Unbounded, Excluded(seconds)),
        "lte" => (Unbounded, Included(seconds)),
        other => return Err(invalid("range", other, "The range must be gt, gte, lt or lte.")),
    }))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn tokens_hold_any_key() {
        for key in ["a", "照片/2024 a", "\u{1}"] {
            assert_eq!(read_token(&token(key)).unwrap(), key);
        }
        for bad in ["", "!", "a", "_w"] {
            assert_eq!(read_token(bad).unwrap_err().code, ErrorCode::InvalidArgument, "{bad}");
        }
    }
}
