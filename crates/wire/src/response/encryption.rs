//! How something is encrypted, in the headers of answers.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use cosette_model::Encrypted;

use super::Answer;
use crate::header;
use crate::request::kms_method;

impl Answer<'_> {
    pub(super) fn encryption(&mut self, how: Option<&Encrypted>) {
        match how {
            None => {}
            Some(Encrypted::Service) => self.concept(header::SSE, "AES256"),
            Some(Encrypted::Kms(key)) => {
                self.concept(header::SSE, kms_method(self.dialect.name));
                if let Some(id) = &key.id {
                    self.concept(header::SSE_KMS_KEY_ID, id);
                }
                if key.bucket_key == Some(true) {
                    self.concept(header::SSE_BUCKET_KEY, "true");
                }
            }
            Some(Encrypted::Customer { md5 }) => {
                self.concept(header::SSE_CUSTOMER_ALGORITHM, "AES256");
                if let Some(md5) = md5 {
                    self.concept(header::SSE_CUSTOMER_KEY_MD5, &BASE64_STANDARD.encode(md5));
                }
            }
        }
    }

    /// The same to who has just written it, who is told of the context as well (S3).
    pub(super) fn encrypted(&mut self, how: Option<&Encrypted>) {
        self.encryption(how);
        if let Some(Encrypted::Kms(key)) = how
            && let Some(context) = &key.context
        {
            self.concept(header::SSE_CONTEXT, &BASE64_STANDARD.encode(context));
        }
    }
}
