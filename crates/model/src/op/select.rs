//! Queries on the content of an object.

use std::pin::Pin;

use bytes::Bytes;
use futures_core::Stream;

use crate::{BucketName, CustomerKey, Error, ObjectKey, VersionId};

#[derive(Debug)]
pub struct SelectObjectContent {
    pub bucket: BucketName,
    pub key: ObjectKey,
    pub version: Option<VersionId>,
    pub query: Query,
    /// What it is encrypted under, if it is under a key of a customer's.
    pub customer: Option<CustomerKey>,
}

/// What is asked, of which kind of object, and in which form to answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// SQL, of at most 256 KiB.
    pub expression: String,
    pub input: Input,
    pub compression: Compression,
    pub output: Output,
    /// Whether to tell how far the query is.
    pub progress: bool,
    /// Only records that begin within it.
    pub range: Option<ScanRange>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    Csv(CsvInput),
    /// One value a line, or values that go over lines.
    Json {
        lines: bool,
    },
    Parquet,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    #[default]
    None,
    Gzip,
    Bzip2,
}

/// What the first record of a CSV object is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FileHeader {
    /// A record as any other.
    #[default]
    None,
    /// The columns' names.
    Use,
    /// To be passed over.
    Ignore,
}

/// How a CSV object is to be read. A character may be any, so each is a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CsvInput {
    pub header: FileHeader,
    pub record_delimiter: String,
    pub field_delimiter: String,
    /// Empty when nothing quotes.
    pub quote: String,
    pub escape: String,
    /// Records that begin with it are passed over; empty when none are.
    pub comment: String,
    /// Whether a record delimiter within quotes is text.
    pub quoted_records: bool,
}

impl Default for CsvInput {
    fn default() -> Self {
        let text = |text: &str| text.to_owned();
        Self {
            header: FileHeader::None,
            record_delimiter: text("\n"),
            field_delimiter: text(","),
            quote: text("\""),
            escape: text("\""),
            comment: text("#"),
            quoted_records: false,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    Csv(CsvOutput),
    Json { record_delimiter: String },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CsvOutput {
    /// Quotes every field, not only those that need it.
    pub quote_always: bool,
    pub record_delimiter: String,
    pub field_delimiter: String,
    pub quote: String,
    pub escape: String,
}

impl Default for CsvOutput {
    fn default() -> Self {
        let text = |text: &str| text.to_owned();
        Self {
            quote_always: false,
            record_delimiter: text("\n"),
            field_delimiter: text(","),
            quote: text("\""),
            escape: text("\""),
        }
    }
}

/// Positions of bytes, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScanRange {
    FromTo(u64, u64),
    From(u64),
    /// The last bytes, so many.
    Last(u64),
}

/// How much of an object a query has seen, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scanned {
    /// Read of the object.
    pub scanned: u64,
    /// The same after decompression.
    pub processed: u64,
    /// Of records answered.
    pub returned: u64,
}

/// A piece of the answer to a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SelectEvent {
    /// Records, or parts of some.
    Records(Bytes),
    /// Nothing new: the query goes on.
    Continuation,
    Progress(Scanned),
    Stats(Scanned),
    /// The query is done. Without it an answer is not whole.
    End,
}

/// The answer as it comes; an error is its last item.
pub type SelectEvents = Pin<Box<dyn Stream<Item = Result<SelectEvent, Error>> + Send>>;

pub mod reply {
    use super::SelectEvents;

    pub struct SelectObjectContent {
        pub events: SelectEvents,
    }

    impl std::fmt::Debug for SelectObjectContent {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.debug_struct("SelectObjectContent").finish_non_exhaustive()
        }
    }
}
