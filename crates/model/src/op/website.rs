//! Requests of browsers on a bucket's website host.

use crate::{BucketName, ByteRange};

use super::object::Conditions;

#[derive(Debug)]
pub struct ServeWebsite {
    pub bucket: BucketName,
    /// Without its leading slash.
    pub path: String,
    pub range: Option<ByteRange>,
    pub conditions: Conditions,
}

pub mod reply {
    use crate::op::reply::GetObject;
    use crate::setting::Onward;

    #[derive(Debug)]
    pub enum ServeWebsite {
        /// `status` is that of what failed, when this is the document for it; else the object's own.
        Object {
            object: Box<GetObject>,
            status: Option<u16>,
        },
        Elsewhere(Onward),
    }
}
