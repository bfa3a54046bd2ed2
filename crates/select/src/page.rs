//! What pages of Parquet may take, looked at before the library makes room for what they say.
//!
//! A page says how large it is unpacked, and the library believes it. So the bytes that it reads as a page's header
//! are read here as well, by the same rules (Thrift's compact protocol, `PageHeader` of parquet-format), before
//! it is given the page itself.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use parquet::bloom_filter::Sbbf;
use parquet::column::page::{Page, PageMetadata, PageReader};
use parquet::errors::{ParquetError, Result as Parquet};
use parquet::file::metadata::RowGroupMetaData;
use parquet::file::reader::RowGroupReader;
use parquet::record::reader::RowIter;
use parquet::schema::types::Type as Schema;

/// Largest page, in bytes; writers make them of about one MiB.
pub(crate) const PAGE_BYTES_MAX: u64 = 256 << 20;

/// A longer header is none.
const HEADER_BYTES_MAX: usize = 1 << 20;

/// Most values of a dictionary, each of which takes room of its own. Writers make dictionaries of one MiB.
const DICTIONARY_VALUES_MAX: u32 = 4 << 20;
const VALUE_BYTES: u64 = 32;

/// What the pages of a group of rows have taken, of what they may.
#[derive(Clone, Debug, Default)]
pub(crate) struct Budget(Arc<Mutex<Account>>);

#[derive(Debug, Default)]
struct Account {
    /// What may be headers of pages that have not been read, by where they end. A page's header may be
    /// looked at before other columns are read.
    headers: HashMap<u64, Vec<u8>>,
    left: u64,
    over: bool,
}

impl Budget {
    fn account(&self) -> MutexGuard<'_, Account> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For the next group, of so many bytes at most.
    pub(crate) fn renew(&self, bytes: u64) {
        let mut account = self.account();
        account.headers.clear();
        account.left = bytes;
    }

    /// Whether it was more than it may.
    pub(crate) fn is_over(&self) -> bool {
        self.account().over
    }

    /// The library has read something that may be a header, or a part of one.
    pub(crate) fn saw(&self, start: u64, bytes: &[u8]) {
        let headers = &mut self.account().headers;
        let mut header = headers.remove(&start).unwrap_or_default();
        if header.len() <= HEADER_BYTES_MAX {
            header.extend_from_slice(bytes);
        }
        headers.insert(start.saturating_add(bytes.len() as u64), header);
    }

    /// Whether the page after the header that was read may be unpacked.
    pub(crate) fn admit(&self, start: u64, length: usize) -> Parquet<()> {
        let mut account = self.account();
        let header = account.headers.remove(&start).filter(|header| header.len() <= HEADER_BYTES_MAX);
        let unpacked = header.as_deref().and_then(unpacked);
        let unpacked = unpacked.ok_or_else(|| ParquetError::General("no header of a page".into()))?;
        if unpacked > PAGE_BYTES_MAX || length as u64 > PAGE_BYTES_MAX {
            account.over = true;
            return Err(ParquetError::General("a page that is too large".into()));
        }
        account.take(unpacked)
    }
}

impl Account {
    fn take(&mut self, bytes: u64) -> Parquet<()> {
        let Some(left) = self.left.checked_sub(bytes) else {
            self.over = true;
            return Err(ParquetError::General("a group of rows that is larger than it may be".into()));
        };
        self.left = left;
        Ok(())
    }
}

/// A group whose pages are what they say.
pub(crate) struct Checked<'a> {
    pub(crate) group: Box<dyn RowGroupReader + 'a>,
    pub(crate) budget: Budget,
}

impl RowGroupReader for Checked<'_> {
    fn metadata(&self) -> &RowGroupMetaData {
        self.group.metadata()
    }

    fn num_columns(&self) -> usize {
        self.group.num_columns()
    }

    fn get_column_page_reader(&self, at: usize) -> Parquet<Box<dyn PageReader>> {
        Ok(Box::new(CheckedPages(self.group.get_column_page_reader(at)?, self.budget.clone())))
    }

    fn get_column_bloom_filter(&self, at: usize) -> Option<&Sbbf> {
        self.group.get_column_bloom_filter(at)
    }

    fn get_row_iter(&self, projection: Option<Schema>) -> Parquet<RowIter<'_>> {
        RowIter::from_row_group(projection, self)
    }
}

