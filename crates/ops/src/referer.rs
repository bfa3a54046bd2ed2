//! COS's referer lists: which pages may show a bucket's objects.

use cosette_model::op::Context;
use cosette_model::setting::Referer;
use cosette_model::{Error, ErrorCode};
use cosette_store::Bucket;

use crate::Ops;
use crate::error::Result;

impl Ops {
    /// For reads of objects.
    pub(crate) fn check_referer(&self, context: &Context, bucket: &Bucket) -> Result<()> {
        let Some(list) = self.setting::<Referer>(&bucket.name)? else { return Ok(()) };
        if list.admits(context.referer.as_deref(), context.identity.account().is_some()) {
            return Ok(());
        }
        Err(Error::with(ErrorCode::AccessDenied, "You are denied by bucket referer rule").into())
    }
}
