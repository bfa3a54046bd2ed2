//! Runs that wait for a debugger: one at each port, until nobody is to come any more.

use std::collections::HashMap;
use std::io;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use crate::contain::{Kept, Seen};
use crate::interpreter::Family;
use crate::reach::Reach;
use crate::{Given, Ran, Runtime, Spec};

/// How often a debugger that does not listen yet is called.
const KNOCK: Duration = Duration::from_millis(10);

/// A port of loopback at which a function's runs wait for a debugger, until [`end_debugging`](Runtime::end_debugging).
/// A run that was decided on before that and begins after it does not wait either.
#[derive(Clone, Debug)]
pub struct DebugSession {
    port: u16,
    has_ended: Arc<watch::Sender<bool>>,
}

impl DebugSession {
    pub fn new(port: u16) -> Self {
        Self { port, has_ended: Arc::new(watch::Sender::new(false)) }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    async fn ended(&self) {
        // Its sender is here.
        let _ = self.has_ended.subscribe().wait_for(|has_ended| *has_ended).await;
    }
}

/// By the run that is debugged, of each port.
#[derive(Default)]
pub(crate) struct Turns(Mutex<HashMap<u16, Arc<tokio::sync::Mutex<()>>>>);

impl Turns {
    fn at(&self, port: u16) -> Arc<tokio::sync::Mutex<()>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(port).or_default().clone()
    }
}

impl Runtime {
    pub(crate) async fn run_debugged(&self, spec: &Spec, session: &DebugSession, given: &Given<'_>) -> Ran {
        let port = session.port;
        let turn = self.shared.turns.at(port);
        // Held to the end: who debugs follows one event at a time, and the port has one instance.
        let held = tokio::select! {
            biased;
            () = session.ended() => None,
            held = turn.lock() => Some(held),
        };
        if let Some(_held) = held {
            // One of a revision before has the port.
            let own = instance_id(&spec.id, port);
            self.shared.pool.retire_all(|id| id != own && is_at(id, port)).await;
            let (lease, warm) = self.shared.pool.lease(&own);
            // An instance that is there before the session ends is ended with those of its port.
            let begun = tokio::select! {
                biased;
                () = session.ended() => None,
                begun = self.begin(warm, spec, given.request_id, given.chain) => Some(begun),
            };
            if let Some(begun) = begun {
                return self.go_on(lease, begun, spec, given).await;
            }
        }
        let spec = Spec { debug: None, ..spec.clone() };
        let (lease, warm) = self.shared.pool.lease(&spec.id);
        let begun = self.begin(warm, &spec, given.request_id, given.chain).await;
        self.go_on(lease, begun, &spec, given).await
    }

    /// Ends what is idle at a port: the next run there waits for a debugger anew.
    pub async fn debug_anew(&self, port: u16) {
        self.shared.pool.retire_all(|id| is_at(id, port)).await;
    }

    /// Runs that wait for their turn, or for a debugger, go on without. One that has come to its
    /// handler ends first.
    pub async fn end_debugging(&self, session: &DebugSession) {
        session.has_ended.send_replace(true);
        self.debug_anew(session.port).await;
    }

    /// Where a function of the runtime's language finds code that lies in a folder of this machine.
    pub async fn seen_at(&self, runtime: &str, code: &Path) -> PathBuf {
        let Some(family) = Family::of(runtime) else { return code.to_owned() };
        let Some(interpreter) = self.shared.interpreters.get(family).await else { return code.to_owned() };
        match self.shared.keeper.keeps(&interpreter.program).await >= Kept::Apart {
            true => Seen::contained().code,
            false => code.to_owned(),
        }
    }
}

/// Leads from a port of this machine to the debugger of an instance that has a network of its own. Whoever comes before
/// the debugger listens is let wait.
pub(crate) async fn relay(port: u16, reach: &Reach) -> io::Result<Option<JoinHandle<()>>> {
    if matches!(reach, Reach::Machine) {
        return Ok(None);
    }
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(|error| {
        io::Error::new(error.kind(), format!("port {port} of 127.0.0.1, for the debugger: {error}"))
    })?;
    let reach = reach.clone();
    Ok(Some(tokio::spawn(async move {
        // They end with this task.
        let mut lines = JoinSet::new();
        while let Ok((mut outside, _)) = listener.accept().await {
            let reach = reach.clone();
            lines.spawn(async move {
                let mut inside = loop {
                    match reach.connect(port).await {
                        Ok(inside) => break inside,
                        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                            tokio::time::sleep(KNOCK).await;
                        }
                        Err(_) => return,
                    }
                };
                // Who ends it is known to both.
                let _ = tokio::io::copy_bidirectional(&mut outside, &mut inside).await;
            });
            while lines.try_join_next().is_some() {}
        }
    })))
}

/// The name under which instances with a debugger wait for events, apart from those without.
pub(crate) fn instance_id(id: &str, port: u16) -> String {
    format!("{id}{}", mark(port))
}

/// What the names of all of them begin with, at whichever port.
pub(crate) fn instances_of(id: &str) -> String {
    format!("{id}-debug-")
}

fn is_at(id: &str, port: u16) -> bool {
    id.ends_with(&mark(port))
}

fn mark(port: u16) -> String {
    format!("-debug-{port}")
}
