//! Whose the objects of a listing are.

use std::collections::HashMap;
use std::sync::Arc;

use cosette_model::op::Owner;
use cosette_store::Bucket;

use crate::Ops;
use crate::access::{self, Rules};

/// Owners as listings show them, each made once.
pub(crate) struct Owners<'a> {
    ops: &'a Ops,
    bucket: &'a Bucket,
    rules: &'a Rules,
    of_bucket: Arc<Owner>,
    others: HashMap<String, Arc<Owner>>,
}

impl<'a> Owners<'a> {
    pub(crate) fn new(ops: &'a Ops, bucket: &'a Bucket, rules: &'a Rules) -> Self {
        let of_bucket = Arc::new(ops.owner(bucket));
        Self { ops, bucket, rules, of_bucket, others: HashMap::new() }
    }

    /// By what is kept of an object's owner; `None` for the bucket's, whose delete markers are as well.
    pub(crate) fn of(&mut self, kept: Option<&str>) -> Arc<Owner> {
        let uin = access::owner(self.rules, self.bucket, kept);
        if uin == self.bucket.owner_uin {
            return Arc::clone(&self.of_bucket);
        }
        if let Some(known) = self.others.get(uin) {
            return Arc::clone(known);
        }
        let owner = Arc::new(self.ops.owner_of(uin));
        self.others.insert(uin.to_owned(), Arc::clone(&owner));
        owner
    }
}
