//! Host names of the users' own. Each leads to one thing: to functions, to the CDN or to a bucket. Those keep their
//! domains each in its own place; here all three are looked at by the commit that takes a name.

use std::fmt;

use cosette_model::{Setting, SettingName};

use crate::Table;
use crate::error::{Error, Result};
use crate::record::{Bucket, decode};
use crate::schema::{self, Kind};
use crate::tx::Tx;

/// Rows of the domains of functions in [`Table::Rule`]: this, then the name in small letters. Those of the CDN have a
/// table of their own, and a bucket's are a setting.
pub const FUNCTION_DOMAIN: &str = "domain-";

/// What has a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameOf {
    Functions,
    Cdn,
    Bucket,
}

impl fmt::Display for NameOf {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(match self {
            Self::Functions => "a domain of functions",
            Self::Cdn => "a domain of the CDN",
            Self::Bucket => "a domain of a bucket",
        })
    }
}

impl Tx<'_> {
    /// What has a name, in small letters, whoever's it is.
    ///
    /// # Errors
    /// The store's.
    pub fn name_of(&self, name: &str) -> Result<Option<NameOf>> {
        if let Some(found) = self.name_of_no_bucket(name)? {
            return Ok(Some(found));
        }
        for (_, row) in self.collect(&schema::key(Kind::Bucket, &[]))? {
            let bucket = decode::<Bucket>("bucket", &row)?;
            let Some(kept) = self.row(&schema::setting(bucket.id, SettingName::Domain.row()))? else {
                continue;
            };
            let kept = SettingName::Domain.decode(&kept);
            let kept =
                kept.map_err(|error| Error::corrupt(format!("domains of {}: {error}", bucket.name)))?;
            if let Setting::Domain(domains) = kept
                && domains.rules.iter().any(|rule| rule.name.eq_ignore_ascii_case(name))
            {
                return Ok(Some(NameOf::Bucket));
            }
        }
        Ok(None)
    }

    /// The same, without a look at buckets.
    ///
    /// # Errors
    /// The store's.
    pub fn name_of_no_bucket(&self, name: &str) -> Result<Option<NameOf>> {
        let function = [FUNCTION_DOMAIN, name].concat();
        if self.get(Table::Rule, function.as_bytes())?.is_some() {
            return Ok(Some(NameOf::Functions));
        }
        let cdn = self.get(Table::CdnDomain, name.as_bytes())?;
        Ok(cdn.map(|_| NameOf::Cdn))
    }
}
