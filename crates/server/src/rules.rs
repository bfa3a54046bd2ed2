//! The part of the admin API that says what goes where: rules, webhooks, dead letters. See `docs/admin-api.md`.

use cosette_function::{ConfigurationPatch, DEFAULT_NAMESPACE, DeadLetter, Error as FunctionError};
use cosette_model::function::{FunctionName, FunctionRef, Home};
use cosette_model::{BucketName, EventPattern, Events, Style, Target};
use cosette_trigger::{Error as RuleError, NewRule, Rule};
use cosette_webhook::{Error as WebhookError, Webhook};
use http::StatusCode;
use hyper::body::Incoming;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::admin::{Admin, Refused, asked, target};

/// A target as requests name it.
#[derive(Deserialize)]
#[serde(untagged, deny_unknown_fields)]
enum Named {
    Function {
        function: String,
    },
    Qualified {
        function: FunctionRef,
    },
    Webhook {
        webhook: String,
    },
    Bucket {
        bucket: String,
        #[serde(default)]
        prefix: String,
    },
}

impl Named {
    /// A function that is named without an account is `home`'s; one without a region is looked for there first.
    fn target(self, admin: &Admin, home: &Home) -> Result<Target, Refused> {
        let function = match self {
            Self::Function { function } => {
                let (appid, region, namespace) = (String::new(), String::new(), DEFAULT_NAMESPACE.to_owned());
                FunctionName { appid, region, namespace, name: function }.under("$DEFAULT")
            }
            Self::Qualified { function } => function,
            Self::Webhook { webhook } => return Ok(Target::Webhook { webhook }),
            Self::Bucket { bucket, prefix } => {
                return Ok(Target::Bucket { bucket: bucket_named(&bucket)?, prefix });
            }
        };
        let appid = match function.appid.as_str() {
            "" => home.appid.clone(),
            account => admin.account(Some(account))?,
        };
        let name = FunctionName { appid, ..function.full_name() };
        let located = admin.functions.located(name, &home.region).map_err(Refused::internal)?;
        Ok(located.under(&function.qualifier).into())
    }
}

fn bucket_named(name: &str) -> Result<BucketName, Refused> {
    BucketName::new(name).map_err(|error| Refused::bad(error.to_string()))
}

impl From<RuleError> for Refused {
    fn from(error: RuleError) -> Self {
        match error {
            RuleError::Store(error) => Self::internal(error),
            RuleError::NoSuchBucket(_)
            | RuleError::NoSuchFunction(_)
            | RuleError::NoSuchTarget(_)
            | RuleError::NoSuchRule => Self(StatusCode::NOT_FOUND, error.to_string()),
            other => Self::bad(other.to_string()),
        }
    }
}

impl From<WebhookError> for Refused {
    fn from(error: WebhookError) -> Self {
        match error {
            WebhookError::Store(error) => Self::internal(error),
            WebhookError::NoSuchWebhook(_) => Self(StatusCode::NOT_FOUND, error.to_string()),
            other => Self::bad(other.to_string()),
        }
    }
}

impl Admin {
    pub(crate) fn rules(&self) -> Result<Value, Refused> {
        let rules = self.traveller.triggers.rules()?;
        Ok(json!({ "rules": rules.iter().map(rule).collect::<Vec<_>>() }))
    }

