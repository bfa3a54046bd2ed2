//! Cloud API 3.0: actions in JSON (of SCF, STS and the CDN), their signatures, and the client that calls them.
//!
//! Requests come as a head and a whole body and leave as JSON text: no socket here, save in
//! [`client`], which is for the command line. The actions work on the function registry, the
//! triggers, the CDN and the store; they hold no state of their own.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use cosette_cdn::Cdn;
use cosette_clock::Clock;
use cosette_function::Functions;
use cosette_model::host::Reserved;
use cosette_model::{Issuer, Region};
use cosette_store::Store;
use cosette_trigger::Triggers;
use http::request::Parts;
use serde_json::{Map, Value, json};

mod action;
mod call;
mod cdn;
pub mod client;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod end_to_end;
mod error;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod parameter_table;
mod parameters;
mod params;
mod reply;
mod request;
mod scf;
mod signature;
mod sts;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod testing;
mod url;

pub use action::{ACTIONS, Action};
use call::Call;
use error::ApiError;
use params::Params;
use reply::Reply;
use request::ApiRequest;
pub use url::UrlRefused;

/// What the actions work on.
#[derive(Clone)]
pub struct Control {
    parts: Arc<Workings>,
}

struct Workings {
    store: Store,
    functions: Functions,
    triggers: Triggers,
    cdn: Cdn,
    clock: Clock,
    /// Where requests that name no region go.
    region: Region,
    /// Take nothing the cloud would not.
    strict: bool,
    /// The server's own, as `http://127.0.0.1:9000`.
    address: String,
    images: OnceLock<Vec<(String, String)>>,
    reserved: OnceLock<Reserved>,
}

impl Control {
    pub fn new(
        store: Store,
        functions: Functions,
        triggers: Triggers,
        clock: Clock,
        region: Region,
        strict: bool,
        address: String,
    ) -> Self {
        let cdn = Cdn::new(store.clone(), clock.clone());
        let (images, reserved) = (OnceLock::new(), OnceLock::new());
        let parts =
            Workings { store, functions, triggers, cdn, clock, region, strict, address, images, reserved };
        Self { parts: Arc::new(parts) }
    }

    /// The CDN that the actions work on; whoever serves its domains does it with this one.
    pub fn cdn(&self) -> &Cdn {
        &self.parts.cdn
    }

    /// Says which commands of this machine stand for images; without it none does. The first call counts.
    #[must_use]
    pub fn with_images(self, images: Vec<(String, String)>) -> Self {
        let _ = self.parts.images.set(images);
        self
    }

    /// Says by what names the server is called, which then are nobody's domains. The first call counts.
    #[must_use]
    pub fn with_reserved(self, reserved: Reserved) -> Self {
        let _ = self.parts.reserved.set(reserved);
        self
    }

    /// Whether the request is for the Cloud API and not for the object services (scf.md 3.2).
    pub fn is_for_us(parts: &Parts) -> bool {
        request::is_for_us(parts)
    }

    /// The largest request body taken, in bytes: a zip of 50 MB is 67 MB of base64.
    pub const BODY_BYTES_MAX: usize = 128 << 20;

    /// Always HTTP 200 with `Content-Type: application/json`; the JSON text (scf.md 3.1).
    /// Also what was asked, for the request log.
    pub async fn answer(&self, parts: &Parts, body: Bytes, issuer: &dyn Issuer) -> Answer {
        let (asked, outcome) = match ApiRequest::read(parts, &body) {
            Ok(request) => {
                let name = request.action.clone();
                let row = action::find(&name, &request.version);
                let asked = match &row {
                    Ok(row) => format!("{}.{}", row.service, row.name),
                    // A name nobody knows is the client's text: it goes to the log cut.
                    Err(_) => format!("?.{}", name.chars().take(64).collect::<String>()),
                };
                let outcome = match row {
                    Ok(row) => self.act(row, request, parts, &body, issuer).await,
                    Err(error) => Err(error),
                };
                (asked, outcome)
            }
            Err(error) => ("?".to_owned(), Err(error)),
        };
        Answer::new(asked, outcome)
    }

