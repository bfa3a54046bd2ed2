//! One instance of a web function, with the requests that it serves.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cosette_model::function::StatusCode;
use cosette_model::{Chain, Doing, Key};
use http::{HeaderMap, HeaderValue};
use serde_json::json;
use tokio::sync::{mpsc, oneshot};
use tokio::task::{AbortHandle, Id, JoinError, JoinSet};

use super::Exchange;
use super::carry::{End, carry};
use super::image::IMAGE;
use crate::failure::Failure;
use crate::instance::{CLOSING, Fate, Instance, NotStarted, Started, memory_text, seconds};
use crate::output::Log;
use crate::under_way::Entered;
use crate::watching::{ENDLESS, Event, Watcher};
use crate::{Ran, Runtime, Spec, not_started};

/// How long after a broken connection the process's end may be its reason. Only who was broken off waits for it.
const REASON: Duration = Duration::from_millis(250);

/// A request for an instance.
pub(crate) struct Job {
    pub(crate) request_id: String,
    pub(crate) chain: Chain,
    pub(crate) exchange: Exchange,
    pub(crate) done: oneshot::Sender<Ran>,
}

pub(super) struct Host {
    pub(super) runtime: Runtime,
    pub(super) spec: Arc<Spec>,
    pub(super) number: u64,
    pub(super) queue: mpsc::UnboundedReceiver<Job>,
}

/// A request that the instance has.
struct Running {
    request_id: String,
    began: Instant,
    deadline: Instant,
    done: oneshot::Sender<Ran>,
    task: AbortHandle,
    /// The start that was its doing, if it was.
    started: Option<Started>,
    /// What the instance printed before its first request.
    early: String,
    log: Log,
    /// What the instance was kept from calling meanwhile.
    refused: Vec<String>,
    _under_way: Entered,
    _doing: Doing,
}

/// What came of a request, on its way to whoever asked.
struct Told {
    done: oneshot::Sender<Ran>,
    ran: Ran,
}

impl Told {
    fn tell(self) {
        let _ = self.done.send(self.ran);
    }
}

impl Host {
    /// Starts an instance, or takes one that is warm, and serves with it until it has nothing to do.
    pub(super) async fn run(mut self) {
        let shared = &self.runtime.shared;
        let (lease, warm) = shared.pool.lease(&self.spec.id);
        // The job that it is started for.
        let Ok(first) = self.queue.try_recv() else { return };
        let begun = self.runtime.begin(warm, &self.spec, &first.request_id, &first.chain).await;
        let (instance, started) = match begun {
            Ok(begun) => begun,
            Err(failed) => return self.refuse(first, &failed),
        };
        let (instance, fate, last) = self.serve(instance, started, first).await;
        let left = lease.park(instance, fate);
        // Whoever asks again finds it warm.
        if let Some(last) = last {
            last.tell();
        }
        if let Some(instance) = left {
            instance.end().await;
        }
    }

    /// Nothing was started; all who wait for it hear so.
    fn refuse(mut self, first: Job, failed: &NotStarted) {
        self.runtime.shared.hosts.close(&self.spec.id, self.number);
        self.queue.close();
        let mut next = Some(first);
        while let Some(job) = next {
            let Failure { status, text, .. } = &failed.failure;
            let mut again = NotStarted::of(*status, text.as_str(), &job.request_id);
            again.output.clone_from(&failed.output);
            again.duration = failed.duration;
            again.memory_bytes = failed.memory_bytes;
            again.refused.clone_from(&failed.refused);
            let _ = job.done.send(not_started(again));
            next = self.queue.try_recv().ok();
        }
    }

