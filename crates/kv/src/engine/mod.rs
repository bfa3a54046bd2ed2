//! The engines that stand behind the boundary, one file each.

pub(crate) mod buffered;
pub(crate) mod memory;
pub(crate) mod sled;
