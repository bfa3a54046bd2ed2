//! An inventory that is written once, at once (COS).

use crate::BucketName;
use crate::setting::Inventory;

#[derive(Debug)]
pub struct PostBucketInventory {
    pub bucket: BucketName,
    pub inventory: Inventory,
}

pub mod reply {
    #[derive(Debug)]
    pub struct PostBucketInventory {
        pub job: String,
    }
}