    async fn act(
        &self,
        row: &Action,
        request: ApiRequest,
        parts: &Parts,
        body: &Bytes,
        issuer: &dyn Issuer,
    ) -> Result<Reply, ApiError> {
        let workings = &*self.parts;
        let times = workings.clock.times();
        let key = request.authenticate(parts, body, issuer, times)?;
        let region = match &request.region {
            Some(name) => Region::new(name.as_str())
                .map_err(|_| ApiError::new("UnsupportedRegion", format!("{name} is not a region")))?,
            // The token service and the CDN are the same everywhere.
            None if workings.strict && ![sts::SERVICE, cdn::SERVICE].contains(&row.service) => {
                return Err(ApiError::missing("Region"));
            }
            None => workings.region.clone(),
        };
        let Some(handler) = row.handler else {
            return Err(ApiError::unsupported(format!("{} is not supported by Cosette yet", row.name)));
        };
        let fields = request.params(parts, body)?;
        let call = Call {
            store: &workings.store,
            functions: &workings.functions,
            triggers: &workings.triggers,
            cdn: &workings.cdn,
            issuer,
            account: Arc::clone(&key.account),
            key: &key,
            chain: issuer.chain(&key.account.secret_id),
            now: times.now,
            region,
            strict: workings.strict,
            address: &workings.address,
            // What is no text is no package's digest either.
            expected_code: parts
                .headers
                .get(client::IF_CODE)
                .map(|value| value.to_str().unwrap_or_default().to_owned()),
            reserved: workings.reserved.get_or_init(Reserved::default),
            images: workings.images.get().map(Vec::as_slice).unwrap_or_default(),
        };
        let params = Params::new(&fields);
        permit(row, &call, &params)?;
        if let Some(parameters) = parameters::of(row.name) {
            parameters.check(&fields)?;
        }
        handler(&call, params).await
    }
}

/// Refuses what the policy of a temporary key does not allow. Who one is may always be asked.
fn permit(row: &Action, call: &Call<'_>, params: &Params<'_>) -> Result<(), ApiError> {
    let Some(session) = &call.key.session else { return Ok(()) };
    if row.name == "GetCallerIdentity" {
        return Ok(());
    }
    let action = format!("{}:{}", row.service, row.name);
    let resources = match row.service {
        sts::SERVICE => vec![params.text("RoleArn")?.unwrap_or("*").to_owned()],
        cdn::SERVICE => cdn::resources(call, params)?,
        _ => scf::resources(call, params)?,
    };
    match resources.iter().find(|resource| !call.issuer.permits(session, &action, resource)) {
        None => Ok(()),
        Some(resource) => {
            let message = format!("the temporary key's policy does not allow {action} on {resource}");
            Err(ApiError::new("UnauthorizedOperation", message))
        }
    }
}

pub struct Answer {
    pub json: String,
    /// `scf.CreateFunction`.
    pub action: String,
    /// The error's code, if it is one.
    pub error: Option<String>,
}

impl Answer {
    fn new(action: String, outcome: Result<Reply, ApiError>) -> Self {
        let request_id = uuid::Uuid::new_v4().to_string();
        let (mut response, error) = match outcome {
            Ok(reply) => (reply, None),
            Err(error) => {
                if let Some(cause) = &error.cause {
                    tracing::error!(%request_id, action, cause, "cloud api action failed");
                }
                let mut response = Map::new();
                response.insert("Error".into(), json!({"Code": error.code, "Message": error.message}));
                (response, Some(error.code.into_owned()))
            }
        };
        response.insert("RequestId".into(), Value::String(request_id));
        Self { json: json!({ "Response": response }).to_string(), action, error }
    }

    /// For a body larger than [`Control::BODY_BYTES_MAX`], which is not read.
    pub fn too_large() -> Self {
        let message = format!("the request's body is larger than {} bytes", Control::BODY_BYTES_MAX);
        Self::new("?".into(), Err(ApiError::new("RequestSizeLimitExceeded", message)))
    }
}
