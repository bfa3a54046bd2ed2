//! Objects that are not here but at an origin (cos-api 6.1): which rule a failed read falls under, and what
//! is done by it.

mod fetch;
mod plan;
mod reader;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;

use std::sync::Arc;

use cosette_model::op::reply::{FromOrigin, Location};
use cosette_model::op::{self, Context, Reply};
use cosette_model::setting::{Kept, Origin, OriginKind, OriginRule};
use cosette_model::{
    BucketName, ByteRange, Error, ErrorCode, ObjectKey, OriginRequest, OriginUrl, Sent, SettingName,
};
use cosette_store::{Bucket, View};

use crate::Ops;
use crate::error::{Failure, Result};
pub(crate) use fetch::Fetching;
use fetch::{Answered, Ended, Joining, Refused, State};
use plan::Plan;

/// Up to this size, in bytes, an object is answered once it is stored, with all that is known of it then. A larger one
/// goes to the client while it comes.
const WAITED_FOR_MAX: u64 = 1 << 20;

impl Ops {
    pub(crate) async fn get_or_fetch(&self, context: &Context, ask: op::GetObject) -> Result<Reply> {
        let Some(view) = self.origins_of(&ask.bucket)? else {
            return Ok(Reply::GetObject(self.get_object(context, ask)?));
        };
        match self.get_object(context, ask.clone()) {
            Ok(found) => Ok(Reply::GetObject(found)),
            // Rare and large: every request would carry it along.
            Err(failure) => Box::pin(self.by_rule(context, &view, ask, failure)).await,
        }
    }

    /// A HEAD makes nobody fetch; it may be sent elsewhere (guide 436/31508).
    pub(crate) fn head_or_redirect(&self, context: &Context, ask: op::HeadObject) -> Result<Reply> {
        let Some(view) = self.origins_of(&ask.bucket)? else {
            return Ok(Reply::HeadObject(self.head_object(context, ask)?));
        };
        let (key, versioned, sent) = (ask.key.clone(), ask.version.is_some(), ask.sent.clone());
        let failure = match self.head_object(context, ask) {
            Ok(found) => return Ok(Reply::HeadObject(found)),
            Err(failure) => failure,
        };
        let missing = !versioned && self.is_missing(&view.bucket, &key, &failure)?;
        match rule_for(&view, &key, &failure, missing)? {
            Some(rule) if rule.kind == OriginKind::Redirect => {
                let plan = Plan::of(&rule, &key, sent.as_deref(), 0).ok_or(failure)?;
                Ok(elsewhere(&rule, plan))
            }
            _ => Err(failure),
        }
    }

    /// The bucket, if it has rules.
    fn origins_of(&self, bucket: &BucketName) -> Result<Option<Arc<View>>> {
        let has = |view: &Arc<View>| view.setting(&SettingName::Origin.row_of(None)).is_some();
        Ok(self.find_view(bucket)?.filter(has).filter(|_| self.fetching.can()))
    }

    /// Whether it failed for want of just this object.
    fn is_missing(&self, bucket: &Bucket, key: &ObjectKey, failure: &Failure) -> Result<bool> {
        Ok(failure.0.code == ErrorCode::NoSuchKey && self.store.object_of(bucket, key, None).is_err())
    }

    async fn by_rule(
        &self,
        context: &Context,
        view: &View,
        ask: op::GetObject,
        failure: Failure,
    ) -> Result<Reply> {
        let missing = ask.version.is_none() && self.is_missing(&view.bucket, &ask.key, &failure)?;
        let Some(rule) = rule_for(view, &ask.key, &failure, missing)? else { return Err(failure) };
        let sent = ask.sent.clone();
        let plan = Plan::of(&rule, &ask.key, sent.as_deref(), self.fetching.turn());
        let Some(plan) = plan else { return Err(failure) };
        match rule.kind {
            OriginKind::Redirect => Ok(elsewhere(&rule, plan)),
            OriginKind::Proxy if !plan.store => Ok(elsewhere(&rule, plan)),
            OriginKind::Proxy => {
                match fetch::join(self, context, &view.bucket, &ask.key, &plan, sent.as_deref()) {
                    Joining::Joined(_) | Joining::Full => Ok(elsewhere(&rule, plan)),
                    Joining::Here => Ok(Reply::GetObject(self.get_object(context, ask)?)),
                    Joining::Circle => Err(failure),
                }
            }
            OriginKind::Mirror => self.mirror(context, &view.bucket, ask, plan, failure).await,
        }
    }

