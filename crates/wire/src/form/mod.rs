//! Browser uploads: a `multipart/form-data` body read as a stream (RFC 7578), its policy, and its
//! signature. Fields are few and small; the file after them is never held.

pub(crate) mod policy;
mod reader;
pub(crate) mod signature;

pub(crate) use reader::{Form, boundary};
