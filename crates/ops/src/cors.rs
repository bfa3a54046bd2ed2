//! Requests from scripts of other origins.

use cosette_model::op::{self, Context, reply};
use cosette_model::setting::{Allowed, Cors, Crossing};
use cosette_model::{BucketName, Error, ErrorCode};

use crate::Ops;
use crate::error::Result;

impl Ops {
    /// What a browser asks first. Whoever asks may know: it shows the bucket's rules and nothing else.
    pub(crate) fn options(&self, context: &Context, ask: op::OptionsObject) -> Result<reply::OptionsObject> {
        let Some(bucket) = ask.bucket else { return Err(ErrorCode::AccessForbidden.into()) };
        let rules = self.rules(&bucket)?;
        let allowed = match &rules {
            Some(cors) => cors.allow(&ask.asked),
            None if context.policy.console_origin == Some(ask.asked.origin.as_str()) => console(&ask.asked),
            None => {
                let why = "CORSResponse: CORS is not enabled for this bucket.";
                return Err(Error::with(ErrorCode::AccessForbidden, why).into());
            }
        };
        Ok(reply::OptionsObject { allowed: allowed.ok_or(ErrorCode::AccessForbidden)? })
    }

    /// What the answer to any other request says of its origin, however the request went, and whether
    /// it says that it varies. Nothing for a bucket that is not there.
    pub fn cross_origin(&self, bucket: &BucketName, asked: Option<&Crossing>) -> (Option<Allowed>, bool) {
        match self.rules(bucket) {
            Ok(Some(cors)) => (asked.and_then(|asked| cors.allow(asked)), cors.vary),
            Ok(None) | Err(_) => (None, false),
        }
    }

    fn rules(&self, name: &BucketName) -> Result<Option<Cors>> {
        match self.find(name)? {
            Some(bucket) => self.setting(&bucket.name),
            None => Err(Error::new(ErrorCode::NoSuchBucket).detail("BucketName", name.as_str()).into()),
        }
    }
}

fn console(asked: &Crossing) -> Option<Allowed> {
    let methods = ["GET", "PUT", "POST", "HEAD", "DELETE"].map(str::to_owned);
    methods.contains(&asked.method).then(|| Allowed {
        origin: asked.origin.clone(),
        methods: methods.into(),
        headers: asked.headers.clone(),
        expose: Vec::new(),
        max_age: None,
        credentials: true,
    })
}
