//! Who owns things and who asks for them.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{Key, Session};

/// One cloud account with its one key pair.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// `AKID...` on COS, the access key id of S3.
    pub secret_id: String,
    pub secret_key: String,
    /// Digits; the tail of the account's COS bucket names.
    pub appid: String,
    /// The root user's number.
    pub uin: String,
    pub name: String,
}

/// Without the secret, which must reach no log.
impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { secret_id, secret_key: _, appid, uin, name } = self;
        f.debug_struct("Account")
            .field("secret_id", secret_id)
            .field("appid", appid)
            .field("uin", uin)
            .field("name", name)
            .finish_non_exhaustive()
    }
}

impl Account {
    /// `qcs::cam::uin/<uin>:uin/<uin>`, the owner id COS prints in XML.
    pub fn cam_id(&self) -> String {
        format!("qcs::cam::uin/{0}:uin/{0}", self.uin)
    }

    /// The 64 hexadecimal digits that S3 knows the account by.
    pub fn canonical_id(&self) -> String {
        canonical_id(&self.uin)
    }
}

/// S3's id of the account with this UIN.
pub fn canonical_id(uin: &str) -> String {
    hex::encode(Sha256::digest(uin))
}

/// Who a request is from, once its signature has been checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identity {
    Anonymous,
    Known(Key),
}

impl Identity {
    pub fn account(&self) -> Option<&Account> {
        self.key().map(|key| &*key.account)
    }

    /// What binds a temporary key; permanent ones are bound by nothing.
    pub fn session(&self) -> Option<&Session> {
        self.key().and_then(|key| key.session.as_deref())
    }

    fn key(&self) -> Option<&Key> {
        match self {
            Self::Anonymous => None,
            Self::Known(key) => Some(key),
        }
    }
}