    async fn serve(
        &mut self,
        mut instance: Instance,
        mut started: Option<Started>,
        first: Job,
    ) -> (Instance, Fate, Option<Told>) {
        let spec = Arc::clone(&self.spec);
        let mut closing = self.runtime.shared.pool.closing();
        let mut watcher = Watcher::new(&spec, Instant::now() + ENDLESS);
        let mut running: HashMap<Id, Running> = HashMap::new();
        let mut tasks: JoinSet<End> = JoinSet::new();
        let mut spent = false;
        let mut next = Some(first);
        loop {
            if let Some(job) = next.take() {
                self.begin(job, &mut instance, started.take(), &mut running, &mut tasks);
            }
            let first_due =
                running.iter().min_by_key(|(_, one)| one.deadline).map(|(id, one)| (*id, one.deadline));
            watcher.deadline = first_due.map_or_else(|| Instant::now() + ENDLESS, |(_, deadline)| deadline);
            let ended: Vec<(Id, Failure)> = tokio::select! {
                biased;
                Some(joined) = tasks.join_next_with_id() => {
                    let (id, end) = joined.unwrap_or_else(|error: JoinError| {
                        (error.id(), End::Broken("passing it on failed".into()))
                    });
                    let Some(one) = running.remove(&id) else { continue };
                    let result = self.judged(end, &one, &instance, &mut spent);
                    let told = self.end(one, result, &instance, &mut running, &watcher);
                    // Before who asked hears of the end, and asks for more.
                    let is_idle = self.runtime.shared.hosts.done(&spec.id, self.number) || spent;
                    if spent {
                        self.turn_away();
                    }
                    if is_idle && running.is_empty() {
                        return (instance, if spent { Fate::Spent } else { Fate::Keep }, Some(told));
                    }
                    told.tell();
                    continue;
                }
                job = self.queue.recv(), if !spent => {
                    match job {
                        Some(job) if instance.has_keys() => next = Some(job),
                        // One that is never without work would never get new keys: another one has them.
                        Some(job) => {
                            spent = true;
                            self.runtime.shared.hosts.close(&spec.id, self.number);
                            self.send_on(job);
                            self.turn_away();
                            if running.is_empty() {
                                return (instance, Fate::Spent, None);
                            }
                        }
                        // Taken out of the list: it serves what it has.
                        None if running.is_empty() => return (instance, Fate::Spent, None),
                        None => spent = true,
                    }
                    continue;
                }
                event = watcher.next(&mut instance, &mut closing) => match event {
                    Event::Said(_) => continue,
                    Event::TimedOut => {
                        let text = format!("Invoking task timed out after {}", seconds(spec.timeout));
                        let due = first_due.map(|(id, _)| id).into_iter();
                        due.filter_map(|id| failed(&running, id, StatusCode::TimeLimitReached, &text)).collect()
                    }
                    Event::Closing => all_failed(&running, StatusCode::InternalError, CLOSING),
                    Event::Exited(how) => {
                        let text = format!("User process exit when running ({how})");
                        all_failed(&running, StatusCode::ProcessExited, &text)
                    }
                    Event::OutOfMemory => {
                        all_failed(&running, StatusCode::MemoryLimitReached, &memory_text(&spec))
                    }
                },
            };
            // No further requests for it; those that it has go on, if it goes on.
            spent = true;
            self.runtime.shared.hosts.close(&spec.id, self.number);
            self.turn_away();
            if ended.len() == running.len() {
                instance.tree.kill();
            }
            for (id, failure) in ended {
                let Some(one) = running.remove(&id) else { continue };
                one.task.abort();
                self.end(one, Err(failure), &instance, &mut running, &watcher).tell();
            }
            if running.is_empty() {
                return (instance, Fate::Spent, None);
            }
        }
    }

    /// Those who were sent here too late ask again.
    fn turn_away(&mut self) {
        self.queue.close();
        while let Ok(job) = self.queue.try_recv() {
            self.send_on(job);
        }
    }

    fn send_on(&self, job: Job) {
        let runtime = self.runtime.clone();
        let spec = Arc::clone(&self.spec);
        tokio::spawn(async move {
            let ran = runtime.serve(&spec, &job.request_id, &job.chain, job.exchange).await;
            let _ = job.done.send(ran);
        });
    }

    fn begin(
        &self,
        job: Job,
        instance: &mut Instance,
        started: Option<Started>,
        running: &mut HashMap<Id, Running>,
        tasks: &mut JoinSet<End>,
    ) {
        if running.is_empty() {
            instance.tree.forget_peak();
        }
        let Job { request_id, chain, mut exchange, done } = job;
        self.label(exchange.request.headers_mut(), &request_id);
        if !instance.key.key.account.secret_id.is_empty() {
            give_keys(exchange.request.headers_mut(), &instance.key.key);
        }
        if !running.is_empty() {
            // It is not this one that called. What was refused before any ran is for the first, as what was printed.
            share_refused(instance, running.values_mut());
        }
        let doing = instance.begin_beside(&chain);
        let early = match &started {
            Some(started) => started.output.clone(),
            // Of one that was started ahead.
            None => std::mem::take(&mut instance.early),
        };
        let log = instance.output.open();
        let under_way = self.runtime.shared.under_way.enter(&request_id, instance, &early, &log);
        let (reach, port) = (instance.reach(), instance.port());
        let websocket = self.spec.web.as_ref().and_then(|web| web.websocket);
        let mut exit = instance.exit();
        let task = tasks.spawn(async move {
            let end = carry(reach.connect(port).await, exchange, websocket).await;
            if let End::Broken(_) = end {
                // The process's end may be the reason.
                let _ = tokio::time::timeout(REASON, exit.wait_for(Option::is_some)).await;
            }
            end
        });
        let began = Instant::now();
        let one = Running {
            request_id,
            began,
            deadline: began + self.spec.timeout,
            done,
            started,
            early,
            log,
            refused: Vec::new(),
            _under_way: under_way,
            _doing: doing,
            task: task.clone(),
        };
        running.insert(task.id(), one);
    }

