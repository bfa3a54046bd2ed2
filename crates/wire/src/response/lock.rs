//! Retention and legal hold, as documents and in the headers of reads.

use cosette_model::{Lock, Retention};

use super::Answer;
use crate::header;
use crate::setting::retention_mode_name;

impl Answer<'_> {
    pub(super) fn retention(&mut self, retention: Retention) {
        let mut xml = self.xml("Retention");
        xml.text("Mode", retention_mode_name(retention.mode));
        xml.text("RetainUntilDate", &retention.until.iso_millis());
        let document = xml.finish();
        self.document(document);
    }

    pub(super) fn legal_hold(&mut self, held: bool) {
        let mut xml = self.xml("LegalHold");
        xml.text("Status", if held { "ON" } else { "OFF" });
        let document = xml.finish();
        self.document(document);
    }

    /// On reads; COS documents no such headers.
    pub(super) fn lock(&mut self, lock: Lock) {
        if self.is_cos() {
            return;
        }
        if let Some(retention) = lock.retention {
            self.concept(header::LOCK_MODE, retention_mode_name(retention.mode));
            self.concept(header::LOCK_UNTIL, &retention.until.iso_millis());
        }
        if lock.legal_hold {
            self.concept(header::LEGAL_HOLD, "ON");
        }
    }
}
