//! Where the server of a web function listens. In the cloud each instance has its own port 9000. Instances that
//! share the machine's network have one of them all, so each is given a port by the variable `PORT` as well.

use std::path::Path;
use std::sync::Arc;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use cosette_model::function::StatusCode;

use super::PORT;
use crate::listening;
use crate::protocol::{Line, Signal};
use crate::reach::Reach;

/// How often a server that does not listen yet is called.
const KNOCK: Duration = Duration::from_millis(5);

/// The ports that an instance may listen at, and the one that it does. Clones are of the same instance.
#[derive(Clone, Debug)]
pub(crate) struct Ports {
    /// What `PORT` says.
    pub(crate) told: u16,
    /// Who has port 9000 of the machine, if that is not the instance itself.
    taken_by: Option<String>,
    found: Arc<OnceLock<u16>>,
}

impl Ports {
    /// Those of an instance that has a network of its own.
    pub(crate) fn own() -> Self {
        Self { told: PORT, taken_by: None, found: Arc::default() }
    }

    /// Those of one that shares the machine's; `free` is a port that nobody listens at.
    pub(crate) fn shared(free: u16) -> Self {
        let taken_by = listening::listener(PORT).map(|holder| match holder {
            Some(pid) => listening::described(pid),
            None => "another user's process".to_owned(),
        });
        Self { told: free, taken_by, found: Arc::default() }
    }

    /// The port that answers; port 9000 as long as none does.
    pub(crate) fn found(&self) -> u16 {
        self.found.get().copied().unwrap_or(PORT)
    }

    /// Waits until the instance listens. `folder` is its own, which marks its processes.
    pub(crate) async fn knock(self, line: Line, reach: Reach, folder: std::path::PathBuf) {
        loop {
            if let Some(port) = self.listening(&reach, &folder).await {
                let _ = self.found.set(port);
                let now = Instant::now();
                line.say(Signal::Connected(now));
                line.say(Signal::Ready(now));
                return;
            }
            tokio::time::sleep(KNOCK).await;
        }
    }

    async fn listening(&self, reach: &Reach, folder: &Path) -> Option<u16> {
        if reach.connect(self.told).await.is_ok() {
            return Some(self.told);
        }
        // Of the machine's port 9000 it must be seen that it is this instance's.
        let is_shared = self.told != PORT && self.taken_by.is_none();
        if is_shared && reach.connect(PORT).await.is_ok() {
            let holder = listening::listener(PORT).flatten()?;
            return listening::is_below(holder, folder).then_some(PORT);
        }
        None
    }

    /// Whether somebody else has port 9000 of the machine.
    pub(crate) fn is_taken(&self) -> bool {
        self.taken_by.is_some()
    }

    /// Why nothing listens: for an instance that did not get ready, what is said of it.
    pub(crate) fn unbound(&self, said: String) -> (StatusCode, String) {
        let mut text = format!("{said}: nothing listens at port {PORT}");
        if self.told != PORT {
            text.push_str(&format!(
                ", nor at {}, which the variable PORT says; functions here share the machine's ports",
                self.told
            ));
        }
        if let Some(holder) = &self.taken_by {
            text.push_str(&format!(", and {PORT} is taken by {holder}"));
        }
        (StatusCode::PortBindingFailed, text)
    }
}
