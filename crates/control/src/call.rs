//! What an action gets to work with.

use std::sync::Arc;

use cosette_cdn::Cdn;
use cosette_function::Functions;
use cosette_model::host::Reserved;
use cosette_model::{Account, Chain, Issuer, Key, Region, Timestamp};
use cosette_store::{Kept, Store};
use cosette_trigger::Triggers;

/// One authenticated request, for its action.
pub(crate) struct Call<'a> {
    pub(crate) store: &'a Store,
    pub(crate) functions: &'a Functions,
    pub(crate) triggers: &'a Triggers,
    pub(crate) cdn: &'a Cdn,
    pub(crate) issuer: &'a dyn Issuer,
    pub(crate) account: Arc<Account>,
    /// What has signed.
    pub(crate) key: &'a Key,
    /// How the call came to be made, if a function makes it.
    pub(crate) chain: Chain,
    pub(crate) now: Timestamp,
    pub(crate) region: Region,
    pub(crate) strict: bool,
    pub(crate) address: &'a str,
    /// Hex SHA-256 of the package that the function is taken to have ([`crate::client::IF_CODE`]); of
    /// `UpdateFunctionCode`.
    pub(crate) expected_code: Option<String>,
    /// Images by their names, and the commands that stand for them.
    pub(crate) images: &'a [(String, String)],
    /// Names that are nobody's.
    pub(crate) reserved: &'a Reserved,
}

impl Call<'_> {
    /// Where a package can be fetched for a while.
    pub(crate) fn link(&self, package: Kept) -> String {
        format!("{}/_cosette/packages/{}", self.address, self.functions.offer(package))
    }
}