    pub(crate) async fn make_rule(&self, body: Incoming) -> Result<Value, Refused> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Make {
            bucket: String,
            event: String,
            #[serde(default)]
            prefix: String,
            #[serde(default)]
            suffix: String,
            target: Named,
            #[serde(default)]
            style: String,
            #[serde(default)]
            description: String,
            #[serde(default = "yes")]
            enabled: bool,
        }
        fn yes() -> bool {
            true
        }
        let make: Make = asked(body).await?;
        let event = EventPattern::parse(&make.event)
            .ok_or_else(|| Refused::bad(format!("{} is no event of COS", make.event)))?;
        let style = match make.style.as_str() {
            "" | "cos" => Style::Cos,
            "s3" => Style::S3,
            other => return Err(Refused::bad(format!("style {other} is neither cos nor s3"))),
        };
        let bucket = bucket_named(&make.bucket)?;
        let found = self.store.bucket(&bucket).map_err(Refused::internal)?;
        let home = found.map_or_else(
            || self.home.clone(),
            |found| Home { region: found.region.into_string(), appid: found.owner_appid },
        );
        let target = make.target.target(self, &home)?;
        if matches!(target, Target::Bucket { .. }) {
            return Err(Refused::bad("a rule's target is a function or a webhook"));
        }
        let new = NewRule {
            bucket,
            event,
            prefix: make.prefix,
            suffix: make.suffix,
            target,
            style,
            description: make.description,
            enabled: make.enabled,
        };
        Ok(rule(&self.traveller.triggers.create_rule(new).await?))
    }

    pub(crate) async fn delete_rule(&self, id: &str) -> Result<Value, Refused> {
        Ok(rule(&self.traveller.triggers.delete_rule_by_id(id).await?))
    }

    pub(crate) fn list_webhooks(&self) -> Value {
        json!({ "webhooks": self.webhooks.list().iter().map(|found| webhook(found, false)).collect::<Vec<_>>() })
    }

    pub(crate) async fn put_webhook(&self, body: Incoming) -> Result<Value, Refused> {
        #[derive(Deserialize)]
        struct Put {
            dead_letter: Option<Named>,
            #[serde(flatten)]
            webhook: Map<String, Value>,
        }
        let Put { dead_letter, webhook: put } = asked(body).await?;
        let mut put: Webhook =
            serde_json::from_value(put.into()).map_err(|error| Refused::bad(error.to_string()))?;
        put.dead_letter = dead_letter.map(|to| to.target(self, &self.home)).transpose()?;
        if let Some(to) = &put.dead_letter
            && !self.traveller.triggers.knows(to)
        {
            return Err(Refused(StatusCode::NOT_FOUND, format!("{to} does not exist")));
        }
        // One that it keeps has been shown to who set it.
        let set = put.secret.is_some() || self.webhooks.get(&put.name).is_none();
        Ok(webhook(&self.webhooks.put(put).await?, set))
    }

    pub(crate) async fn delete_webhook(&self, name: &str) -> Result<Value, Refused> {
        self.webhooks.delete(name).await?;
        Ok(json!({}))
    }

    /// Says who is told of what a function could not be told.
    pub(crate) async fn set_dead_letter(&self, body: Incoming) -> Result<Value, Refused> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Set {
            function: String,
            #[serde(default = "default")]
            namespace: String,
            #[serde(default)]
            region: String,
            account: Option<String>,
            to: Option<Named>,
        }
        fn default() -> String {
            DEFAULT_NAMESPACE.to_owned()
        }
        let Set { function, namespace, region, account, to } = asked(body).await?;
        let appid = self.account(account.as_deref())?;
        let named = self.located(FunctionName { appid, region, namespace, name: function })?;
        let home = Home { region: named.region.clone(), appid: named.appid.clone() };
        let to = to.map(|to| to.target(self, &home)).transpose()?;
        if let Some(to) = to.as_ref().filter(|to| !self.traveller.triggers.knows(to)) {
            return Err(Refused(StatusCode::NOT_FOUND, format!("{to} does not exist")));
        }
        let shown =
            json!({ "function": named.name, "namespace": named.namespace, "to": to.as_ref().map(target) });
        let letter = to.map(|to| DeadLetter { to, kind: String::new() });
        let patch = ConfigurationPatch { dead_letter: Some(letter), ..ConfigurationPatch::default() };
        let set = match self.functions.get(&named) {
            Ok(function) => self.functions.update_configuration(&function, patch).await.map(drop),
            Err(error) => Err(error),
        };
        match set {
            Ok(()) => Ok(shown),
            Err(error @ (FunctionError::NoSuchFunction(_) | FunctionError::NoSuchNamespace(_))) => {
                Err(Refused(StatusCode::NOT_FOUND, error.to_string()))
            }
            Err(error) => Err(Refused::internal(error)),
        }
    }
}

fn rule(rule: &Rule) -> Value {
    let events = match &rule.events {
        Events::Cos(event) => vec![event.name().to_owned()],
        Events::S3(names) => names.clone(),
    };
    let style = match rule.style {
        Style::Cos => "cos",
        Style::S3 => "s3",
        Style::EventBridge => "eventbridge",
    };
    json!({
        "id": rule.id,
        "bucket": rule.bucket,
        "region": rule.region,
        "events": events,
        "prefix": rule.prefix,
        "suffix": rule.suffix,
        "target": target(&rule.target),
        "style": style,
        "enabled": rule.enabled(),
        "created": rule.created.iso_millis(),
        "description": rule.description,
        "configuration": rule.configuration.as_ref().map(|of| &of.id),
    })
}

/// The secret is shown to who sets it, and to nobody else.
fn webhook(webhook: &Webhook, with_secret: bool) -> Value {
    let secret = webhook.secret.as_deref().unwrap_or_default();
    let mut shown = json!({
        "name": webhook.name,
        "url": webhook.url,
        "signed": !secret.is_empty(),
        "timeout_ms": webhook.timeout_ms,
        "retries": webhook.retries,
        "max_age_secs": webhook.max_age_secs,
        "concurrency": webhook.concurrency,
        "dead_letter": webhook.dead_letter.as_ref().map(target),
    });
    if with_secret {
        shown["secret"] = json!(secret);
    }
    shown
}
