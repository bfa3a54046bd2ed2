//! Host names of the users' own, each bound to one bucket (cos-api 1.1, 3.3; COS, "PUT Bucket domain").

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use cosette_model::op::{Context, reply};
use cosette_model::setting::{Bound, Domains, Status};
use cosette_model::{Error, ErrorCode, Setting, SettingName};
use cosette_store::{Bucket, Tx, View};

use crate::Ops;
use crate::error::{Failure, Result};

/// What names are bound to.
type Names = Arc<HashMap<String, Bound>>;

/// The same, as of a count of settings.
#[derive(Debug, Default)]
pub(crate) struct Table(Mutex<Option<(u64, Names)>>);

fn of(view: &[u8]) -> Result<Domains> {
    Ok(serde_json::from_slice(view).map_err(Error::internal)?)
}

impl Ops {
    /// The bucket that a host name, in lower case and without a port, is bound to.
    pub fn bound(&self, name: &str) -> Option<Bound> {
        self.domains().ok()?.get(name).cloned()
    }

    fn domains(&self) -> Result<Names> {
        let settled = self.store.settled();
        let mut table = self.domains.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((count, domains)) = &*table
            && *count == settled
        {
            return Ok(Arc::clone(domains));
        }
        let mut domains = HashMap::new();
        for bucket in self.store.buckets()? {
            let Some(set) = self.setting::<Domains>(&bucket.name)? else { continue };
            for rule in set.rules.into_iter().filter(|rule| rule.status == Status::Enabled) {
                let (bucket, region) = (bucket.name.clone(), bucket.region.clone());
                domains.insert(rule.name.to_ascii_lowercase(), Bound { bucket, region, kind: rule.kind });
            }
        }
        let domains = Arc::new(domains);
        *table = Some((settled, Arc::clone(&domains)));
        Ok(domains)
    }

    /// Binds names that nothing else here has, neither functions nor the CDN nor another bucket. A rule that forces it takes a name from another bucket of the
    /// same account; from another account's it would need a record of the domain, which nobody can look up here.
    pub(crate) async fn put_domains(
        &self,
        context: &Context,
        bucket: Bucket,
        domains: Domains,
    ) -> Result<reply::PutSetting> {
        let name = SettingName::Domain;
        let mut names: Vec<_> = domains.rules.iter().map(|rule| rule.name.to_ascii_lowercase()).collect();
        names.sort_unstable();
        if names.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(Error::with(ErrorCode::InvalidArgument, "A domain is named twice.").into());
        }
        if names.iter().any(|name| self.reserved.holds(name)) {
            return Err(Error::with(ErrorCode::InvalidArgument, "The domain name is not valid.").into());
        }
        let value = Setting::Domain(domains.clone()).encode().map_err(Error::internal)?;
        let claim = move |tx: &Tx<'_>, view: &View, others: &mut [(View, Option<Vec<u8>>)]| {
            for (name, rule) in domains.rules.iter().map(|rule| (rule.name.to_ascii_lowercase(), rule)) {
                // It is not COS's to take, whatever is forced.
                if let Some(by) = tx.name_of_no_bucket(&name)? {
                    let why = format!("The domain is {by} already.");
                    let error = Error::with(ErrorCode::DomainConfigConflict, why);
                    return Err(error.detail("Domain", &*rule.name).into());
                }
            }
            for (other, kept) in others {
                let mut theirs = of(kept.as_deref().unwrap_or(b"{}"))?;
                let before = theirs.rules.len();
                for rule in &domains.rules {
                    let same = |their: &str| their.eq_ignore_ascii_case(&rule.name);
                    if !theirs.rules.iter().any(|their| same(&their.name)) {
                        continue;
                    }
                    if rule.force.is_none() {
                        return Err(refused(ErrorCode::DomainConfigConflict, &rule.name));
                    }
                    if other.bucket.owner_uin != view.bucket.owner_uin {
                        return Err(refused(ErrorCode::DnsRecordVerifyFailed, &rule.name));
                    }
                    theirs.rules.retain(|their| !same(&their.name));
                }
                if theirs.rules.len() < before {
                    let left = (!theirs.rules.is_empty()).then_some(Setting::Domain(theirs));
                    *kept = left.map(|left| left.encode()).transpose().map_err(Error::internal)?;
                }
            }
            Ok(Some(value))
        };
        self.store.claim_setting(bucket, name.row(), context.cause.clone(), claim).await?;
        Ok(reply::PutSetting { name, small: None })
    }
}

fn refused(code: ErrorCode, domain: &str) -> Failure {
    Error::new(code).detail("Domain", domain).into()
}