struct CheckedPages(Box<dyn PageReader>, Budget);

impl Iterator for CheckedPages {
    type Item = Parquet<Page>;

    fn next(&mut self) -> Option<Self::Item> {
        self.get_next_page().transpose()
    }
}

impl PageReader for CheckedPages {
    /// The library makes room for as many values as a dictionary says that it has, before it looks for them.
    fn get_next_page(&mut self) -> Parquet<Option<Page>> {
        let page = self.0.get_next_page()?;
        if let Some(Page::DictionaryPage { buf, num_values, .. }) = &page {
            // No value takes less than a byte.
            if *num_values as usize > buf.len() || *num_values > DICTIONARY_VALUES_MAX {
                let why = "a dictionary with fewer values than it says, or too many";
                return Err(ParquetError::General(why.into()));
            }
            self.1.account().take(u64::from(*num_values) * VALUE_BYTES)?;
        }
        Ok(page)
    }

    fn peek_next_page(&mut self) -> Parquet<Option<PageMetadata>> {
        self.0.peek_next_page()
    }

    fn skip_next_page(&mut self) -> Parquet<()> {
        self.0.skip_next_page()
    }
}

/// The structures within a page's header whose fields the library reads; it passes over all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Header,
    Data,
    Dictionary,
    DataV2,
    Other,
}

const BOOLEANS: [u8; 2] = [1, 2];
const I32: [u8; 1] = [5];
const STRUCT: [u8; 1] = [12];

impl Kind {
    /// How a field may be written that is read, and what is in it. `None`: it is passed over.
    fn field(self, id: i16) -> Option<(&'static [u8], Kind)> {
        Some(match (self, id) {
            (Self::Header, 1..=4)
            | (Self::Data, 1..=4)
            | (Self::Dictionary, 1..=2)
            | (Self::DataV2, 1..=6) => (&I32, Self::Other),
            (Self::Dictionary, 3) | (Self::DataV2, 7) => (&BOOLEANS, Self::Other),
            (Self::Header, 5) => (&STRUCT, Self::Data),
            (Self::Header, 7) => (&STRUCT, Self::Dictionary),
            (Self::Header, 8) => (&STRUCT, Self::DataV2),
            // Statistics, and what an index page says, which is nothing.
            (Self::Header, 6) | (Self::Data, 5) | (Self::DataV2, 8) => (&STRUCT, Self::Other),
            _ => return None,
        })
    }
}

/// The bytes that a page has unpacked, by its header; `None` if it is none, or has more behind it.
fn unpacked(header: &[u8]) -> Option<u64> {
    let mut thrift = Thrift { rest: header, unpacked: None };
    thrift.structure(Kind::Header, 0)?;
    if thrift.rest.is_empty() { thrift.unpacked } else { None }
}

struct Thrift<'a> {
    rest: &'a [u8],
    /// The greatest that is said.
    unpacked: Option<u64>,
}

