//! Inventories that are written once.

use cosette_model::op::{self, Context, Op, reply};
use cosette_model::{Error, ErrorCode};
use cosette_store::Table;

use crate::Ops;
use crate::error::{Failure, Result};

impl Ops {
    /// Leaves it to the job that writes inventories. An id is taken once a day.
    pub(crate) async fn post_inventory(
        &self,
        context: &Context,
        ask: op::PostBucketInventory,
    ) -> Result<reply::PostBucketInventory> {
        let bucket = self.admit(context, Op::PostBucketInventory, &ask.bucket)?;
        self.check_inventory_target(&bucket, &ask.inventory)?;
        let name = format!("{}\0{}", bucket.id, ask.inventory.id);
        let row = serde_json::json!({ "bucket": bucket.name, "made": bucket.id, "inventory": ask.inventory });
        let row = serde_json::to_vec(&row).map_err(Error::internal)?;
        let (seq, ()) = self
            .store
            .commit(move |tx| {
                tx.target(&bucket.into())?;
                let key = |kind: &str| format!("{kind}\0{name}").into_bytes();
                let (todo, done) = (key("todo"), key("done"));
                if tx.get(Table::Report, &todo)?.is_some() || tx.get(Table::Report, &done)?.is_some() {
                    return Err(Failure::from(Error::from(ErrorCode::DuplicateInventoryId)));
                }
                tx.put(Table::Report, &todo, row);
                Ok(())
            })
            .await?;
        Ok(reply::PostBucketInventory { job: format!("{:032x}", seq.0) })
    }
}
