//! Queries on the content of an object (S3 Select, COS Select): SQL over CSV, JSON and Parquet.
//!
//! Knows no store, no HTTP and no XML. [`run`] reads a [`Source`] and gives events to a [`Sink`]; it blocks,
//! and holds no more than a record, a page of each column of Parquet (512 MiB of them at most) and a piece of
//! the answer.

mod cast;
mod csv;
mod decimal;
mod expr;
mod fold;
mod functions;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod header;
mod input;
mod json;
mod moment;
mod output;
mod page;
mod parquet;
mod pattern;
mod plan;
mod scan;
mod statement;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod testing;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
mod value;
mod words;

pub use input::Source;
pub use output::Sink;
pub use scan::run;

/// The stack that [`run`] needs at most: a query may nest as deep as its limits let it, and unoptimized code
/// takes much for each level.
pub const STACK_BYTES: usize = 16 << 20;
