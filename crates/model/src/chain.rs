//! Chains of causes: a write that a function makes comes of the write that invoked it.

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{Account, Key, Timestamp};

/// One step of a chain: what was done, and the invocation that came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// Of the write or of the call.
    pub request_id: String,
    /// For people: `cos:ObjectCreated:Put BUCKET/KEY`, or `Invoke` for a call of the API.
    pub what: String,
    /// The function's name, or what else was told.
    pub function: String,
    /// The invocation's request id.
    pub invocation: String,
}

impl Link {
    /// A call of the API: the request is known by the invocation's id, as no answer to a write has one.
    pub fn call(function: &str, invocation: &str) -> Self {
        Self {
            request_id: invocation.to_owned(),
            what: "Invoke".to_owned(),
            function: function.to_owned(),
            invocation: invocation.to_owned(),
        }
    }
}

/// How something came to be done: each step led to the next, the last to it. Empty where no function is in it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chain {
    /// How many steps there were.
    pub depth: u32,
    /// All of them, or of more than [`LINKS_MAX`] the first and the latest.
    pub links: Vec<Link>,
}

/// Steps that a chain remembers.
pub const LINKS_MAX: usize = 32;

impl Chain {
    /// The chain with one more step.
    #[must_use]
    pub fn then(mut self, link: Link) -> Self {
        self.depth = self.depth.saturating_add(1);
        if self.links.len() >= LINKS_MAX {
            self.links.remove(1);
        }
        self.links.push(link);
        self
    }

    /// Whose doing it is: the invocation of the last step.
    pub fn invocation(&self) -> Option<&str> {
        self.links.last().map(|link| link.invocation.as_str())
    }

    /// The invocation of the step before the last: who asked for it, if a function did.
    pub fn before(&self) -> Option<&str> {
        self.links.iter().rev().nth(1).map(|link| link.invocation.as_str())
    }

    /// Ids of all requests and invocations in it that are remembered.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.links.iter().flat_map(|link| [link.request_id.as_str(), link.invocation.as_str()])
    }
}

/// `cos:ObjectCreated:Put in/a -> f -> cos:ObjectCreated:Put out/a -> g`
impl fmt::Display for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let left_out = (self.depth as usize).saturating_sub(self.links.len());
        for (at, Link { what, function, .. }) in self.links.iter().enumerate() {
            match at {
                0 => {}
                1 if left_out > 0 => write!(f, " -> ({left_out} more) -> ")?,
                _ => f.write_str(" -> ")?,
            }
            write!(f, "{what} -> {function}")?;
        }
        Ok(())
    }
}

/// The key that one instance of a function signs with, and what it is running: whatever is signed with it is the
/// doing of that invocation, of the one that began last if there are several, or of the last one when none runs.
pub struct RoleKey {
    pub key: Key,
    doings: RwLock<Doings>,
    refused: Mutex<Vec<String>>,
    log: OnceLock<Box<Log>>,
}

/// What an instance does.
#[derive(Default)]
struct Doings {
    /// What it began last.
    last: Chain,
    /// What it does beside each other, in the order of their beginnings; nothing where it does one after another.
    beside: Vec<(u64, Chain)>,
    next: u64,
}

impl Doings {
    fn now(&self) -> &Chain {
        self.beside.last().map_or(&self.last, |(_, chain)| chain)
    }
}

/// One of several things that an instance does at once; it ends with this.
pub struct Doing {
    key: Arc<RoleKey>,
    number: u64,
}

impl Drop for Doing {
    fn drop(&mut self) {
        let mut doings = self.key.doings.write().unwrap_or_else(PoisonError::into_inner);
        doings.beside.retain(|(number, _)| *number != self.number);
    }
}

/// Takes a line for the log of the instance's invocation.
type Log = dyn Fn(&str) + Send + Sync;

/// Places that an invocation is remembered to have been kept from calling.
const REFUSED_MAX: usize = 32;

impl RoleKey {
    pub fn new(key: Key) -> Arc<Self> {
        Arc::new(Self { key, doings: RwLock::default(), refused: Mutex::default(), log: OnceLock::new() })
    }

    /// One that signs nothing.
    pub fn none() -> Arc<Self> {
        let none = String::new;
        let account =
            Account { secret_id: none(), secret_key: none(), appid: none(), uin: none(), name: none() };
        Self::new(Key { account: account.into(), session: None })
    }

    /// The instance, which runs one invocation at a time, begins one that comes of `chain`.
    pub fn begin(&self, chain: Chain) {
        self.doings.write().unwrap_or_else(PoisonError::into_inner).last = chain;
    }

    /// The instance, which may run several at once, begins one more, that comes of `chain`.
    pub fn begin_beside(self: &Arc<Self>, chain: Chain) -> Doing {
        let mut doings = self.doings.write().unwrap_or_else(PoisonError::into_inner);
        let number = doings.next;
        doings.next += 1;
        doings.last = chain.clone();
        doings.beside.push((number, chain));
        Doing { key: self.clone(), number }
    }

    /// Says where lines for the instance's log go. The first call counts.
    pub fn log_to(&self, log: impl Fn(&str) + Send + Sync + 'static) {
        let _ = self.log.set(Box::new(log));
    }

    /// The instance was kept from calling `target`: it is remembered, and told in its log, once until it is asked for.
    pub fn refuse(&self, target: &str, why: &str) {
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        if refused.len() >= REFUSED_MAX || refused.iter().any(|known| known == target) {
            return;
        }
        refused.push(target.to_owned());
        if let Some(log) = self.log.get() {
            log(&format!("[egress] refused {target}: {why}"));
        }
    }

