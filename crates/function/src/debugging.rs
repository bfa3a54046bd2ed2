//! Which functions are debugged, and at which port. Forgotten when the server ends.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use cosette_model::function::FunctionName;
use cosette_runtime::{DebugSession, Runtime};

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

/// By the ids of functions.
#[derive(Default)]
pub(crate) struct Debugging(Mutex<HashMap<String, DebugSession>>);

impl Debugging {
    fn all(&self) -> MutexGuard<'_, HashMap<String, DebugSession>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn session(&self, id: &str) -> Option<DebugSession> {
        self.all().get(id).cloned()
    }

    fn forget(&self, id: &str) -> Option<DebugSession> {
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
            if all.iter().any(|(id, taken)| taken.port() == port && *id != function.id) {
                return Err(invalid("Port", format!("another function is debugged at port {port}")));
            }
            match all.get(&function.id) {
                Some(same) if same.port() == port => None,
                _ => all.insert(function.id.clone(), DebugSession::new(port)),
            }
        };
        if let Some(before) = before {
            self.shared.runtime.end_debugging(&before).await;
        }
        self.shared.runtime.debug_anew(port).await;
        // Who deletes it from here on gives the port back; who did before could not.
        if !self.get(of).is_ok_and(|now| now.id == function.id) {
            self.forget_debugging(&function.id).await;
            return Err(Error::NoSuchFunction(function.name));
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
        if let Some(session) = self.shared.debugging.forget(id) {
            self.shared.runtime.end_debugging(&session).await;
        }
    }
}
