//! Which functions are debugged, and at which port. Forgotten when the server ends.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use cosette_model::function::FunctionName;
use cosette_runtime::Runtime;

use crate::{Error, Functions};

/// How a debugger comes to a function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Debugged {
    pub runtime: String,
    /// Of loopback.
    pub port: u16,
    /// Where the process sees the code.
    pub root: PathBuf,
}

/// Ports by the ids of functions.
#[derive(Default)]
pub(crate) struct Debugging(Mutex<HashMap<String, u16>>);

impl Debugging {
    fn all(&self) -> MutexGuard<'_, HashMap<String, u16>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn port(&self, id: &str) -> Option<u16> {
        self.all().get(id).copied()
    }

    fn forget(&self, id: &str) -> Option<u16> {
        self.all().remove(id)
    }
}

impl Functions {
    /// Lets the next run of a function wait for a debugger: at `port`, or where those of its language
    /// usually look.
    pub async fn debug(&self, of: &FunctionName, port: Option<u16>) -> Result<Debugged, Error> {
        let function = self.get(of)?;
        let runtime = function.configuration.runtime.clone();
        let invalid = |field, message| Error::Invalid { field, message };
        if function.configuration.web.is_some() {
            let message =
                format!("function {} is a web function: start its server with a debugger instead", of.name);
            return Err(invalid("Runtime", message));
        }
        let Some(usual) = Runtime::debug_port(&runtime) else {
            let message =
                format!("functions of {runtime} cannot be debugged: only those in Python, Node.js and Java");
            return Err(invalid("Runtime", message));
        };
        let port = port.unwrap_or(usual);
        let code = self.code_or_folder(&function).await?;
        let root = self.shared.runtime.seen_at(&runtime, &code).await;
        let before = {
            let mut all = self.shared.debugging.all();
            if all.iter().any(|(id, taken)| *taken == port && *id != function.id) {
                return Err(invalid("Port", format!("another function is debugged at port {port}")));
            }
            all.insert(function.id.clone(), port)
        };
        match before {
            Some(before) if before != port => self.shared.runtime.end_debugging(before).await,
            _ => self.shared.runtime.debug_anew(port).await,
        }
        Ok(Debugged { runtime, port, root })
    }

    /// Lets a function run as ever, and what waits for a debugger go on without. A run that has come to the
    /// handler in a debugger stays there.
    pub async fn end_debugging(&self, of: &FunctionName) -> Result<(), Error> {
        let function = self.get(of)?;
        self.forget_debugging(&function.id).await;
        Ok(())
    }

    pub(crate) async fn forget_debugging(&self, id: &str) {
        if let Some(port) = self.shared.debugging.forget(id) {
            self.shared.runtime.end_debugging(port).await;
        }
    }
}
