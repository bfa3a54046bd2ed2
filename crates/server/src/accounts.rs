//! Who may sign: the configured accounts, and temporary keys: those that functions run with, and
//! those that were asked for. The one home of keys.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use cosette_clock::Clock;
use cosette_model::{Account, Issuer, Key, NewSession, Persona, PolicyRefused, Session};
use cosette_ops::SessionPolicy;
use uuid::Uuid;

/// How long a temporary key is still known once it has expired, so that its owner is told so.
const REMEMBERED: Duration = Duration::from_secs(3600);
/// Temporary keys before those that are forgotten are looked for.
const SWEEP: usize = 1024;
/// The role that functions run with, and the name of their sessions.
const FUNCTIONS: (&str, &str) = ("SCF_QcsRole", "scf");

/// Keys by secret id. Temporary ones are kept in memory only: they end with the server.
pub(crate) struct Accounts {
    permanent: HashMap<String, Account>,
    temporary: RwLock<Temporary>,
    /// By APPID, the key of an account's functions.
    roles: HashMap<String, Key>,
    /// UINs by S3's ids.
    canonical: HashMap<String, String>,
    clock: Clock,
}

struct Temporary {
    keys: HashMap<String, Key>,
    /// How many there are when they are swept next.
    sweep: usize,
}

impl Accounts {
    /// Each account gets one temporary key for its functions, good for the life of the server.
    pub(crate) fn new(accounts: Vec<Account>, clock: Clock) -> Self {
        let role = |account: &Account| {
            let (name, session) = FUNCTIONS;
            let persona = Persona::Role { name: name.into(), session: session.into() };
            let session = Session { token: token(), expires: None, persona, policy: None };
            (account.appid.clone(), key(account, "AKID", session))
        };
        let roles: HashMap<_, _> = accounts.iter().map(role).collect();
        let keys = roles.values().map(|key| (key.account.secret_id.clone(), key.clone())).collect();
        let canonical =
            accounts.iter().map(|account| (account.canonical_id(), account.uin.clone())).collect();
        let permanent = accounts.into_iter().map(|account| (account.secret_id.clone(), account)).collect();
        let temporary = RwLock::new(Temporary { keys, sweep: SWEEP });
        Self { permanent, temporary, roles, canonical, clock }
    }

    /// Secret id, secret key and token that a function of the account runs with; empty when
    /// the account is no longer configured.
    pub(crate) fn role_keys(&self, appid: &str) -> (String, String, String) {
        let Some(Key { account, session }) = self.roles.get(appid).cloned() else {
            return Default::default();
        };
        let token = session.map(|session| session.token.clone()).unwrap_or_default();
        (account.secret_id, account.secret_key, token)
    }
}

impl cosette_model::Accounts for Accounts {
    fn by_secret_id(&self, secret_id: &str) -> Option<Key> {
        if let Some(account) = self.permanent.get(secret_id) {
            return Some(Key { account: account.clone(), session: None });
        }
        self.temporary.read().unwrap_or_else(PoisonError::into_inner).keys.get(secret_id).cloned()
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
        let now = self.clock.now();
        let mut temporary = self.temporary.write().unwrap_or_else(PoisonError::into_inner);
        if temporary.keys.len() >= temporary.sweep {
            let forgotten = |key: &Key| {
                let expires = key.session.as_ref().and_then(|session| session.expires);
                expires.is_some_and(|end| end.plus(REMEMBERED) < now)
            };
            temporary.keys.retain(|_, key| !forgotten(key));
            temporary.sweep = SWEEP.max(2 * temporary.keys.len());
        }
        temporary.keys.insert(key.account.secret_id.clone(), key.clone());
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
    Key { account, session: Some(Arc::new(session)) }
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
    use cosette_model::{Accounts as _, KeyRefused, Timestamp};

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
        let (id, _, token) = accounts.role_keys(&default_account().appid);
        let role = accounts.by_secret_id(&id).unwrap();
        assert_eq!(role.check(Some(&token), clock.now()), Ok(()), "a function's key has no end");
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
