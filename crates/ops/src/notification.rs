//! A bucket's notification: whom changes of its objects are told to. Who tells them is for [`Notify`] to know.

use cosette_model::op::{Context, reply};
use cosette_model::setting::Notification;
use cosette_model::{Error, ErrorCode, Setting, SettingName};
use cosette_store::{Bucket, Tx};

use crate::Ops;
use crate::error::Result;

/// Acts on the notifications of buckets.
pub trait Notify: Send + Sync + 'static {
    /// Which targets of the notification nothing can be sent to: each ARN, and why.
    fn refused(&self, bucket: &Bucket, notification: &Notification) -> Vec<(String, String)>;

    /// Follows, in the commit that sets it, what the bucket has as its notification from now on. With `greet`
    /// queues and topics are told that they are to hear of it.
    ///
    /// # Errors
    /// The store's.
    fn follow(
        &self,
        tx: &mut Tx<'_>,
        bucket: &Bucket,
        notification: Option<&Notification>,
        greet: bool,
    ) -> cosette_store::Result<()>;
}

/// Where an answer names the first targets that are refused.
const TOLD: [(&str, &str); 3] = [
    ("ArgumentName1", "ArgumentValue1"),
    ("ArgumentName2", "ArgumentValue2"),
    ("ArgumentName3", "ArgumentValue3"),
];

impl Ops {
    pub(crate) async fn put_notification(
        &self,
        context: &Context,
        bucket: Bucket,
        setting: Option<Setting>,
        unchecked: bool,
    ) -> Result<reply::PutSetting> {
        let name = SettingName::Notification;
        let row = setting.as_ref().map(Setting::encode).transpose().map_err(Error::internal)?;
        let notification = match setting {
            Some(Setting::Notification(notification)) => Some(notification),
            _ => None,
        };
        if let (Some(notify), Some(notification), false) = (&self.notify, &notification, unchecked) {
            let refused = notify.refused(&bucket, notification);
            if !refused.is_empty() {
                let why = "Unable to validate the following destination configurations";
                let mut error = Error::with(ErrorCode::InvalidArgument, why);
                for ((argument, value), (arn, why)) in TOLD.into_iter().zip(refused) {
                    error = error.detail(argument, arn).detail(value, why);
                }
                return Err(error.into());
            }
        }
        let notify = self.notify.clone();
        let also = move |tx: &mut Tx<'_>, bucket: &Bucket| match notify {
            Some(notify) => notify.follow(tx, bucket, notification.as_ref(), !unchecked),
            None => Ok(()),
        };
        self.store.set_setting_and(bucket, name.row(), row, context.cause.clone(), also).await?;
        Ok(reply::PutSetting { name, small: None })
    }
}
