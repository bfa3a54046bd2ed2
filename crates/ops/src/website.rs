//! What a bucket's website host answers.

use cosette_model::op::{self, Context, reply};
use cosette_model::setting::{Onward, Target, Website};
use cosette_model::{Error, ErrorCode, ObjectKey};
use cosette_store::Bucket;

use crate::Ops;
use crate::error::{Failure, Result};

impl Ops {
    pub(crate) fn serve_website(
        &self,
        context: &Context,
        ask: op::ServeWebsite,
    ) -> Result<reply::ServeWebsite> {
        let bucket = self.exists(context, &ask.bucket)?;
        let site: Website = self.setting(&bucket.name)?.ok_or_else(|| {
            Error::new(ErrorCode::NoSuchWebsiteConfiguration).detail("BucketName", bucket.name.as_str())
        })?;
        if let Some(onward) = site.onward(&ask.path) {
            return self.onward(context, &bucket, onward, &ask, None);
        }
        let key = site.key(&ask.path);
        match self.web_page(context, &bucket, &key, &ask) {
            Ok(object) => Ok(match &object.info.attributes.website_redirect {
                Some(to) => reply::ServeWebsite::Elsewhere(Onward {
                    status: 301,
                    to: Target::Url(to.clone()),
                    in_place: false,
                }),
                None => reply::ServeWebsite::Object { object: Box::new(object), status: None },
            }),
            Err(failure) => self.instead(context, &bucket, &site, &ask, failure),
        }
    }

    /// What is answered instead of a page that cannot be.
    fn instead(
        &self,
        context: &Context,
        bucket: &Bucket,
        site: &Website,
        ask: &op::ServeWebsite,
        failure: Failure,
    ) -> Result<reply::ServeWebsite> {
        let status = failure.0.code.status();
        if !(400..500).contains(&status) || matches!(status, 412 | 416) {
            return Err(failure);
        }
        if status == 404 && !ask.path.is_empty() && !ask.path.ends_with('/') {
            let name = ask.path.rsplit('/').next().unwrap_or_default();
            if site.auto_addressing
                && !name.contains('.')
                && let Ok(object) = self.web_page(context, bucket, &format!("{}.html", ask.path), ask)
            {
                return Ok(reply::ServeWebsite::Object { object: Box::new(object), status: None });
            }
            // A folder that was asked for as if it were a page.
            let folder = format!("{}/", ask.path);
            if self.web_page(context, bucket, &site.key(&folder), ask).is_ok() {
                let to = Target::Key { protocol: None, host: None, key: folder };
                return Ok(reply::ServeWebsite::Elsewhere(Onward { status: 302, to, in_place: false }));
            }
        }
        if let Some(onward) = site.onward_after(&ask.path, status) {
            return self.onward(context, bucket, onward, ask, Some(status));
        }
        let Some(error) = &site.error else { return Err(failure) };
        let whole = op::ServeWebsite {
            bucket: ask.bucket.clone(),
            path: String::new(),
            range: None,
            conditions: op::Conditions::default(),
        };
        match self.web_page(context, bucket, &error.key, &whole) {
            Ok(object) => Ok(reply::ServeWebsite::Object {
                object: Box::new(object),
                status: error.original_status.then_some(status),
            }),
            Err(_) => Err(failure),
        }
    }

    /// Sends the browser on, or answers what it would find there, with the status of what failed.
    fn onward(
        &self,
        context: &Context,
        bucket: &Bucket,
        onward: Onward,
        ask: &op::ServeWebsite,
        status: Option<u16>,
    ) -> Result<reply::ServeWebsite> {
        match &onward.to {
            Target::Key { key, .. } if onward.in_place => {
                let object = Box::new(self.web_page(context, bucket, key, ask)?);
                Ok(reply::ServeWebsite::Object { object, status })
            }
            _ => Ok(reply::ServeWebsite::Elsewhere(onward)),
        }
    }

    fn web_page(
        &self,
        context: &Context,
        bucket: &Bucket,
        key: &str,
        ask: &op::ServeWebsite,
    ) -> Result<reply::GetObject> {
        let key = ObjectKey::new(key)
            .map_err(|invalid| Error::with(ErrorCode::InvalidObjectName, invalid.to_string()))?;
        self.get_object(
            context,
            op::GetObject {
                bucket: bucket.name.clone(),
                key,
                version: None,
                range: ask.range,
                part: None,
                if_range: None,
                conditions: ask.conditions.clone(),
                overrides: op::ResponseOverrides::default(),
                checksums: false,
                customer: None,
                sent: None,
            },
        )
    }
}
