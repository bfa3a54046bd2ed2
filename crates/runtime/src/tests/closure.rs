//! Closures of the process as functions.

use std::sync::Arc;

use super::*;
use crate::{CLOSURE, Closure};

#[tokio::test]
async fn a_result_that_is_too_large_is_none() {
    let house = House::new();
    house.runtime.install(Closure {
        name: "thumbnail".into(),
        run: Arc::new(|event, _| {
            Box::pin(async move {
                let size: usize = event.parse().map_err(|_| "no number".to_owned())?;
                Ok(format!("\"{}\"", "x".repeat(size - 2)))
            })
        }),
    });
    let spec = house.function(CLOSURE, "thumbnail", &[]);
    let most = crate::protocol::RESULT_BYTES_MAX;
    succeeded(&house.run(&spec, &most.to_string()).await);
    failed(&house.run(&spec, &(most + 1).to_string()).await, StatusCode::ResponseTooLarge);
}
