//! Parsers as functions of any bytes, for `scripts/fuzz` and for noise in the unit tests.

use cosette_model::BucketName;

use crate::access::policy::Policy;

/// A policy of a bucket. What is taken can be asked whether it is public.
pub fn policy(text: &[u8]) {
    let bucket = BucketName::new("examplebucket-1250000000").ok();
    for bucket in [bucket.as_ref(), None] {
        if let Ok(policy) = Policy::parse(text, bucket) {
            let _ = policy.is_public();
        }
    }
}
