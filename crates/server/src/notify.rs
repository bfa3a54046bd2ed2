//! S3's bucket notifications as rules: which target an ARN means, and the rules that a configuration makes.

use cosette_function::DEFAULT_NAMESPACE;
use cosette_model::function::{FunctionRef, Invoke};
use cosette_model::setting::{Notification, NotificationKind, NotificationRule};
use cosette_model::{Events, Style, Target};
use cosette_ops::Notify;
use cosette_store::{Bucket, Tx};
use cosette_trigger::{Configuration, NewNotification};

use crate::targets::Targets;

/// The webhook that stands for the account's event bus.
pub(crate) const EVENT_BRIDGE: &str = "event-bridge";

impl Notify for Targets {
    fn refused(&self, bucket: &Bucket, notification: &Notification) -> Vec<(String, String)> {
        let refused = |rule: &NotificationRule| Some((rule.target.clone(), self.why_not(bucket, rule)?));
        notification.rules.iter().filter_map(refused).collect()
    }

    fn follow(
        &self,
        tx: &mut Tx<'_>,
        bucket: &Bucket,
        notification: Option<&Notification>,
        greet: bool,
    ) -> cosette_store::Result<()> {
        let rules = notification.map(|notification| notification.rules.as_slice()).unwrap_or_default();
        let mut new: Vec<_> = rules.iter().filter_map(|rule| configuration(bucket, rule, greet)).collect();
        let bus = Target::Webhook { webhook: EVENT_BRIDGE.to_owned() };
        if notification.is_some_and(|notification| notification.event_bridge) && self.describe(&bus).is_some()
        {
            new.push(NewNotification {
                configuration: Configuration {
                    id: EVENT_BRIDGE.to_owned(),
                    owner: bucket.owner_uin.clone(),
                    greets: false,
                },
                events: Events::S3(vec!["s3:*".to_owned()]),
                prefix: String::new(),
                suffix: String::new(),
                target: bus,
                style: Style::EventBridge,
            });
        }
        cosette_trigger::notify(tx, bucket, new)
    }
}

impl Targets {
    /// Why nothing can be sent to a configuration's target, if so.
    fn why_not(&self, bucket: &Bucket, rule: &NotificationRule) -> Option<String> {
        let kind = match rule.kind {
            NotificationKind::Topic => "topic",
            NotificationKind::Queue => "queue",
            NotificationKind::Function => "function",
        };
        let missing = Some(format!("The destination {kind} does not exist"));
        let Some(target) = target(bucket, rule) else { return missing };
        if self.describe(&target).is_some() {
            return None;
        }
        let anywhere = match target {
            Target::Function(function) => FunctionRef { region: String::new(), ..function }.into(),
            other => other,
        };
        if self.describe(&anywhere).is_some() {
            let why =
                "The notification destination service region is not valid for the bucket location constraint";
            return Some(why.to_owned());
        }
        missing
    }
}

/// What an ARN means, whether or not it is there. Its account is the bucket owner's, by UIN or by APPID; its region
/// says nothing, as that of a signature does not: a client of S3 often knows none of ours.
fn target(bucket: &Bucket, rule: &NotificationRule) -> Option<Target> {
    let parts: Vec<&str> = rule.target.splitn(6, ':').collect();
    let [_, _, _, _, account, resource] = parts[..] else { return None };
    if account != bucket.owner_uin && account != bucket.owner_appid {
        return None;
    }
    match rule.kind {
        NotificationKind::Topic | NotificationKind::Queue => {
            Some(Target::Webhook { webhook: resource.to_owned() })
        }
        NotificationKind::Function => {
            let (name, qualifier) = match resource.strip_prefix("function:")?.split_once(':') {
                Some((name, qualifier)) => (name, qualifier),
                None => (resource.strip_prefix("function:")?, "$LATEST"),
            };
            let (name, qualifier) = (name.to_owned(), qualifier.to_owned());
            let (appid, region) = (bucket.owner_appid.clone(), bucket.region.to_string());
            let namespace = DEFAULT_NAMESPACE.to_owned();
            Some(FunctionRef { appid, region, namespace, name, qualifier, routed: None }.into())
        }
    }
}

/// The rule that a configuration is; none if its target could never be.
fn configuration(bucket: &Bucket, rule: &NotificationRule, greet: bool) -> Option<NewNotification> {
    let filter = rule.filter.clone().unwrap_or_default();
    Some(NewNotification {
        configuration: Configuration {
            id: rule.id.clone(),
            owner: bucket.owner_uin.clone(),
            // As S3 has it, functions are not.
            greets: greet && rule.kind != NotificationKind::Function,
        },
        events: Events::S3(rule.events.clone()),
        prefix: filter.prefix.unwrap_or_default(),
        suffix: filter.suffix.unwrap_or_default(),
        target: target(bucket, rule)?,
        style: Style::S3,
    })
}
