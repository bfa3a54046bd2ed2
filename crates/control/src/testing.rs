//! What this crate's tests share.

use std::sync::{Arc, Mutex};

use cosette_model::{Account, Accounts, Issuer, Key, NewSession, Persona, PolicyRefused, Session, Timestamp};

/// The keys of the worked examples (scf.md 3.3).
pub(crate) const EXAMPLE_ID: &str = "AKIDEXAMPLE0000000000000000000000000";
pub(crate) const EXAMPLE_KEY: &str = "SECRETEXAMPLE000000000000000000";

/// Another account, and a temporary key of the first one.
pub(crate) const OTHER_ID: &str = "AKIDother";
pub(crate) const ROLE_ID: &str = "AKIDrole";
pub(crate) const ROLE_TOKEN: &str = "token";

pub(crate) struct Known(Mutex<Vec<Key>>);

impl Accounts for Known {
    fn by_secret_id(&self, secret_id: &str) -> Option<Key> {
        self.0.lock().unwrap().iter().find(|key| key.account.secret_id == secret_id).cloned()
    }
}

/// Policies here are the one word that they allow.
impl Issuer for Known {
    fn issue(&self, account: &Account, new: NewSession) -> Result<Key, PolicyRefused> {
        match new.policy.as_deref() {
            Some("{bad") => return Err(PolicyRefused::Malformed("bad".into())),
            Some("foreign") => return Err(PolicyRefused::Foreign("qcs".into())),
            _ => {}
        }
        let mut keys = self.0.lock().unwrap();
        let secret_id = format!("{}{}", new.prefix, keys.len());
        let account = Account { secret_id, secret_key: "secret".into(), ..account.clone() };
        let session = Session {
            token: ROLE_TOKEN.into(),
            expires: Some(new.expires),
            persona: new.persona,
            policy: new.policy,
        };
        let key = Key { account: account.into(), session: Some(Arc::new(session)) };
        keys.push(key.clone());
        Ok(key)
    }

    fn permits(&self, session: &Session, action: &str, _resource: &str) -> bool {
        session.policy.as_ref().is_none_or(|policy| policy == action)
    }
}

pub(crate) fn accounts() -> Known {
    let account = |id: &str, key: &str, appid: &str, uin: &str| Account {
        secret_id: id.into(),
        secret_key: key.into(),
        appid: appid.into(),
        uin: uin.into(),
        name: "test".into(),
    };
    let role = Session {
        token: ROLE_TOKEN.into(),
        expires: Some(Timestamp::from_secs(4_000_000_000)),
        persona: Persona::Account,
        policy: None,
    };
    let key = |account: Account, session: Option<Session>| Key {
        account: account.into(),
        session: session.map(Arc::new),
    };
    Known(Mutex::new(vec![
        key(account(EXAMPLE_ID, EXAMPLE_KEY, "1250000000", "100000000001"), None),
        key(account(OTHER_ID, "other", "1260000000", "100000000002"), None),
        key(account(ROLE_ID, "role", "1250000000", "100000000001"), Some(role)),
    ]))
}