    async fn mirror(
        &self,
        context: &Context,
        bucket: &Bucket,
        ask: op::GetObject,
        plan: Plan,
        failure: Failure,
    ) -> Result<Reply> {
        let sent = ask.sent.clone();
        if !plan.store {
            return self.pass(&plan, &ask, sent.as_deref(), failure).await;
        }
        let mut joined = match fetch::join(self, context, bucket, &ask.key, &plan, sent.as_deref()) {
            Joining::Joined(joined) => joined,
            Joining::Here => return Ok(Reply::GetObject(self.get_object(context, ask)?)),
            Joining::Circle => return Err(failure),
            Joining::Full => return Err(ErrorCode::SlowDown.into()),
        };
        // What it asks for is decided on what is stored.
        let conditional = ask.if_range.is_some()
            || ask.part.is_some()
            || ask.customer.is_some()
            || ask.conditions.if_match.is_some()
            || ask.conditions.if_none_match.is_some()
            || ask.conditions.if_modified_since.is_some()
            || ask.conditions.if_unmodified_since.is_some();
        if ask.range.is_some() && !conditional {
            // The whole is fetched besides (guide 436/31508).
            return self.pass(&plan, &ask, sent.as_deref(), failure).await;
        }
        loop {
            match joined.state() {
                State::Coming { attributes, length }
                    if joined.from_start
                        && !conditional
                        && length.is_none_or(|length| length > WAITED_FOR_MAX) =>
                {
                    let (bucket, key) = (bucket.name.clone(), ask.key.clone());
                    return Ok(Reply::FromOrigin(FromOrigin::Body {
                        attributes: Box::new((*attributes).clone()),
                        overrides: Box::new(ask.overrides),
                        length,
                        content_range: None,
                        body: reader::reader(self.store.clone(), bucket, key, joined),
                    }));
                }
                State::Done(Ended::Stored(_) | Ended::Overtaken) => {
                    return Ok(Reply::GetObject(self.get_object(context, ask)?));
                }
                State::Done(Ended::Not(answered)) => return answered.reply(failure),
                State::Asking | State::Coming { .. } => joined.changed().await?,
            }
        }
    }

    /// The origin's answer for this client alone; nothing is stored of it.
    async fn pass(
        &self,
        plan: &Plan,
        ask: &op::GetObject,
        sent: Option<&dyn Sent>,
        failure: Failure,
    ) -> Result<Reply> {
        let Some(via) = self.fetching.via(sent, None) else { return Err(failure) };
        match self.fetching.ask(plan, ask.range, via).await {
            Ok(answer) => Ok(Reply::FromOrigin(FromOrigin::Body {
                attributes: Box::new(answer.attributes),
                overrides: Box::new(ask.overrides.clone()),
                length: answer.length,
                content_range: answer.content_range.filter(|_| answer.status == 206),
                body: answer.body,
            })),
            Err(answered) => answered.reply(failure),
        }
    }
}

impl Answered {
    /// `failure`: what is answered where the origin has it neither.
    fn reply(self, failure: Failure) -> Result<Reply> {
        match self {
            Self::Missing => Err(failure),
            Self::Elsewhere { status, location } => {
                let location = Location::Told(location);
                Ok(Reply::FromOrigin(FromOrigin::Elsewhere { status, location }))
            }
            Self::Refused(refused) => Err(refused.into()),
        }
    }
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        let Refused { code, status, why } = refused;
        Error { status, ..Error::with(code, why) }.into()
    }
}

/// The first rule that covers the failure.
fn rule_for(view: &View, key: &ObjectKey, failure: &Failure, missing: bool) -> Result<Option<OriginRule>> {
    let Some(bytes) = view.setting(&SettingName::Origin.row_of(None)) else { return Ok(None) };
    if failure.0.code == ErrorCode::NoSuchBucket {
        // It is in another region than the one that was asked.
        return Ok(None);
    }
    let setting = SettingName::Origin.decode(bytes).map_err(Error::internal)?;
    let status = failure.0.code.status();
    Ok(Origin::of(setting).and_then(|origin| {
        origin.rules.into_iter().find(|rule| {
            let condition = &rule.condition;
            let wanted = condition.status.unwrap_or(404);
            wanted == status
                && (rule.kind == OriginKind::Redirect || missing)
                && condition.prefix.as_ref().is_none_or(|prefix| key.as_str().starts_with(prefix.as_str()))
                && condition.suffix.as_ref().is_none_or(|suffix| key.as_str().ends_with(suffix.as_str()))
        })
    }))
}

fn elsewhere(rule: &OriginRule, plan: Plan) -> Reply {
    let status = rule.parameter.redirect_code.unwrap_or(302);
    let location = Location::Made(plan.url);
    Reply::FromOrigin(FromOrigin::Elsewhere { status, location })
}

/// A request to one of the hosts of a plan.
fn request(plan: &Plan, url: &OriginUrl, range: Option<ByteRange>, via: &str) -> OriginRequest {
    OriginRequest {
        url: url.clone(),
        headers: plan.headers.clone(),
        range,
        on_redirection: plan.on_redirection,
        via: via.to_owned(),
    }
}
