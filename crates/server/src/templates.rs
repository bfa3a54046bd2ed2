//! The part of the admin API that gives events to try functions with. See `docs/admin-api.md`.

use cosette_function::DEFAULT_NAMESPACE;
use cosette_model::function::{FunctionName, Invoke};
use cosette_model::{BucketName, ObjectKey, Region, Target};
use cosette_trigger::{Subject, TEMPLATES, Template};
use http::StatusCode;
use serde_json::{Value, json};

use crate::admin::{Admin, Query, Refused};
use crate::config::default_account;
use crate::door::request_id;

/// As in the service's own templates (scf.md 8.1).
const BUCKET: &str = "examplebucket";
const KEY: &str = "testfile";
const FUNCTION: &str = "myfunc";

/// All there are.
pub(crate) fn list() -> Value {
    let rows = TEMPLATES.iter().map(|t| json!({"name": t.name, "type": t.kind, "about": t.about}));
    json!({"templates": rows.collect::<Vec<_>>()})
}

impl Admin {
    /// The events of one.
    pub(crate) async fn template(&self, name: &str, query: &Query) -> Result<Value, Refused> {
        let template = Template::named(name)
            .ok_or_else(|| Refused(StatusCode::NOT_FOUND, format!("there is no template {name}")))?;
        let text = |name: &str, otherwise: &str| query.get(name).unwrap_or(otherwise).to_owned();
        let named = FunctionName {
            appid: self.account(query.get("account"))?,
            region: text("region", ""),
            namespace: text("namespace", DEFAULT_NAMESPACE),
            name: text("function", FUNCTION),
        };
        let function = self.located(named)?.under(&text("qualifier", "$DEFAULT"));
        let account = default_account();
        let home = self.functions.describe(&Target::Function(function.clone())).and_then(|d| d.home);
        let appid = function.appid.clone();
        let region = home.map_or_else(|| Region::DEFAULT.to_owned(), |home| home.region);
        let key = ObjectKey::new(query.get("key").unwrap_or(KEY));
        let now = self.traveller.clock.now();
        let subject = Subject {
            function,
            bucket: self.bucket(query, &appid)?,
            key: key.map_err(|error| Refused::bad(error.to_string()))?,
            region: Region::new(text("region", &region)).map_err(|error| Refused::bad(error.to_string()))?,
            appid,
            secret_id: text("secret_id", &account.secret_id),
            request_id: request_id(now).to_string(),
            now,
        };
        let store = self.store.clone();
        let made = tokio::task::spawn_blocking(move || template.events(&store, &subject));
        let events = made.await.map_err(Refused::internal)?.map_err(Refused::internal)?;
        let events: Vec<Value> = events.iter().filter_map(|text| serde_json::from_str(text).ok()).collect();
        Ok(json!({"template": template.name, "type": template.kind, "events": events}))
    }

    /// The bucket that is named, which may go without its owner's APPID as in triggers.
    fn bucket(&self, query: &Query, appid: &str) -> Result<BucketName, Refused> {
        let read = |name: &str| BucketName::new(name).map_err(|error| Refused::bad(error.to_string()));
        let full = |name: &str| read(&format!("{name}-{appid}"));
        let Some(name) = query.get("bucket") else { return full(BUCKET) };
        let named = read(name)?;
        if named.split_appid().1.is_some() || self.store.bucket(&named).map_err(Refused::internal)?.is_some()
        {
            return Ok(named);
        }
        full(name)
    }
}
