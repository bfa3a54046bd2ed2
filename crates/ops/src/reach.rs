//! What a request must say or may use before a bucket answers it at all: acceleration, and who pays.

use cosette_model::op::{Call, Context};
use cosette_model::setting::{Accelerate, RequestPayment, Status};
use cosette_model::{BucketName, Error, ErrorCode, SettingName};
use cosette_store::View;
use serde::de::DeserializeOwned;

use crate::Ops;
use crate::error::Result;

fn set<T: DeserializeOwned>(view: &View, name: SettingName) -> Result<Option<T>> {
    Ok(view.setting(name.row()).map(serde_json::from_slice).transpose().map_err(Error::internal)?)
}

/// Refuses a request over an acceleration host to a bucket without it, and one of somebody who does not pay
/// to a bucket where the requester does. Nobody known cannot pay.
pub(crate) fn check(context: &Context, view: &View) -> Result<()> {
    if context.accelerated {
        match set::<Accelerate>(view, SettingName::Accelerate)? {
            Some(Accelerate { status: Status::Enabled }) => {}
            Some(_) => {
                let why = "Amazon S3 Transfer Acceleration is disabled on this bucket";
                return Err(Error::with(ErrorCode::BucketAccelerateNotEnabled, why).into());
            }
            None => return Err(ErrorCode::BucketAccelerateNotEnabled.into()),
        }
    }
    let account = context.identity.account();
    let pays = context.pays && account.is_some();
    if !pays && requester_pays(context, view)? {
        return Err(ErrorCode::AccessDenied.into());
    }
    Ok(())
}

/// Whether the requester pays the bucket's requests, as its owner does not for its own.
fn requester_pays(context: &Context, view: &View) -> Result<bool> {
    let owns = context.identity.account().is_some_and(|account| account.uin == view.bucket.owner_uin);
    let payer = set::<RequestPayment>(view, SettingName::RequestPayment)?;
    Ok(!owns && payer == Some(RequestPayment::Requester))
}

impl Ops {
    /// Whether a request that succeeds is charged to who asks, for a bucket of its own or for a copy's source.
    pub fn charges(&self, context: &Context, bucket: Option<&BucketName>, call: &Call) -> bool {
        if !context.pays {
            return false;
        }
        let source = match call {
            Call::CopyObject(ask) => Some(&ask.source.bucket),
            Call::UploadPartCopy(ask) => Some(&ask.source.bucket),
            _ => None,
        };
        bucket.into_iter().chain(source).any(|name| {
            let view = self.find_view(name).ok().flatten();
            view.is_some_and(|view| requester_pays(context, &view).unwrap_or(false))
        })
    }
}
