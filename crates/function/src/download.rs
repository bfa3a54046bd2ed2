//! Packages that clients may fetch for a while: who knows the token gets the zip. In memory, as the links end with
//! the server.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use cosette_model::Timestamp;
use cosette_store::Kept;

use crate::{Error, Functions};

/// How long a link holds, by the server's clock.
const LIFE: Duration = Duration::from_secs(1800);

/// Links that hold at once; beyond, the oldest ends early.
const LINKS_MAX: usize = 1000;

#[derive(Default)]
pub(crate) struct Downloads(Mutex<HashMap<String, (Timestamp, Kept)>>);

impl Functions {
    /// A token for [`download`](Self::download) that holds for half an hour, or until the package is gone.
    pub fn offer(&self, package: Kept) -> String {
        let token = uuid::Uuid::new_v4().simple().to_string();
        let now = self.shared.clock.now();
        let mut links = self.shared.downloads.0.lock().unwrap_or_else(PoisonError::into_inner);
        links.retain(|_, (end, _)| *end > now);
        if links.len() >= LINKS_MAX
            && let Some(oldest) =
                links.iter().min_by_key(|(_, (end, _))| *end).map(|(token, _)| token.clone())
        {
            links.remove(&oldest);
        }
        links.insert(token.clone(), (now.plus(LIFE), package));
        token
    }

    /// The zip of a token; nothing when the token holds no more.
    ///
    /// # Errors
    /// The store's.
    pub async fn download(&self, token: &str) -> Result<Option<Bytes>, Error> {
        let now = self.shared.clock.now();
        let found = {
            let links = self.shared.downloads.0.lock().unwrap_or_else(PoisonError::into_inner);
            links.get(token).filter(|(end, _)| *end > now).map(|(_, package)| *package)
        };
        match found {
            // Code that was replaced since is there no more.
            Some(package) if self.shared.store.is_kept(package)? => Ok(Some(self.package(package).await?)),
            _ => Ok(None),
        }
    }
}
