//! Settings of buckets: read, set, removed, listed.

use cosette_model::op::{self, Context, reply};
use cosette_model::setting::Kept;
use cosette_model::{BucketName, Error, Setting, SettingName, Tags};
use cosette_store::View;

use crate::Ops;
use crate::access::also;
use crate::error::{Failure, Result};
use crate::fitting;

/// Most on one page of a list (both services); COS lists the rules of intelligent tiering on one page.
const fn page_max(name: SettingName) -> usize {
    if matches!(name, SettingName::IntelligentTiering) { SettingName::MOST } else { 100 }
}

/// Where the last of several stands.
fn last(seen: &View, name: SettingName) -> Result<u64> {
    let name = if name == SettingName::DefaultTiering { SettingName::IntelligentTiering } else { name };
    let mut last = 0;
    for row in seen.settings(&name.row_of(Some(""))) {
        let setting = name.decode(row).map_err(Error::internal)?;
        last = setting.made().unwrap_or(0).max(last);
    }
    Ok(last)
}

impl Ops {
    /// A setting of a bucket that exists.
    pub(crate) fn setting<S: Kept>(&self, bucket: &BucketName) -> Result<Option<S>> {
        Ok(self.kept(bucket, S::NAME, None)?.and_then(S::of))
    }

    fn kept(&self, bucket: &BucketName, name: SettingName, id: Option<&str>) -> Result<Option<Setting>> {
        let Some(bytes) = self.store.setting(bucket, &name.row_of(id))? else { return Ok(None) };
        Ok(Some(name.decode(&bytes).map_err(Error::internal)?))
    }

    pub(crate) async fn put_setting(
        &self,
        context: &Context,
        ask: op::PutSetting,
    ) -> Result<reply::PutSetting> {
        let op::PutSetting { bucket, name, setting, unchecked } = ask;
        let tagged = match &setting {
            Some(Setting::Tagging(tags)) => Some(also(context, request_tags(tags))),
            _ => None,
        };
        let context = tagged.as_ref().unwrap_or(context);
        let bucket = self.admit(context, name.put(), &bucket)?;
        let cause = context.cause.clone();
        if name == SettingName::Notification {
            return self.put_notification(context, bucket, setting, unchecked).await;
        }
        let Some(setting) = setting else {
            self.store.set_setting(bucket, name.row(), None, cause).await?;
            return Ok(reply::PutSetting { name, small: None });
        };
        if let Setting::Domain(domains) = setting {
            return self.put_domains(context, bucket, domains).await;
        }
        self.check_others(context, &bucket, &setting)?;
        let small = match &setting {
            Setting::Lifecycle(rules) => Some(rules.small),
            _ => None,
        };
        let (row, policy) = (name.row_of(setting.id()).into_owned(), context.policy);
        self.store
            .revise_setting(bucket, row.clone(), cause, move |seen| {
                let before = seen.setting(&row).map(|kept| name.decode(kept)).transpose();
                let before = before.map_err(Error::internal)?;
                fitting::check(seen, &policy, &setting, before.as_ref())?;
                let mut setting = setting;
                if setting.made().is_some() {
                    setting.make(match before.and_then(|before| before.made()) {
                        Some(place) => place,
                        None => last(seen, name)? + 1,
                    });
                }
                Ok::<_, Failure>(Some(setting.encode().map_err(Error::internal)?))
            })
            .await?;
        Ok(reply::PutSetting { name, small })
    }

    pub(crate) fn get_setting(&self, context: &Context, ask: op::GetSetting) -> Result<reply::GetSetting> {
        let bucket = self.admit(context, ask.name.get(), &ask.bucket)?;
        match (self.kept(&bucket.name, ask.name, ask.id.as_deref())?, ask.name.missing()) {
            (None, Some(code)) => Err(Error::new(code).detail("BucketName", bucket.name.as_str()).into()),
            (setting, _) => Ok(reply::GetSetting { name: ask.name, setting }),
        }
    }

    /// Removing what is not set succeeds, but for one of several on S3.
    pub(crate) async fn delete_setting(
        &self,
        context: &Context,
        ask: op::DeleteSetting,
    ) -> Result<reply::DeleteSetting> {
        let name = ask.name;
        let bucket = self.admit(context, name.delete().unwrap_or(name.put()), &ask.bucket)?;
        let (row, policy) = (name.row_of(ask.id.as_deref()).into_owned(), context.policy);
        self.store
            .revise_setting(bucket, row.clone(), context.cause.clone(), move |seen| {
                let before = seen.setting(&row).map(|kept| name.decode(kept)).transpose();
                fitting::check_removal(name, &policy, before.map_err(Error::internal)?.as_ref())?;
                Ok::<_, Failure>(None)
            })
            .await?;
        Ok(reply::DeleteSetting { name })
    }

    /// A page of those a bucket has several of, in the order in which they were made.
    pub(crate) fn list_settings(
        &self,
        context: &Context,
        ask: op::ListSettings,
    ) -> Result<reply::ListSettings> {
        let name = ask.name;
        let bucket = self.admit(context, name.list().unwrap_or(name.get()), &ask.bucket)?;
        let rows = self.store.settings(&bucket.name, &name.row_of(Some("")))?;
        let decoded = rows.iter().map(|row| name.decode(row)).collect::<std::result::Result<Vec<_>, _>>();
        let mut settings = decoded.map_err(Error::internal)?;
        settings.retain(|setting| setting.made() > ask.after);
        settings.sort_by_key(Setting::made);
        let more = settings.len() > page_max(name);
        settings.truncate(page_max(name));
        let next = if more { settings.last().and_then(Setting::made) } else { None };
        Ok(reply::ListSettings { name, settings, after: ask.after, next })
    }
}

/// What conditions may ask of the tags that a bucket is to have.
pub(crate) fn request_tags(tags: &Tags) -> Vec<(String, Vec<String>)> {
    let mut facts: Vec<_> =
        tags.iter().map(|(key, value)| (format!("requesttag/{key}"), vec![value.to_owned()])).collect();
    facts.push(("tagkeys".to_owned(), tags.iter().map(|(key, _)| key.to_owned()).collect()));
    facts
        .push(("request_tag".to_owned(), tags.iter().map(|(key, value)| format!("{key}&{value}")).collect()));
    facts
}
