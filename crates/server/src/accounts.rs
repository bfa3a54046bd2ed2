//! Who may sign: the configured accounts, and the temporary keys of functions' roles.

use std::collections::HashMap;

use cosette_model::Account;
use uuid::Uuid;

/// Keys by secret id. Fixed at start.
pub(crate) struct Accounts {
    permanent: HashMap<String, Account>,
    /// By secret id: an account's role key, and the token it must come with.
    temporary: HashMap<String, (Account, String)>,
    /// UINs by S3's ids.
    canonical: HashMap<String, String>,
}

impl Accounts {
    /// Each account gets one temporary key for its functions, good for the life of the server.
    pub(crate) fn new(accounts: Vec<Account>) -> Self {
        let temporary = accounts
            .iter()
            .map(|account| {
                let secret_id = format!("AKID{}", Uuid::new_v4().simple());
                let role =
                    Account { secret_id: secret_id.clone(), secret_key: random_text(), ..account.clone() };
                (secret_id, (role, random_text() + &random_text()))
            })
            .collect();
        let canonical =
            accounts.iter().map(|account| (account.canonical_id(), account.uin.clone())).collect();
        let permanent = accounts.into_iter().map(|account| (account.secret_id.clone(), account)).collect();
        Self { permanent, temporary, canonical }
    }

    fn find(&self, secret_id: &str) -> Option<Account> {
        let temporary = || self.temporary.get(secret_id).map(|(account, _)| account);
        self.permanent.get(secret_id).or_else(temporary).cloned()
    }

    fn token(&self, secret_id: &str) -> Option<String> {
        self.temporary.get(secret_id).map(|(_, token)| token.clone())
    }

    /// Secret id, secret key and token that a function of the account runs with; empty when
    /// the account is no longer configured.
    pub(crate) fn role_keys(&self, appid: &str) -> (String, String, String) {
        self.temporary
            .values()
            .find(|(account, _)| account.appid == appid)
            .map(|(account, token)| (account.secret_id.clone(), account.secret_key.clone(), token.clone()))
            .unwrap_or_default()
    }
}

impl cosette_wire::Accounts for Accounts {
    fn by_secret_id(&self, secret_id: &str) -> Option<Account> {
        self.find(secret_id)
    }

    fn token_of(&self, secret_id: &str) -> Option<String> {
        self.token(secret_id)
    }

    fn uin_of_canonical_id(&self, id: &str) -> Option<String> {
        self.canonical.get(id).cloned()
    }
}

impl cosette_control::Accounts for Accounts {
    fn by_secret_id(&self, secret_id: &str) -> Option<Account> {
        self.find(secret_id)
    }

    fn token_of(&self, secret_id: &str) -> Option<String> {
        self.token(secret_id)
    }
}

fn random_text() -> String {
    Uuid::new_v4().simple().to_string()
}
