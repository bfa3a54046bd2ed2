//! XML in and out, as little of it as the two services need.

pub(crate) mod read;
pub(crate) mod write;

pub(crate) use read::Element;
pub(crate) use write::Writer;
