//! Service and bucket operations.

use std::ops::RangeBounds;

use cosette_model::op::{self, Context, Listing, ObjectOwnership, Op, Owner, reply};
use cosette_model::setting::ObjectLock;
use cosette_model::{Error, ErrorCode, Setting, SettingName, Tags, Timestamp, Versioning};
use cosette_store::{Bucket, NewBucket, Page, Tx, View};

use crate::access::{Admitted, Rules, Scene, account, acl, also, rules};
use crate::error::{Failure, Result};
use crate::owners::Owners;
use crate::setting::request_tags;
use crate::{Ops, restore};

impl Ops {
    pub(crate) fn list_buckets(&self, context: &Context, ask: op::ListBuckets) -> Result<reply::ListBuckets> {
        let account = account(context)?;
        let region = ask.region.as_ref().or(context.region.as_ref());
        let place = region.unwrap_or(&self.default_region).as_str();
        self.within_session_anywhere(context, Op::ListBuckets, None, place)?;
        let mut buckets: Vec<_> = self
            .store
            .buckets()?
            .into_iter()
            .filter(|bucket| bucket.owner_uin == account.uin)
            .filter(|bucket| region.is_none_or(|region| *region == bucket.region))
            .filter(|bucket| ask.prefix.as_ref().is_none_or(|p| bucket.name.as_str().starts_with(p.as_str())))
            .filter(|bucket| ask.after.as_ref().is_none_or(|after| bucket.name.as_str() > after.as_str()))
            .filter(|bucket| ask.created.is_none_or(|span| span.contains(&bucket.created.as_secs())))
            .collect();
        if let Some((key, value)) = &ask.tag {
            let mut tagged = Vec::new();
            for bucket in buckets {
                let tags: Option<Tags> = self.setting(&bucket.name)?;
                if tags.is_some_and(|tags| tags.into_map().get(key) == Some(value)) {
                    tagged.push(bucket);
                }
            }
            buckets = tagged;
        }
        let mut buckets: Vec<_> = buckets
            .into_iter()
            .map(|bucket| reply::BucketEntry {
                name: bucket.name,
                region: bucket.region,
                created: bucket.created,
            })
            .collect();
        let max = ask.max.map_or(usize::MAX, |max| max as usize);
        let more = buckets.len() > max;
        buckets.truncate(max);
        Ok(reply::ListBuckets {
            owner: Owner {
                uin: account.uin.clone(),
                appid: account.appid.clone(),
                name: account.name.clone(),
            },
            next: buckets.last().filter(|_| more).map(|last| last.name.as_str().to_owned()),
            buckets,
            prefix: ask.prefix,
            marker: ask.after,
        })
    }

    pub(crate) async fn create_bucket(
        &self,
        context: &Context,
        ask: op::CreateBucket,
    ) -> Result<reply::CreateBucket> {
        let account = account(context)?;
        let region =
            ask.region.or_else(|| context.region.clone()).unwrap_or_else(|| self.default_region.clone());
        let mut facts = ask.tags.as_ref().map(request_tags).unwrap_or_default();
        facts.push(("locationconstraint".to_owned(), vec![region.as_str().to_owned()]));
        let context = &also(context, facts);
        self.within_session_anywhere(context, Op::CreateBucket, Some(&ask.bucket), region.as_str())?;
        let list = acl::asked(&ask.acl, &account.uin, &account.uin, context.policy.acl_adds_up)?;
        if ask.ownership == Some(ObjectOwnership::BucketOwnerEnforced) && list.is_some() {
            return Err(ErrorCode::InvalidBucketAclWithObjectOwnership.into());
        }
        let tags = ask.tags.map(Setting::Tagging);
        let lock = ask.object_lock.then(|| Setting::ObjectLock(ObjectLock::default()));
        let encoded = |setting: Option<Setting>| {
            setting.map(|setting| setting.encode()).transpose().map_err(Error::internal)
        };
        let tags = (SettingName::Tagging.row(), encoded(tags)?);
        let new = NewBucket {
            name: ask.bucket,
            region: region.clone(),
            owner: Owner {
                uin: account.uin.clone(),
                appid: account.appid.clone(),
                name: account.name.clone(),
            },
            versioning: if ask.object_lock { Versioning::Enabled } else { Versioning::Off },
            settings: vec![
                tags.clone(),
                (SettingName::ObjectLock.row(), encoded(lock)?),
                (rules::ACL, rules::row(list.as_ref())?),
                (rules::OWNERSHIP, rules::row(ask.ownership.as_ref())?),
            ],
            most: context.policy.buckets_max,
        };
        let (asked, acl) = (context.clone(), ask.acl);
        // Made again it gets the list and the tags that are asked for, and nothing else changes.
        let again = move |view: &View| {
            let bucket = &view.bucket;
            if asked.identity.account().is_none_or(|account| account.uin != bucket.owner_uin) {
                return Err(Failure::from(ErrorCode::BucketAlreadyExists));
            }
            let may = asked.policy.create_again_region == Some(region.as_str());
            if !may || bucket.region != region {
                return Err(ErrorCode::BucketAlreadyOwnedByYou.into());
            }
            let scene = Scene { context: &asked, bucket, rules: &Rules::of(view)?, object: None };
            scene.decide(Op::PutBucketAcl, (&bucket.name).into())?;
            let list = scene.checked_acl(&acl, &bucket.owner_uin)?;
            let mut settings = vec![(rules::ACL, rules::row(list.as_ref())?)];
            settings.extend(tags.1.is_some().then_some(tags));
            Ok(settings)
        };
        let bucket = self.store.create_bucket_with(new, context.cause.clone(), again).await?;
        Ok(reply::CreateBucket { bucket: bucket.name })
    }

