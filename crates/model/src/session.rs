//! Keys, permanent and temporary, and where they are looked up and given out.

use std::fmt;
use std::sync::Arc;

use crate::{Account, Chain, Timestamp};

/// What signs a request for an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// With the id and the secret of this key, which for a temporary one are not the account's own.
    pub account: Arc<Account>,
    /// `None` for the account's own key.
    pub session: Option<Arc<Session>>,
}

/// What a temporary key is bound to.
#[derive(Clone, PartialEq, Eq)]
pub struct Session {
    /// Must be sent with every request.
    pub token: String,
    /// `None`: good for as long as the server runs.
    pub expires: Option<Timestamp>,
    pub persona: Persona,
    /// JSON of either service's form. All it does not allow is refused; `None` refuses nothing.
    pub policy: Option<String>,
}

/// Without the token, which is half of a key.
impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { token: _, expires, persona, policy } = self;
        f.debug_struct("Session")
            .field("expires", expires)
            .field("persona", persona)
            .field("policy", policy)
            .finish_non_exhaustive()
    }
}

/// Whom a temporary key stands for, in its account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Persona {
    /// The account itself, for a while.
    Account,
    Role {
        name: String,
        session: String,
    },
    Federated {
        name: String,
    },
}

/// Why a key does not sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyRefused {
    /// The token is missing, or another key's.
    Token,
    Expired,
}

impl Key {
    /// Whether the key signs at this time with the token that was sent beside it. A token that
    /// comes with a permanent key is ignored.
    ///
    /// # Errors
    /// Why it does not.
    pub fn check(&self, token: Option<&str>, now: Timestamp) -> Result<(), KeyRefused> {
        let Some(session) = &self.session else { return Ok(()) };
        if !equal(token.unwrap_or_default().as_bytes(), session.token.as_bytes()) {
            return Err(KeyRefused::Token);
        }
        if session.expires.is_some_and(|end| now >= end) { Err(KeyRefused::Expired) } else { Ok(()) }
    }
}

/// Compares without telling, by the time it takes, where the first difference is.
pub fn equal(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && std::hint::black_box(a.iter().zip(b).fold(0, |d, (x, y)| d | (x ^ y))) == 0
}

impl Session {
    /// What the principals of policies may call it, besides its account: the last part of an ARN
    /// or of one of Tencent's names.
    pub fn names(&self) -> Vec<String> {
        match &self.persona {
            Persona::Account => Vec::new(),
            Persona::Role { name, session } => vec![
                format!("assumed-role/{name}/{session}"),
                format!("role/{name}"),
                format!("roleName/{name}"),
            ],
            Persona::Federated { name } => vec![format!("federated-user/{name}")],
        }
    }
}

/// Looks keys up.
pub trait Accounts: Send + Sync {
    /// Temporary keys too, also when they have expired a short while ago.
    fn by_secret_id(&self, secret_id: &str) -> Option<Key>;

    /// How what this key signs now came to be done: for the key of a function's instance, and one that was asked
    /// for with it, what led to the invocation that the instance runs. Empty for every other key.
    fn chain(&self, secret_id: &str) -> Chain {
        let _ = secret_id;
        Chain::default()
    }

    /// UIN of the account that S3 knows by this id (see [`crate::canonical_id`]).
    fn uin_of_canonical_id(&self, id: &str) -> Option<String> {
        let _ = id;
        None
    }
}

/// A temporary key that is asked for.
#[derive(Clone, Debug)]
pub struct NewSession {
    pub persona: Persona,
    pub policy: Option<String>,
    pub expires: Timestamp,
    /// What the new key's id begins with.
    pub prefix: &'static str,
}

/// Why a policy is none for a temporary key; in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PolicyRefused {
    Malformed(String),
    /// It names resources of another account.
    Foreign(String),
}

/// Gives temporary keys out, and knows what their policies let through.
pub trait Issuer: Accounts {
    /// # Errors
    /// When the session's policy is none.
    fn issue(&self, account: &Account, session: NewSession) -> Result<Key, PolicyRefused>;

    /// Whether a session's policy allows an action that is not one on objects, such as
    /// `scf:ListFunctions`, on a resource (`qcs::scf:...`, `*`).
    fn permits(&self, session: &Session, action: &str, resource: &str) -> bool;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_temporary_key_needs_its_token_and_ends() {
        let account = Account {
            secret_id: "id".into(),
            secret_key: "key".into(),
            appid: "1".into(),
            uin: "2".into(),
            name: "me".into(),
        };
        let permanent = Key { account: account.into(), session: None };
        let (now, end) = (Timestamp::from_secs(100), Timestamp::from_secs(200));
        assert_eq!(permanent.check(None, now), Ok(()));
        assert_eq!(permanent.check(Some("any"), now), Ok(()));
        let session =
            Session { token: "t".into(), expires: Some(end), persona: Persona::Account, policy: None };
        let temporary = Key { session: Some(Arc::new(session)), ..permanent };
        assert_eq!(temporary.check(Some("t"), now), Ok(()));
        assert_eq!(temporary.check(Some("u"), now), Err(KeyRefused::Token));
        assert_eq!(temporary.check(None, now), Err(KeyRefused::Token));
        assert_eq!(temporary.check(Some("t"), end), Err(KeyRefused::Expired));
        assert_eq!(temporary.check(Some("u"), end), Err(KeyRefused::Token));
    }

    #[test]
    fn what_a_log_shows_of_a_key_signs_nothing() {
        let account = Account {
            secret_id: "AKID".into(),
            secret_key: "hidden".into(),
            appid: "1".into(),
            uin: "2".into(),
            name: "me".into(),
        };
        let session =
            Session { token: "hidden".into(), expires: None, persona: Persona::Account, policy: None };
        let shown = format!("{:?}", Key { account: account.into(), session: Some(Arc::new(session)) });
        assert!(shown.contains("AKID") && !shown.contains("hidden"), "{shown}");
    }
}
