//! Who may sign: the configured accounts, and temporary keys: those that instances of functions run with, and
//! those that were asked for. The one home of keys.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use cosette_clock::Clock;
use cosette_model::{Account, Chain, Issuer, Key, NewSession, Persona, PolicyRefused, RoleKey, Session};
use cosette_ops::SessionPolicy;
use uuid::Uuid;

/// How long a temporary key is still known once it has expired, so that its owner is told so.
const REMEMBERED: Duration = Duration::from_secs(3600);
/// Temporary keys before those that are forgotten are looked for.
const SWEEP: usize = 1024;
/// The role that functions run with, and the name of their sessions.
const FUNCTIONS: (&str, &str) = ("SCF_QcsRole", "scf");
/// Keys of instances that have ended which still sign: presigned URLs outlive who made them.
const ENDED_MAX: usize = 4096;

/// Keys by secret id. Temporary ones are kept in memory only: they end with the server.
pub(crate) struct Accounts {
    permanent: HashMap<String, Key>,
    temporary: RwLock<Temporary>,
    lent: RwLock<Lent>,
    /// By APPID, whose functions an instance is of.
    owners: HashMap<String, Account>,
    /// UINs by S3's ids.
    canonical: HashMap<String, String>,
    clock: Clock,
}

struct Temporary {
    keys: HashMap<String, Issued>,
    /// How many there are when they are swept next.
    sweep: usize,
}

/// A key that was asked for.
struct Issued {
    key: Key,
    /// The id of the instance's key that it was asked for with: it signs for that instance too.
    by: Option<String>,
}

/// The keys of instances.
struct Lent {
    keys: HashMap<String, Arc<RoleKey>>,
    /// Their ids, oldest first.
    order: VecDeque<String>,
    /// How many there are when they are swept next.
    sweep: usize,
}

impl Accounts {
    pub(crate) fn new(accounts: Vec<Account>, clock: Clock) -> Self {
        let owners = accounts.iter().map(|account| (account.appid.clone(), account.clone())).collect();
        let canonical =
            accounts.iter().map(|account| (account.canonical_id(), account.uin.clone())).collect();
        let own =
            |account: Account| (account.secret_id.clone(), Key { account: Arc::new(account), session: None });
        let permanent = accounts.into_iter().map(own).collect();
        let temporary = RwLock::new(Temporary { keys: HashMap::new(), sweep: SWEEP });
        let lent = RwLock::new(Lent { keys: HashMap::new(), order: VecDeque::new(), sweep: 2 * ENDED_MAX });
        Self { permanent, temporary, lent, owners, canonical, clock }
    }

    /// A key for a new instance of a function of the account, without an end while it is held and for a good while
    /// after; one that signs nothing when the account is no longer configured.
    pub(crate) fn lend(&self, appid: &str) -> Arc<RoleKey> {
        let Some(account) = self.owners.get(appid) else { return RoleKey::none() };
        let (name, session) = FUNCTIONS;
        let persona = Persona::Role { name: name.into(), session: session.into() };
        let session = Session { token: token(), expires: None, persona, policy: None };
        let lent = RoleKey::new(key(account, "AKID", session));
        self.lent.write().unwrap_or_else(PoisonError::into_inner).add(lent.clone());
        lent
    }

    /// The account of an APPID.
    pub(crate) fn owner(&self, appid: &str) -> Option<&Account> {
        self.owners.get(appid)
    }

    fn issued<T>(&self, secret_id: &str, of: impl Fn(&Issued) -> T) -> Option<T> {
        self.temporary.read().unwrap_or_else(PoisonError::into_inner).keys.get(secret_id).map(of)
    }

    fn lent(&self, secret_id: &str) -> Option<Arc<RoleKey>> {
        self.lent.read().unwrap_or_else(PoisonError::into_inner).keys.get(secret_id).cloned()
    }
}