impl Thrift<'_> {
    const DEPTH_MAX: usize = 16;

    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    fn skip(&mut self, bytes: u64) -> Option<()> {
        self.rest = self.rest.get(usize::try_from(bytes).ok()?..)?;
        Some(())
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn integer(&mut self) -> Option<i64> {
        let value = self.varint()?;
        Some((value >> 1).cast_signed() ^ -(value & 1).cast_signed())
    }

    fn structure(&mut self, kind: Kind, depth: usize) -> Option<()> {
        if depth > Self::DEPTH_MAX {
            return None;
        }
        let mut id = 0_i16;
        loop {
            let head = self.byte()?;
            let wire = head & 0x0f;
            if head == 0 {
                return Some(());
            }
            id = match head >> 4 {
                0 => i16::try_from(self.integer()?).ok()?,
                delta => id.checked_add(delta.into())?,
            };
            let within = match kind.field(id) {
                Some((wires, within)) if wires.contains(&wire) => within,
                // The library would read another thing than is written.
                Some(_) => return None,
                None => Kind::Other,
            };
            if (kind, id) == (Kind::Header, 2) {
                let size = u64::try_from(self.integer()?).ok()?;
                self.unpacked = self.unpacked.max(Some(size));
            } else {
                self.value(wire, within, depth, false)?;
            }
        }
    }

    fn value(&mut self, wire: u8, within: Kind, depth: usize, in_list: bool) -> Option<()> {
        match wire {
            // A field has its boolean in its head.
            1 | 2 if in_list => self.skip(1),
            1 | 2 => Some(()),
            3 => self.skip(1),
            4..=6 => self.varint().map(drop),
            7 => self.skip(8),
            8 => {
                let length = self.varint()?;
                self.skip(length)
            }
            9 | 10 => {
                let head = self.byte()?;
                let count = if head >> 4 == 15 { self.varint()? } else { u64::from(head >> 4) };
                self.values(count, &[head & 0x0f], depth)
            }
            11 => match self.varint()? {
                0 => Some(()),
                count => {
                    let kinds = self.byte()?;
                    self.values(count, &[kinds >> 4, kinds & 0x0f], depth)
                }
            },
            12 => self.structure(within, depth + 1),
            _ => None,
        }
    }

    fn values(&mut self, count: u64, wires: &[u8], depth: usize) -> Option<()> {
        if depth > Self::DEPTH_MAX || count > self.rest.len() as u64 {
            return None;
        }
        for _ in 0..count {
            for wire in wires {
                self.value(*wire, Kind::Other, depth + 1, true)?;
            }
        }
        Some(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::testing::Noise;

    /// A data page of 300 bytes, 16 packed, with statistics: as a writer writes it.
    const HEADER: &[u8] = &[
        0x15, 0x00, 0x15, 0xd8, 0x04, 0x15, 0x20, 0x2c, 0x15, 0x06, 0x15, 0x00, 0x15, 0x06, 0x15, 0x06, 0x1c,
        0x18, 0x01, 0x41, 0x00, 0x00, 0x00,
    ];

    #[test]
    fn headers() {
        assert_eq!(unpacked(HEADER), Some(300));
        for end in 0..HEADER.len() {
            assert_eq!(unpacked(&HEADER[..end]), None, "{end}");
        }
        // Said twice, the greater counts; said as another type, or negative, it is no header.
        assert_eq!(unpacked(&[0x15, 0x00, 0x15, 0x02, 0x05, 0x04, 0x08, 0x00]), Some(4));
        assert_eq!(unpacked(&[0x15, 0x00, 0x16, 0x02, 0x00]), None);
        assert_eq!(unpacked(&[0x25, 0x01, 0x00]), None);
        // Something behind it that nothing is known of is passed over; something after it is not.
        assert_eq!(unpacked(&[0x25, 0x02, 0xf9, 0x25, 0x02, 0x04, 0x00]), Some(1));
        assert_eq!(unpacked(&[0x25, 0x02, 0x00, 0x00]), None);
    }

    #[test]
    fn noise() {
        let mut noise = Noise(7);
        for _ in 0..50_000 {
            let mut header = HEADER.to_vec();
            for _ in 0..1 + noise.below(3) {
                let at = noise.below(header.len());
                header[at] = noise.below(256) as u8;
            }
            let _ = unpacked(&header);
            // However long they say they are, no list is walked that is not there.
            let any: Vec<u8> = (0..noise.below(40)).map(|_| noise.below(256) as u8).collect();
            let _ = unpacked(&any);
        }
    }

    #[test]
    fn what_a_group_may_take() {
        let budget = Budget::default();
        budget.renew(700);
        let page = |at: u64| {
            budget.saw(at, &HEADER[..9]);
            budget.saw(at + 9, &HEADER[9..]);
            budget.admit(at + HEADER.len() as u64, 16)
        };
        assert!(page(4).is_ok() && page(99).is_ok() && !budget.is_over());
        assert!(budget.admit(99 + HEADER.len() as u64, 16).is_err(), "a header is for one page");
        assert!(page(500).is_err() && budget.is_over());
        budget.renew(700);
        budget.saw(4, HEADER);
        budget.saw(900, &HEADER[..3]);
        assert!(budget.admit(4 + HEADER.len() as u64, 16).is_ok(), "whatever was read in between");
        assert!(budget.admit(903, 16).is_err());
        budget.saw(4, HEADER);
        assert!(budget.admit(5 + HEADER.len() as u64, 16).is_err());
    }
}
