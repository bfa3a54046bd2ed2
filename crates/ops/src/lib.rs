//! One handler per operation: from a typed [`Call`] to a typed [`Reply`], over the store.
//!
//! No XML, no header names, no dialect: where the two services differ in meaning, the
//! [`Context`]'s policy says how.

mod access;
mod acl;
mod append;
mod body;
mod bucket;
mod checksum;
mod completed;
mod copy;
mod cors;
mod domain;
mod encryption;
mod error;
mod fitting;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod inventory;
mod lifecycle;
mod lock;
mod logging;
mod multipart;
mod notification;
mod object;
mod origin;
mod owners;
mod parts;
mod policy;
mod post;
mod reach;
mod referer;
mod restore;
mod select;
mod setting;
mod symlink;
mod tagging;
#[cfg(test)]
mod tests;
mod tiering;
mod version;
mod website;

use std::sync::Arc;

pub use access::session::SessionPolicy;
use cosette_model::host::Reserved;
use cosette_model::op::{Call, Context, Owner, Reply};
use cosette_model::{Day, Error, Origins, Region};
use cosette_store::Store;
pub use notification::Notify;
use tokio::sync::Semaphore;

/// The handlers and what they work on; cheap to clone.
#[derive(Clone)]
pub struct Ops {
    store: Store,
    default_region: Region,
    /// The accounts there are, for the names of owners.
    owners: Arc<[Owner]>,
    /// The day that lifecycle rules count in.
    day: Day,
    domains: Arc<domain::Table>,
    /// Turns at queries.
    queries: Arc<Semaphore>,
    /// Who acts on notifications.
    notify: Option<Arc<dyn Notify>>,
    fetching: origin::Fetching,
    /// Names that no bucket can have.
    reserved: Reserved,
}

impl Ops {
    pub fn new(store: Store, default_region: Region, owners: Vec<Owner>) -> Self {
        Self {
            store,
            default_region,
            owners: owners.into(),
            day: Day::default(),
            domains: Arc::default(),
            queries: Arc::new(Semaphore::new(select::QUERIES_MAX)),
            notify: None,
            fetching: origin::Fetching::default(),
            reserved: Reserved::default(),
        }
    }

    /// With somebody who acts on buckets' notifications; without, they are kept and no more.
    #[must_use]
    pub fn with_notify(self, notify: Arc<dyn Notify>) -> Self {
        Self { notify: Some(notify), ..self }
    }

    /// With who asks origins; without, their rules are kept and no more.
    #[must_use]
    pub fn with_origins(self, origins: Arc<dyn Origins>) -> Self {
        Self { fetching: origin::Fetching::by(origins), ..self }
    }

    /// With the names that the server is called by, which no bucket is bound to.
    #[must_use]
    pub fn with_reserved(self, reserved: Reserved) -> Self {
        Self { reserved, ..self }
    }

    /// With another day than that of 24 hours.
    #[must_use]
    pub fn with_day(self, day: Day) -> Self {
        Self { day, ..self }
    }

    /// Carries out one call. Everything that can go wrong is in the error's code.
    pub async fn handle(&self, context: &Context, call: Call) -> Result<Reply, Error> {
        self.reply(context, call).await.map_err(|failure| failure.0)
    }