    /// The headers that SCF adds (scf.md 5.8).
    fn label(&self, headers: &mut HeaderMap, request_id: &str) {
        let spec = &self.spec;
        let (memory, timeout) = (spec.memory_mb.to_string(), spec.timeout.as_millis().to_string());
        for (name, value) in [
            ("x-scf-request-id", request_id),
            ("x-scf-memory", &memory),
            ("x-scf-timeout", &timeout),
            ("x-scf-version", &spec.version),
            ("x-scf-name", &spec.name),
            ("x-scf-namespace", &spec.namespace),
            ("x-scf-region", &spec.region),
            ("x-scf-appid", &spec.appid),
            ("x-scf-uin", &spec.uin),
        ] {
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(name, value);
            }
        }
    }

    /// What is told of a request that came to an end.
    fn judged(
        &self,
        end: End,
        one: &Running,
        instance: &Instance,
        spent: &mut bool,
    ) -> Result<String, Failure> {
        let fail = |status, text: String| Err(Failure::new(status, text, &one.request_id));
        let is_well = matches!(end, End::Answered { status: 200..=299, .. });
        if self.spec.asynchronous && !is_well {
            *spent = true;
            self.runtime.shared.hosts.close(&self.spec.id, self.number);
        }
        match end {
            End::Answered { .. }
                if instance.tree.peak_with_children() > u64::from(self.spec.memory_mb) << 20 =>
            {
                // It was over the limit for a moment, between two looks.
                *spent = true;
                self.runtime.shared.hosts.close(&self.spec.id, self.number);
                fail(StatusCode::MemoryLimitReached, memory_text(&self.spec))
            }
            End::Answered { status, bytes } => Ok(json!({"statusCode": status, "bytes": bytes}).to_string()),
            // An event that is given up is not to go on.
            End::Left if self.spec.runtime == IMAGE => {
                *spent = true;
                self.runtime.shared.hosts.close(&self.spec.id, self.number);
                fail(StatusCode::Canceled, "the caller gave up".into())
            }
            End::Left => fail(StatusCode::Canceled, "the caller gave up".into()),
            End::RequestTooLarge => fail(StatusCode::EventTooLarge, "the request has more than 6 MB".into()),
            End::TooLarge(what) => {
                fail(StatusCode::ResponseTooLarge, format!("the answer is too large: {what}"))
            }
            End::Silent(idle) => {
                fail(StatusCode::WebSocketIdle, format!("nothing was said for {}", seconds(idle)))
            }
            End::Broken(why) => {
                let how = instance.exit.borrow().clone();
                match how {
                    Some(how) => {
                        *spent = true;
                        self.runtime.shared.hosts.close(&self.spec.id, self.number);
                        if instance.ran_out() {
                            return fail(StatusCode::MemoryLimitReached, memory_text(&self.spec));
                        }
                        fail(StatusCode::ProcessExited, format!("User process exit when running ({how})"))
                    }
                    None => {
                        let text = format!("the function's server did not answer: {why}");
                        fail(StatusCode::UserCodeException, text)
                    }
                }
            }
        }
    }

    /// What is to be told of a request's end.
    fn end(
        &self,
        mut one: Running,
        result: Result<String, Failure>,
        instance: &Instance,
        others: &mut HashMap<Id, Running>,
        watcher: &Watcher,
    ) -> Told {
        let mut memory_bytes = watcher.peak.max(instance.tree.peak_with_children());
        let (status, result, error) = match result {
            Ok(result) => (StatusCode::Success, result, String::new()),
            Err(failure) => (failure.status, failure.document, failure.text),
        };
        let duration = match status {
            StatusCode::TimeLimitReached => self.spec.timeout,
            _ => one.began.elapsed(),
        };
        let (init_duration, runtime_duration) = match one.started.take() {
            Some(started) => {
                memory_bytes = memory_bytes.max(started.memory_bytes);
                (Some(started.duration), Some(started.runtime_duration))
            }
            None => (None, None),
        };
        share_refused(instance, others.values_mut().chain([&mut one]));
        let ran = Ran {
            status,
            result,
            error,
            init_output: one.early,
            output: one.log.take(),
            init_duration,
            runtime_duration,
            duration,
            memory_bytes,
            refused: one.refused,
        };
        Told { done: one.done, ran }
    }
}

/// Who of those that ran until now called cannot be told: all of them may have.
fn share_refused<'a>(instance: &Instance, running: impl Iterator<Item = &'a mut Running>) {
    let targets = instance.take_refused();
    for one in running {
        for target in &targets {
            if !one.refused.contains(target) {
                one.refused.push(target.clone());
            }
        }
    }
}

/// What a server is told of the keys of its role (scf.md 5.8).
fn give_keys(headers: &mut HeaderMap, Key { account, session }: &Key) {
    for (name, value) in [
        ("x-scf-secret-id", account.secret_id.as_str()),
        ("x-scf-secret-key", account.secret_key.as_str()),
        ("x-scf-session-token", session.as_ref().map_or("", |session| session.token.as_str())),
    ] {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    }
}

fn failed(running: &HashMap<Id, Running>, id: Id, status: StatusCode, text: &str) -> Option<(Id, Failure)> {
    running.get(&id).map(|one| (id, Failure::new(status, text, &one.request_id)))
}

fn all_failed(running: &HashMap<Id, Running>, status: StatusCode, text: &str) -> Vec<(Id, Failure)> {
    running.keys().filter_map(|id| failed(running, *id, status, text)).collect()
}