    pub(crate) fn head_bucket(&self, context: &Context, ask: op::HeadBucket) -> Result<reply::HeadBucket> {
        Ok(reply::HeadBucket { region: self.admit(context, Op::HeadBucket, &ask.bucket)?.region })
    }

    pub(crate) fn bucket_location(
        &self,
        context: &Context,
        ask: op::GetBucketLocation,
    ) -> Result<reply::GetBucketLocation> {
        Ok(reply::GetBucketLocation {
            region: self.admit(context, Op::GetBucketLocation, &ask.bucket)?.region,
        })
    }

    pub(crate) async fn delete_bucket(
        &self,
        context: &Context,
        ask: op::DeleteBucket,
    ) -> Result<reply::DeleteBucket> {
        let bucket = self.admit(context, Op::DeleteBucket, &ask.bucket)?;
        let with_uploads = !context.policy.uploads_keep_bucket;
        let notify = self.notify.clone();
        let also = move |tx: &mut Tx<'_>, bucket: &Bucket| match notify {
            Some(notify) => notify.follow(tx, bucket, None, false),
            None => Ok(()),
        };
        self.store.delete_bucket_and(bucket, with_uploads, context.cause.clone(), also).await?;
        Ok(reply::DeleteBucket {})
    }

    pub(crate) fn list_objects(&self, context: &Context, ask: op::ListObjects) -> Result<reply::ListObjects> {
        let Admitted { bucket, rules, .. } = self.admit_to(context, Op::ListObjects, &ask.bucket)?;
        let owners = Owners::new(self, &bucket, &rules);
        Ok(reply::ListObjects {
            page: self.page(context.now, &bucket, &ask.listing, Some(owners))?,
            region: bucket.region,
            bucket: ask.bucket,
            listing: ask.listing,
            url_encode: ask.url_encode,
        })
    }

    pub(crate) fn list_objects_v2(
        &self,
        context: &Context,
        ask: op::ListObjectsV2,
    ) -> Result<reply::ListObjectsV2> {
        let Admitted { bucket, rules, .. } = self.admit_to(context, Op::ListObjectsV2, &ask.bucket)?;
        let owners = ask.fetch_owner.then(|| Owners::new(self, &bucket, &rules));
        Ok(reply::ListObjectsV2 {
            page: self.page(context.now, &bucket, &ask.listing, owners)?,
            region: bucket.region,
            bucket: ask.bucket,
            listing: ask.listing,
            continuation_token: ask.continuation_token,
            start_after: ask.start_after,
            url_encode: ask.url_encode,
        })
    }

    fn page(
        &self,
        now: Timestamp,
        bucket: &Bucket,
        listing: &Listing,
        mut owners: Option<Owners<'_>>,
    ) -> Result<reply::Page> {
        let Page { objects, common_prefixes, next } = self.store.list_objects(&bucket.name, listing)?;
        let tiers = self.tiers_for(&bucket.name, objects.iter().map(|(_, object)| object))?;
        let objects = objects
            .into_iter()
            .map(|(key, object)| reply::Entry {
                tier: self.tier_of_listed(bucket, &tiers, (&key, &object), now),
                key,
                restore: restore::of_summary(&object, now),
                owner: owners.as_mut().map(|owners| owners.of(object.owner.as_deref())),
                modified: object.modified,
                etag: object.etag,
                size: object.size,
                storage_class: object.storage_class,
            })
            .collect();
        Ok(reply::Page { objects, common_prefixes, next })
    }
}
