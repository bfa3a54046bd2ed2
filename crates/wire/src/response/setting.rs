//! Replies about settings and tags, and the headers that let scripts of other origins read answers.

use cosette_model::op::reply;
use cosette_model::setting::{Allowed, SmallObjects};
use cosette_model::{Setting, SettingName};
use http::StatusCode;
use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, VARY,
};

use super::Answer;
use crate::request::TRANSITION_MINIMUM;
use crate::setting;

impl Answer<'_> {
    pub(super) fn put_setting(&mut self, r: &reply::PutSetting) {
        self.small(r.small);
        if r.name == SettingName::Tagging {
            self.status(StatusCode::NO_CONTENT);
        }
    }

    /// Which objects lifecycle rules leave where they are, in S3's words.
    fn small(&mut self, small: Option<SmallObjects>) {
        if let Some(name) = small.and_then(SmallObjects::name).filter(|_| !self.is_cos()) {
            self.set(TRANSITION_MINIMUM, name);
        }
    }

    pub(super) fn get_setting(&mut self, r: &reply::GetSetting) {
        if let Some(Setting::Lifecycle(rules)) = &r.setting {
            self.small(Some(rules.small));
        }
        self.document(setting::write(self.dialect, r.name, r.setting.as_ref()));
    }

    pub(super) fn post_inventory(&mut self, r: &reply::PostBucketInventory) {
        let mut xml = self.xml("PostInventoryResult");
        xml.text("JobId", &r.job);
        let document = xml.finish();
        self.document(document);
    }

    pub(super) fn list_settings(&mut self, r: &reply::ListSettings) {
        self.document(setting::write_list(self.dialect, r));
    }

    pub(super) fn get_object_tagging(&mut self, r: &reply::GetObjectTagging) {
        self.version(r.version.as_ref());
        let mut xml = self.xml("Tagging");
        setting::write_tags(&r.tags, &mut xml);
        let document = xml.finish();
        self.document(document);
    }

    pub(super) fn options(&mut self, r: &reply::OptionsObject) {
        self.allowed(&r.allowed, true);
        let asked = self.asked.cross.asked.as_ref().map_or(&[][..], |asked| &asked.headers);
        // S3 shows those that were asked for, COS all that its rule has (cos-api 3.3).
        let headers = if self.is_cos() { &r.allowed.headers[..] } else { asked };
        if !headers.is_empty() {
            self.name(ACCESS_CONTROL_ALLOW_HEADERS, &self.listed_names(headers));
        }
    }

    /// What any answer says to a script of another origin.
    pub(super) fn cross_origin(&mut self) {
        let cross = &self.asked.cross;
        if let Some(allowed) = &cross.allowed {
            self.allowed(allowed, !self.is_cos());
        }
        if cross.vary {
            self.vary();
        }
    }

    fn allowed(&mut self, allowed: &Allowed, all: bool) {
        self.name(ACCESS_CONTROL_ALLOW_ORIGIN, &allowed.origin);
        if all {
            self.name(ACCESS_CONTROL_ALLOW_METHODS, &self.listed_names(&allowed.methods));
            if let Some(seconds) = allowed.max_age {
                self.name(ACCESS_CONTROL_MAX_AGE, &seconds.to_string());
            }
        }
        if !allowed.expose.is_empty() {
            self.name(ACCESS_CONTROL_EXPOSE_HEADERS, &self.listed_names(&allowed.expose));
        }
        if allowed.credentials {
            self.name(ACCESS_CONTROL_ALLOW_CREDENTIALS, "true");
        }
        if !self.is_cos() {
            self.vary();
        }
    }

    fn vary(&mut self) {
        self.name(
            VARY,
            if self.is_cos() {
                "Origin"
            } else {
                "Origin, Access-Control-Request-Headers, Access-Control-Request-Method"
            },
        );
    }

    fn listed_names(&self, names: &[String]) -> String {
        names.join(if self.is_cos() { "," } else { ", " })
    }
}