    /// What the instance was kept from calling since this was asked last.
    pub fn take_refused(&self) -> Vec<String> {
        std::mem::take(&mut *self.refused.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// When it signs no more.
    fn end(&self) -> Option<Timestamp> {
        self.key.session.as_ref().and_then(|session| session.expires)
    }

    /// How what is signed with the key now came to be done.
    pub fn chain(&self) -> Chain {
        self.doings.read().unwrap_or_else(PoisonError::into_inner).now().clone()
    }

    /// Whose doing a call may be that shows no more than which instance makes it: of all that it runs now.
    pub fn suspects(&self) -> Vec<String> {
        let doings = self.doings.read().unwrap_or_else(PoisonError::into_inner);
        let id = |chain: &Chain| chain.invocation().map(str::to_owned);
        match doings.beside.as_slice() {
            [] => id(&doings.last).into_iter().collect(),
            beside => beside.iter().filter_map(|(_, chain)| id(chain)).collect(),
        }
    }
}

impl fmt::Debug for RoleKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RoleKey").field(&self.key.account.secret_id).finish()
    }
}

/// Gives each instance of a function its key.
#[derive(Clone)]
pub struct KeyGiver {
    give: Arc<dyn Fn() -> Arc<RoleKey> + Send + Sync>,
    now: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    until: Arc<dyn Fn(Timestamp) -> Wait + Send + Sync>,
}

/// Lasts until a time has come.
type Wait = Pin<Box<dyn Future<Output = ()> + Send>>;

impl KeyGiver {
    /// `now` tells the time by which the keys end, `until` waits for a time.
    pub fn new<W: Future<Output = ()> + Send + 'static>(
        give: impl Fn() -> Arc<RoleKey> + Send + Sync + 'static,
        now: impl Fn() -> Timestamp + Send + Sync + 'static,
        until: impl Fn(Timestamp) -> W + Send + Sync + 'static,
    ) -> Self {
        let until = move |time| Box::pin(until(time)) as Wait;
        Self { give: Arc::new(give), now: Arc::new(now), until: Arc::new(until) }
    }

    pub fn give(&self) -> Arc<RoleKey> {
        (self.give)()
    }

    /// Whether a key that was given still signs after so much time.
    pub fn lasts(&self, key: &RoleKey, time: Duration) -> bool {
        key.end().is_none_or(|end| (self.now)().plus(time) < end)
    }

    /// Waits until a key that was given signs for so much time only, or less.
    pub async fn near_end(&self, key: &RoleKey, time: Duration) {
        match key.end() {
            Some(end) => (self.until)(end.minus(time)).await,
            None => std::future::pending().await,
        }
    }
}

/// Keys that sign nothing.
impl Default for KeyGiver {
    fn default() -> Self {
        Self::new(RoleKey::none, || Timestamp::from_secs(0), |_| std::future::pending())
    }
}

impl fmt::Debug for KeyGiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyGiver")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(n: usize) -> Link {
        Link {
            request_id: format!("r{n}"),
            what: format!("put {n}"),
            function: "f".into(),
            invocation: format!("i{n}"),
        }
    }

    #[test]
    fn a_long_chain_keeps_its_beginning_and_its_end() {
        let chain = (0..40).fold(Chain::default(), |chain, n| chain.then(link(n)));
        assert_eq!((chain.depth, chain.links.len()), (40, LINKS_MAX));
        assert_eq!(chain.links[..2], [link(0), link(9)]);
        assert_eq!(chain.invocation(), Some("i39"));
        assert!(chain.to_string().starts_with("put 0 -> f -> (8 more) -> put 9 -> f -> put 10"), "{chain}");
        assert_eq!(chain.ids().count(), 64);
    }

    #[test]
    fn what_was_refused_is_told_once() {
        let (key, told) = (RoleKey::none(), Arc::new(Mutex::new(Vec::new())));
        let log = told.clone();
        key.log_to(move |line| log.lock().unwrap_or_else(PoisonError::into_inner).push(line.to_owned()));
        for n in 0..100 {
            key.refuse(&format!("h{n}:443"), "no");
            key.refuse("h0:443", "no");
        }
        let first = told.lock().unwrap_or_else(PoisonError::into_inner).clone();
        assert_eq!((first[0].as_str(), first.len()), ("[egress] refused h0:443: no", REFUSED_MAX));
        assert_eq!(key.take_refused().len(), REFUSED_MAX);
        assert!(key.take_refused().is_empty());
    }

    #[test]
    fn what_is_signed_is_the_doing_of_one_that_runs() {
        let key = RoleKey::none();
        let of = |n| Chain::default().then(link(n));
        key.begin(of(0));
        assert_eq!((key.chain(), key.suspects()), (of(0), vec!["i0".to_owned()]));
        let first = key.begin_beside(of(1));
        let second = key.begin_beside(of(2));
        assert_eq!((key.chain(), key.suspects()), (of(2), vec!["i1".to_owned(), "i2".to_owned()]));
        drop(second);
        assert_eq!((key.chain(), key.suspects()), (of(1), vec!["i1".to_owned()]));
        drop(first);
        assert_eq!((key.chain(), key.suspects()), (of(2), vec!["i2".to_owned()]), "it began last");
    }

    #[test]
    fn a_chain_reads_from_its_beginning() {
        assert_eq!(Chain::default().to_string(), "");
        let chain = Chain::default().then(link(1)).then(link(2));
        assert_eq!(chain.to_string(), "put 1 -> f -> put 2 -> f");
    }
}