impl Lent {
    fn add(&mut self, key: Arc<RoleKey>) {
        if self.order.len() >= self.sweep {
            let is_ended = |keys: &HashMap<String, Arc<RoleKey>>, id: &String| {
                keys.get(id).is_none_or(|key| Arc::strong_count(key) == 1)
            };
            let ended = self.order.iter().filter(|id| is_ended(&self.keys, id)).count();
            let mut surplus = ended.saturating_sub(ENDED_MAX);
            let keys = &mut self.keys;
            self.order.retain(|id| {
                let goes = surplus > 0 && is_ended(keys, id);
                if goes {
                    surplus -= 1;
                    keys.remove(id);
                }
                !goes
            });
            self.sweep = self.order.len() + ENDED_MAX;
        }
        let id = key.key.account.secret_id.clone();
        self.order.push_back(id.clone());
        self.keys.insert(id, key);
    }
}

impl cosette_model::Accounts for Accounts {
    fn by_secret_id(&self, secret_id: &str) -> Option<Key> {
        if let Some(key) = self.permanent.get(secret_id) {
            return Some(key.clone());
        }
        self.lent(secret_id)
            .map(|lent| lent.key.clone())
            .or_else(|| self.issued(secret_id, |issued| issued.key.clone()))
    }

    fn chain(&self, secret_id: &str) -> Chain {
        if self.permanent.contains_key(secret_id) {
            return Chain::default();
        }
        let by = self.issued(secret_id, |issued| issued.by.clone()).flatten();
        self.lent(by.as_deref().unwrap_or(secret_id)).map(|lent| lent.chain()).unwrap_or_default()
    }

    fn uin_of_canonical_id(&self, id: &str) -> Option<String> {
        self.canonical.get(id).cloned()
    }
}

impl Issuer for Accounts {
    fn issue(&self, account: &Account, new: NewSession) -> Result<Key, PolicyRefused> {
        if let Some(policy) = &new.policy {
            SessionPolicy::parse(policy, account)?;
        }
        let session =
            Session { token: token(), expires: Some(new.expires), persona: new.persona, policy: new.policy };
        let key = key(account, new.prefix, session);
        let asker = account.secret_id.as_str();
        let by = match self.lent(asker) {
            Some(_) => Some(asker.to_owned()),
            None => self.issued(asker, |issued| issued.by.clone()).flatten(),
        };
        let now = self.clock.now();
        let mut temporary = self.temporary.write().unwrap_or_else(PoisonError::into_inner);
        if temporary.keys.len() >= temporary.sweep {
            let forgotten = |key: &Key| {
                let expires = key.session.as_ref().and_then(|session| session.expires);
                expires.is_some_and(|end| end.plus(REMEMBERED) < now)
            };
            temporary.keys.retain(|_, issued| !forgotten(&issued.key));
            temporary.sweep = SWEEP.max(2 * temporary.keys.len());
        }
        temporary.keys.insert(key.account.secret_id.clone(), Issued { key: key.clone(), by });
        Ok(key)
    }

    fn permits(&self, session: &Session, action: &str, resource: &str) -> bool {
        let Some(policy) = &session.policy else { return true };
        // It was parsed when the key was given out; the account plays no part in what it allows.
        SessionPolicy::of_key(policy).is_some_and(|policy| policy.permits(action, resource))
    }
}

/// A new key of an account.
fn key(account: &Account, prefix: &str, session: Session) -> Key {
    let secret_id = format!("{prefix}{}", Uuid::new_v4().simple().to_string().to_uppercase());
    let account = Account { secret_id, secret_key: random_text(), ..account.clone() };
    Key { account: Arc::new(account), session: Some(Arc::new(session)) }
}

fn token() -> String {
    random_text() + &random_text()
}

