//! What a browser asks before it lets a script make a request.

use crate::BucketName;
use crate::setting::Crossing;

#[derive(Debug)]
pub struct OptionsObject {
    /// `None` for a host that has no bucket, which allows nothing.
    pub bucket: Option<BucketName>,
    pub asked: Crossing,
}

pub mod reply {
    use crate::setting::Allowed;

    #[derive(Debug)]
    pub struct OptionsObject {
        pub allowed: Allowed,
    }
}
