//! Tags of objects.

use cosette_model::op::{self, Context, Op, reply};
use cosette_model::{BucketName, ObjectKey, Tags, VersionId};
use cosette_store::{Bucket, Error as StoreError, Object, ReviseObject};

use crate::Ops;
use crate::error::Result;
use crate::version::shown_version;

impl Ops {
    pub(crate) async fn put_object_tagging(
        &self,
        context: &Context,
        ask: op::PutObjectTagging,
    ) -> Result<reply::PutObjectTagging> {
        let bucket = self.admit(context, Op::PutObjectTagging, (&ask.bucket, &ask.key, &ask.version))?;
        let object = self.retag(context, &bucket, ask.key, ask.version, ask.tags).await?;
        Ok(reply::PutObjectTagging { version: shown_version(&bucket, object.version) })
    }

    pub(crate) fn get_object_tagging(
        &self,
        context: &Context,
        ask: op::GetObjectTagging,
    ) -> Result<reply::GetObjectTagging> {
        let bucket = self.admit(context, Op::GetObjectTagging, (&ask.bucket, &ask.key, &ask.version))?;
        let object = self.store.object(&bucket.name, &ask.key, ask.version.as_ref())?;
        Ok(reply::GetObjectTagging {
            version: shown_version(&bucket, object.version),
            tags: Tags::stored(object.properties.tags),
        })
    }

    pub(crate) async fn delete_object_tagging(
        &self,
        context: &Context,
        ask: op::DeleteObjectTagging,
    ) -> Result<reply::DeleteObjectTagging> {
        let bucket = self.admit(context, Op::DeleteObjectTagging, (&ask.bucket, &ask.key, &ask.version))?;
        let object = self.retag(context, &bucket, ask.key, ask.version, Tags::default()).await?;
        Ok(reply::DeleteObjectTagging { version: shown_version(&bucket, object.version) })
    }

    /// Neither service's events that functions can be bound to tell of tags (scf.md 1.3).
    async fn retag(
        &self,
        context: &Context,
        bucket: &Bucket,
        key: ObjectKey,
        version: Option<VersionId>,
        tags: Tags,
    ) -> Result<Object> {
        let bucket: BucketName = bucket.name.clone();
        let what = ReviseObject { bucket, key, version, event: None, cause: context.cause.clone() };
        let retag = move |revision: &mut cosette_store::Revision<'_>| {
            revision.properties.tags = tags.into_map();
            Ok::<_, StoreError>(())
        };
        Ok(self.store.revise_object(what, retag).await?)
    }
}