fn random_text() -> String {
    Uuid::new_v4().simple().to_string()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use cosette_model::{Accounts as _, KeyRefused, Link, Timestamp};

    use super::*;
    use crate::default_account;

    fn session(expires: Timestamp, policy: Option<&str>) -> NewSession {
        let policy = policy.map(str::to_owned);
        NewSession { persona: Persona::Account, policy, expires, prefix: "ASIA" }
    }

    #[test]
    fn keys_end_and_are_forgotten() {
        let clock = Clock::frozen(Timestamp::from_secs(1000));
        let accounts = Accounts::new(vec![default_account()], clock.clone());
        let key = accounts.issue(&default_account(), session(Timestamp::from_secs(2000), None)).unwrap();
        let id = key.account.secret_id.as_str();
        let token = key.session.as_ref().map(|session| session.token.as_str());
        assert!(id.starts_with("ASIA") && key.account.uin == default_account().uin);
        let check = || accounts.by_secret_id(id).map(|key| key.check(token, clock.now()));
        assert_eq!(check(), Some(Ok(())));
        clock.set(Timestamp::from_secs(2000));
        assert_eq!(check(), Some(Err(KeyRefused::Expired)));
        clock.advance(REMEMBERED + Duration::from_secs(1));
        for _ in 0..SWEEP {
            accounts.issue(&default_account(), session(Timestamp::from_secs(99_999), None)).unwrap();
        }
        assert_eq!(check(), None);
    }

    #[test]
    fn the_key_of_an_instance_has_no_end_and_tells_what_it_runs() {
        let accounts = Accounts::new(vec![default_account()], Clock::frozen(Timestamp::from_secs(1000)));
        let end = Timestamp::from_secs(9_000_000_000);
        let lent = accounts.lend(&default_account().appid);
        let id = lent.key.account.secret_id.as_str();
        let token = lent.key.session.as_ref().map(|session| session.token.clone());
        assert_eq!(accounts.by_secret_id(id).unwrap().check(token.as_deref(), end), Ok(()));
        assert_eq!(accounts.chain(id), Chain::default());
        let chain = Chain::default().then(Link::call("f", "i"));
        lent.begin(chain.clone());
        assert_eq!(accounts.chain(id), chain);
        // So do those that it asks for, and that are asked for with these.
        let mut issued = lent.key.clone();
        for _ in 0..2 {
            issued = accounts.issue(&issued.account, session(end, None)).unwrap();
            assert_eq!(accounts.chain(&issued.account.secret_id), chain);
        }
        let other = accounts.lend(&default_account().appid);
        assert_eq!(accounts.chain(&other.key.account.secret_id), Chain::default());
        assert_eq!(accounts.chain(&default_account().secret_id), Chain::default());
        assert!(accounts.lend("1").key.account.secret_id.is_empty());
    }

    #[test]
    fn keys_of_ended_instances_are_forgotten_in_the_end() {
        let accounts = Accounts::new(vec![default_account()], Clock::frozen(Timestamp::from_secs(1000)));
        let lend = || accounts.lend(&default_account().appid).key.account.secret_id.clone();
        let held = accounts.lend(&default_account().appid);
        let first = lend();
        for _ in 0..ENDED_MAX {
            lend();
        }
        assert!(accounts.by_secret_id(&first).is_some());
        let last = (0..4 * ENDED_MAX).map(|_| lend()).fold(String::new(), |_, id| id);
        assert!(accounts.by_secret_id(&first).is_none());
        assert!(accounts.by_secret_id(&last).is_some());
        assert!(accounts.by_secret_id(&held.key.account.secret_id).is_some(), "it still runs");
        assert!(accounts.lent.read().unwrap().keys.len() <= 2 * ENDED_MAX + 1);
    }

    #[test]
    fn what_is_no_policy_gets_no_key() {
        let accounts = Accounts::new(vec![default_account()], Clock::frozen(Timestamp::from_secs(0)));
        let end = Timestamp::from_secs(1);
        let issue = |policy| accounts.issue(&default_account(), session(end, Some(policy)));
        assert!(matches!(issue("{}"), Err(PolicyRefused::Malformed(_))));
        let list = r#"{"version":"2.0","statement":{"effect":"allow","action":"scf:List*","resource":"*"}}"#;
        let key = issue(list).unwrap();
        let session = key.session.unwrap();
        assert!(accounts.permits(&session, "scf:ListFunctions", "qcs::scf:r:uin/1:*"));
        assert!(!accounts.permits(&session, "scf:Invoke", "qcs::scf:r:uin/1:*"));
    }
}
