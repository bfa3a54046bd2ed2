//! Cloud API 3.0: actions in JSON (SCF here), their signatures, and the client that calls them.

// PINNED INTERFACE; bodies to be filled in.

use bytes::Bytes;
use cosette_clock::Clock;
use cosette_function::Functions;
use cosette_model::{Account, Region};
use cosette_store::Store;
use cosette_trigger::Triggers;
use http::request::Parts;

pub mod client;

/// Looks up who owns a secret id.
pub trait Accounts: Send + Sync {
    fn by_secret_id(&self, secret_id: &str) -> Option<Account>;
}

/// What the actions work on.
#[derive(Clone)]
pub struct Control {
    _p: (),
}

#[allow(unused_variables)]
impl Control {
    pub fn new(
        store: Store,
        functions: Functions,
        triggers: Triggers,
        clock: Clock,
        region: Region,
        strict: bool,
    ) -> Self {
        unimplemented!()
    }

    /// Whether the request is for the Cloud API and not for the object services (scf.md 3.2).
    pub fn is_for_us(parts: &Parts) -> bool {
        unimplemented!()
    }

    /// The largest request body taken, in bytes.
    pub const BODY_BYTES_MAX: usize = 128 << 20;

    /// Always HTTP 200 with `Content-Type: application/json`; the JSON text (scf.md 3.1).
    /// Also what was asked, for the request log.
    pub async fn answer(&self, parts: &Parts, body: Bytes, accounts: &dyn Accounts) -> Answer {
        unimplemented!()
    }
}

pub struct Answer {
    pub json: String,
    /// `scf.CreateFunction`.
    pub action: String,
    /// The error's code, if it is one.
    pub error: Option<String>,
}
