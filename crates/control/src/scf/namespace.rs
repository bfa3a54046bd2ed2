//! Namespaces. There is one, `default`, and it always exists.

use cosette_model::Timestamp;
use serde_json::{Value, json};

use super::{DEFAULT_NAMESPACE, Paging, reply, time};
use crate::Call;
use crate::action::Reply;
use crate::error::ApiError;
use crate::params::Params;

pub(crate) async fn list(_call: &Call<'_>, params: Params<'_>) -> Result<Reply, ApiError> {
    let paging = Paging::of(&params)?;
    let mut shown = true;
    for search in params.objects("SearchKey")?.unwrap_or_default() {
        let value = search.text("Value")?.unwrap_or_default();
        shown &= match search.needed("Key")? {
            "Namespace" => DEFAULT_NAMESPACE.contains(value),
            "Description" => value.is_empty(),
            other => {
                let message = format!("SearchKey {other} is neither Namespace nor Description");
                return Err(ApiError::invalid_value("SearchKey", message));
            }
        };
    }
    let mut found = Vec::new();
    if shown {
        // Nobody made it: it is as old as time.
        let since = time(Timestamp::default());
        found.push(json!({
            "Name": DEFAULT_NAMESPACE,
            "Description": "",
            "Type": "default",
            "AddTime": since,
            "ModTime": since,
        }));
    }
    let total = found.len();
    let page: Vec<Value> = paging.page(found).collect();
    Ok(reply(json!({"Namespaces": page, "TotalCount": total})))
}
