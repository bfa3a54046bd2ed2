//! What a program that embeds the server asks of it directly; everything else it does as any client would.

use std::time::Duration;

use bytes::Bytes;
use cosette_function::{
    Configuration, DEFAULT_NAMESPACE, Error as FunctionError, Functions, NewFunction, Record,
};
use cosette_model::function::{FunctionName, RetryPolicy};
use cosette_model::op::Owner;
use cosette_model::{BucketName, Cause, EventPattern, Region, Style, Timestamp};
use cosette_runtime::{CLOSURE, Runtime};
use cosette_store::Error as StoreError;
use cosette_trigger::{Error as TriggerError, NewRule};

use crate::{Config, RunError, Server};

/// The package of a function that has none: an archive without entries.
const NO_PACKAGE: &[u8] = b"PK\x05\x06\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";

/// A trigger: which changes of a bucket invoke which function.
#[derive(Clone, Debug)]
pub struct Binding {
    pub bucket: String,
    /// `cos:ObjectCreated:*` or another of COS's event types.
    pub event: String,
    pub prefix: String,
    pub suffix: String,
    pub function: String,
}

/// Makes the functions that the closures are, unless an earlier run of the program has.
pub(crate) async fn install(
    runtime: &Runtime,
    functions: &Functions,
    config: &Config,
) -> Result<(), RunError> {
    for closure in &config.closures {
        runtime.install(closure.clone());
        let name = &closure.name;
        let account =
            config.accounts.first().ok_or_else(|| RunError::Refused("there is no account".into()))?;
        let made = functions.create(NewFunction {
            namespace: DEFAULT_NAMESPACE.into(),
            name: name.clone(),
            region: config.region.as_str().into(),
            appid: account.appid.clone(),
            uin: account.uin.clone(),
            configuration: Configuration {
                description: String::new(),
                runtime: CLOSURE.into(),
                handler: name.clone(),
                memory_mb: 128,
                timeout_secs: 60,
                init_timeout_secs: 60,
                environment: Vec::new(),
                role: String::new(),
                retry: RetryPolicy::default(),
                dead_letter: None,
                layers: Vec::new(),
                tags: Vec::new(),
                async_run: false,
                trace: false,
                web: None,
                image: None,
            },
            code: Bytes::from_static(NO_PACKAGE),
        });
        match made.await {
            Ok(_) => {}
            Err(FunctionError::Exists(_)) => {
                if functions.get(&named(&account.appid, &config.region, name))?.configuration.runtime
                    != CLOSURE
                {
                    return Err(RunError::Refused(format!("there is a function {name} that is no closure")));
                }
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// A function that is a closure.
fn named(appid: &str, region: &Region, name: &str) -> FunctionName {
    let [appid, region, namespace, name] =
        [appid, region.as_str(), DEFAULT_NAMESPACE, name].map(str::to_owned);
    FunctionName { appid, region, namespace, name }
}

fn refused(error: impl std::fmt::Display) -> RunError {
    RunError::Refused(error.to_string())
}

impl Server {
    /// Makes a bucket of the default account in the default region, unless it is there.
    ///
    /// # Errors
    /// The name is none of a bucket's, another account has it, or the store's.
    pub async fn make_bucket(&self, name: &str) -> Result<(), RunError> {
        let name = BucketName::new(name).map_err(refused)?;
        let Owner { uin, .. } = &self.owner;
        let made = self.house.store.create_bucket(
            name.clone(),
            self.region.clone(),
            self.owner.clone(),
            Cause::default(),
        );
        match made.await {
            Ok(_) => Ok(()),
            Err(StoreError::BucketExists(_)) => match self.house.store.bucket(&name)? {
                Some(bucket) if bucket.owner_uin == *uin => Ok(()),
                _ => Err(RunError::Refused(format!("bucket {} is another account's", name.as_str()))),
            },
            Err(error) => Err(error.into()),
        }
    }

    /// Makes a trigger, unless it is there.
    ///
    /// # Errors
    /// Those of the service when it could never fire: no such bucket or function, an unknown event, an overlap.
    pub async fn bind(&self, binding: Binding) -> Result<(), RunError> {
        let Binding { bucket, event, prefix, suffix, function } = binding;
        let event =
            EventPattern::parse(&event).ok_or_else(|| refused(format!("there is no event {event}")))?;
        let target = named(&self.owner.appid, &self.region, &function).under("$DEFAULT").into();
        let rule = NewRule {
            bucket: BucketName::new(bucket.as_str()).map_err(refused)?,
            event,
            prefix,
            suffix,
            target,
            style: Style::Cos,
            description: String::new(),
            enabled: true,
        };
        match self.house.triggers.create_rule(rule).await {
            Ok(_) | Err(TriggerError::Exists) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Waits until all that has happened has been reacted to, at most for `patience` in real time. Returns whether it
    /// has been.
    ///
    /// # Errors
    /// The store's.
    pub async fn quiet(&self, patience: Duration) -> Result<bool, RunError> {
        Ok(self.house.traveller.quiet(None, patience).await?.quiet)
    }

    /// Moves the clock forward; all that comes due on the way is done in the order of its times, as far as `patience`
    /// lasts in real time. Returns whether all of it has been.
    pub async fn advance(&self, by: Duration, patience: Duration) -> bool {
        let traveller = &self.house.traveller;
        let _turn = traveller.turn().await;
        traveller.go(self.house.clock.now().plus(by).min(Timestamp::END), patience).await
    }

    /// Invocations of a function, each attempt one, newest first, at most `max`.
    ///
    /// # Errors
    /// The store's.
    pub fn invocations(&self, function: &str, max: usize) -> Result<Vec<Record>, RunError> {
        Ok(self.house.functions.records(Some(&named(&self.owner.appid, &self.region, function)), max)?)
    }
}
