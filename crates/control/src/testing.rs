//! What this crate's tests share.

use cosette_model::Account;

use crate::Accounts;

/// The keys of the worked examples (scf.md 3.3).
pub(crate) const EXAMPLE_ID: &str = "AKIDEXAMPLE0000000000000000000000000";
pub(crate) const EXAMPLE_KEY: &str = "SECRETEXAMPLE000000000000000000";

/// Another account, and a temporary key of the first one.
pub(crate) const OTHER_ID: &str = "AKIDother";
pub(crate) const ROLE_ID: &str = "AKIDrole";
pub(crate) const ROLE_TOKEN: &str = "token";

pub(crate) struct Known(Vec<Account>);

impl Accounts for Known {
    fn by_secret_id(&self, secret_id: &str) -> Option<Account> {
        self.0.iter().find(|account| account.secret_id == secret_id).cloned()
    }

    fn token_of(&self, secret_id: &str) -> Option<String> {
        (secret_id == ROLE_ID).then(|| ROLE_TOKEN.to_owned())
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
    Known(vec![
        account(EXAMPLE_ID, EXAMPLE_KEY, "1250000000", "100000000001"),
        account(OTHER_ID, "other", "1260000000", "100000000002"),
        account(ROLE_ID, "role", "1250000000", "100000000001"),
    ])
}
