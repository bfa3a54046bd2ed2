//! How rows of rules and deliveries are spelt: one byte of format, then MessagePack with field names,
//! so that fields can be added and old rows still read.

use cosette_store::Error;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The one format there has been.
const FORMAT: u8 = 1;

pub(crate) fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, Error> {
    let mut row = vec![FORMAT];
    rmp_serde::encode::write_named(&mut row, value).map_err(|error| Error::Index(error.to_string()))?;
    Ok(row)
}

/// `what` names the row for whoever reads that it is damaged.
pub(crate) fn decode<T: DeserializeOwned>(row: &[u8], what: &str) -> Result<T, Error> {
    match row.split_first() {
        Some((&FORMAT, rest)) => rmp_serde::from_slice(rest)
            .map_err(|error| Error::Corrupt { what: format!("{what} row: {error}") }),
        _ => Err(Error::Corrupt { what: format!("{what} row of an unknown format") }),
    }
}