    async fn reply(&self, context: &Context, call: Call) -> error::Result<Reply> {
        Ok(match call {
            Call::ListBuckets(ask) => Reply::ListBuckets(self.list_buckets(context, ask)?),
            Call::CreateBucket(ask) => Reply::CreateBucket(self.create_bucket(context, ask).await?),
            Call::HeadBucket(ask) => Reply::HeadBucket(self.head_bucket(context, ask)?),
            Call::DeleteBucket(ask) => Reply::DeleteBucket(self.delete_bucket(context, ask).await?),
            Call::GetBucketLocation(ask) => Reply::GetBucketLocation(self.bucket_location(context, ask)?),
            Call::ListObjects(ask) => Reply::ListObjects(self.list_objects(context, ask)?),
            Call::ListObjectsV2(ask) => Reply::ListObjectsV2(self.list_objects_v2(context, ask)?),
            Call::PutBucketAcl(ask) => Reply::PutBucketAcl(self.put_bucket_acl(context, ask).await?),
            Call::GetBucketAcl(ask) => Reply::GetBucketAcl(self.bucket_acl(context, ask)?),
            Call::PutObjectAcl(ask) => Reply::PutObjectAcl(self.put_object_acl(context, ask).await?),
            Call::GetObjectAcl(ask) => Reply::GetObjectAcl(self.object_acl(context, ask)?),
            Call::PutBucketPolicy(ask) => Reply::PutBucketPolicy(self.put_bucket_policy(context, ask).await?),
            Call::GetBucketPolicy(ask) => Reply::GetBucketPolicy(self.bucket_policy(context, ask)?),
            Call::DeleteBucketPolicy(ask) => {
                Reply::DeleteBucketPolicy(self.delete_bucket_policy(context, ask).await?)
            }
            Call::GetBucketPolicyStatus(ask) => {
                Reply::GetBucketPolicyStatus(self.policy_status(context, ask)?)
            }
            Call::PutPublicAccessBlock(ask) => {
                Reply::PutPublicAccessBlock(self.put_public_access_block(context, ask).await?)
            }
            Call::GetPublicAccessBlock(ask) => {
                Reply::GetPublicAccessBlock(self.public_access_block(context, ask)?)
            }
            Call::DeletePublicAccessBlock(ask) => {
                Reply::DeletePublicAccessBlock(self.delete_public_access_block(context, ask).await?)
            }
            Call::PutBucketOwnershipControls(ask) => {
                Reply::PutBucketOwnershipControls(self.put_ownership(context, ask).await?)
            }
            Call::GetBucketOwnershipControls(ask) => {
                Reply::GetBucketOwnershipControls(self.ownership(context, ask)?)
            }
            Call::DeleteBucketOwnershipControls(ask) => {
                Reply::DeleteBucketOwnershipControls(self.delete_ownership(context, ask).await?)
            }
            Call::PostObject(ask) => Reply::PostObject(self.post_object(context, ask).await?),
            Call::RestoreObject(ask) => Reply::RestoreObject(self.restore_object(context, ask).await?),
            Call::SelectObjectContent(ask) => Reply::SelectObjectContent(self.select(context, ask).await?),
            Call::PutObjectRetention(ask) => {
                Reply::PutObjectRetention(self.put_retention(context, ask).await?)
            }
            Call::GetObjectRetention(ask) => Reply::GetObjectRetention(self.get_retention(context, ask)?),
            Call::PutObjectLegalHold(ask) => {
                Reply::PutObjectLegalHold(self.put_legal_hold(context, ask).await?)
            }
            Call::GetObjectLegalHold(ask) => Reply::GetObjectLegalHold(self.get_legal_hold(context, ask)?),
            Call::PutObject(ask) => Reply::PutObject(self.put_object(context, ask).await?),
            Call::GetObject(ask) => self.get_or_fetch(context, ask).await?,
            Call::HeadObject(ask) => self.head_or_redirect(context, ask)?,
            Call::DeleteObject(ask) => Reply::DeleteObject(self.delete_object(context, ask).await?),
            Call::DeleteObjects(ask) => Reply::DeleteObjects(self.delete_objects(context, ask).await?),
            Call::PutBucketVersioning(ask) => {
                Reply::PutBucketVersioning(self.put_versioning(context, ask).await?)
            }
            Call::GetBucketVersioning(ask) => Reply::GetBucketVersioning(self.get_versioning(context, ask)?),
            Call::ListObjectVersions(ask) => Reply::ListObjectVersions(self.list_versions(context, ask)?),
            Call::CopyObject(ask) => Reply::CopyObject(self.copy_object(context, ask).await?),
            Call::UploadPartCopy(ask) => Reply::UploadPartCopy(self.upload_part_copy(context, ask).await?),
            Call::AppendObject(ask) => Reply::AppendObject(self.append_object(context, ask).await?),
            Call::PutSymlink(ask) => Reply::PutSymlink(self.put_symlink(context, ask).await?),
            Call::GetSymlink(ask) => Reply::GetSymlink(self.get_symlink(context, ask)?),
            Call::GetObjectAttributes(ask) => {
                Reply::GetObjectAttributes(self.object_attributes(context, ask)?)
            }
            Call::CreateMultipartUpload(ask) => {
                Reply::CreateMultipartUpload(self.create_upload(context, ask).await?)
            }
            Call::UploadPart(ask) => Reply::UploadPart(self.upload_part(context, ask).await?),
            Call::ListParts(ask) => Reply::ListParts(self.list_parts(context, ask)?),
            Call::ListMultipartUploads(ask) => Reply::ListMultipartUploads(self.list_uploads(context, ask)?),
            Call::CompleteMultipartUpload(ask) => {
                Reply::CompleteMultipartUpload(self.complete_upload(context, ask).await?)
            }
            Call::AbortMultipartUpload(ask) => {
                Reply::AbortMultipartUpload(self.abort_upload(context, ask).await?)
            }
            Call::PutObjectTagging(ask) => {
                Reply::PutObjectTagging(self.put_object_tagging(context, ask).await?)
            }
            Call::GetObjectTagging(ask) => Reply::GetObjectTagging(self.get_object_tagging(context, ask)?),
            Call::DeleteObjectTagging(ask) => {
                Reply::DeleteObjectTagging(self.delete_object_tagging(context, ask).await?)
            }
            Call::ServeWebsite(ask) => Reply::ServeWebsite(self.serve_website(context, ask)?),
            Call::OptionsObject(ask) => Reply::OptionsObject(self.options(context, ask)?),
            Call::PostBucketInventory(ask) => {
                Reply::PostBucketInventory(self.post_inventory(context, ask).await?)
            }
            Call::PutSetting(ask) => Reply::PutSetting(self.put_setting(context, ask).await?),
            Call::GetSetting(ask) => Reply::GetSetting(self.get_setting(context, ask)?),
            Call::DeleteSetting(ask) => Reply::DeleteSetting(self.delete_setting(context, ask).await?),
            Call::ListSettings(ask) => Reply::ListSettings(self.list_settings(context, ask)?),
        })
    }
}
