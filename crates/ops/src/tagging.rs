//! Tags of objects.

use cosette_model::op::{self, Context, Op, reply};
use cosette_model::{BucketName, ObjectKey, Tags, VersionId};

use crate::Ops;
use crate::access::{Admitted, also};
use crate::error::Result;
use crate::version::shown_version;

impl Ops {
    pub(crate) async fn put_object_tagging(
        &self,
        context: &Context,
        ask: op::PutObjectTagging,
    ) -> Result<reply::PutObjectTagging> {
        let asked = (ask.bucket, ask.key, ask.version);
        let mut facts: Vec<_> = ask
            .tags
            .iter()
            .map(|(key, value)| (format!("requestobjecttag/{key}"), vec![value.to_owned()]))
            .collect();
        let keys = ask.tags.iter().map(|(key, _)| key.to_owned()).collect();
        facts.push(("requestobjecttagkeys".to_owned(), keys));
        let context = &also(context, facts);
        let version = self.retag(context, Op::PutObjectTagging, asked, ask.tags).await?;
        Ok(reply::PutObjectTagging { version })
    }

    pub(crate) fn get_object_tagging(
        &self,
        context: &Context,
        ask: op::GetObjectTagging,
    ) -> Result<reply::GetObjectTagging> {
        let Admitted { bucket, found, .. } =
            self.admit_to(context, Op::GetObjectTagging, (&ask.bucket, &ask.key, &ask.version))?;
        let object = found?;
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
        let asked = (ask.bucket, ask.key, ask.version);
        let version = self.retag(context, Op::DeleteObjectTagging, asked, Tags::default()).await?;
        Ok(reply::DeleteObjectTagging { version })
    }

    async fn retag(
        &self,
        context: &Context,
        op: Op,
        (bucket, key, version): (BucketName, ObjectKey, Option<VersionId>),
        tags: Tags,
    ) -> Result<Option<VersionId>> {
        let Admitted { bucket, found, .. } = self.admit_to(context, op, (&bucket, &key, &version))?;
        found?;
        let object = self
            .revise(context, op, bucket.clone(), key, version, move |revision, _| {
                revision.properties.tags = tags.into_map();
                Ok(())
            })
            .await?;
        Ok(shown_version(&bucket, object.version))
    }
}
