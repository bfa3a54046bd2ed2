//! Copies of what is written to a bucket, in other buckets (docs/replication.md).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{BucketRef, ObjectFilter, Status};
use crate::StorageClass;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replication {
    /// In whose name: an ARN, or `qcs::cam::uin/...`.
    pub role: String,
    pub rules: Vec<ReplicationRule>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplicationRule {
    pub id: Option<String>,
    pub status: Status,
    pub priority: Option<u32>,
    /// The older form: in the rule itself, without a filter.
    pub prefix: Option<String>,
    pub filter: Option<ObjectFilter>,
    pub destination: ReplicationTarget,
    pub delete_markers: Option<Status>,
    /// S3: also objects that were there before.
    pub existing_objects: Option<Status>,
    pub kms_encrypted: Option<Status>,
    /// S3: changes of copies' metadata go back.
    pub replica_modifications: Option<Status>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplicationTarget {
    pub bucket: BucketRef,
    pub class: Option<StorageClass>,
    /// S3: the bucket's account, which becomes the copies' owner if that is said.
    pub account: Option<String>,
    pub owner_destination: bool,
    pub kms_key: Option<String>,
    /// S3: on or off, and minutes.
    pub time: Option<(Status, u32)>,
    pub metrics: Option<(Status, Option<u32>)>,
}

/// One copy that the rules in force ask for of a version that is being written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplicaOrder {
    /// The rule's id, or `""`.
    pub rule: String,
    pub bucket: BucketRef,
    /// `None`: the version's own.
    pub class: Option<StorageClass>,
    /// The copy belongs to whoever owns that bucket.
    pub owner_destination: bool,
    /// What its key is kept under, if the version is encrypted under one of key management.
    pub kms_key: Option<String>,
}

/// What rules look at of a version that is being written.
#[derive(Clone, Copy, Debug)]
pub struct Written<'a> {
    pub key: &'a str,
    /// `None` of a delete marker.
    pub tags: Option<&'a BTreeMap<String, String>>,
    pub sealed: Option<SealedFor>,
}

/// Whose key an encrypted version can be read with, where that matters to rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SealedFor {
    Kms,
    Customer,
}

impl Replication {
    /// COS has set it, and not S3.
    pub fn is_cos(&self) -> bool {
        self.role.starts_with("qcs:")
    }

    /// The copies to be made of a version, in the order of their rules. Of several rules with one destination
    /// that with the greatest priority counts (S3 "Replication configuration"; COS documents none).
    pub fn orders(&self, written: &Written<'_>) -> Vec<ReplicaOrder> {
        let mut meant: Vec<&ReplicationRule> = Vec::new();
        for rule in self.rules.iter().filter(|rule| rule.holds(written)) {
            match meant.iter_mut().find(|other| other.destination.bucket.name == rule.destination.bucket.name)
            {
                Some(other) if other.priority < rule.priority => *other = rule,
                Some(_) => {}
                None => meant.push(rule),
            }
        }
        meant.retain(|rule| rule.copies(written, self.is_cos()));
        meant.into_iter().map(ReplicationRule::order).collect()
    }
}

impl ReplicationRule {
    /// Whether it is for such a key, and such tags: for a marker only if it asks for none.
    fn holds(&self, written: &Written<'_>) -> bool {
        let tag = |name: &str| written.tags?.get(name).map(String::as_str);
        self.status == Status::Enabled
            && self.prefix.as_deref().is_none_or(|prefix| written.key.starts_with(prefix))
            && self.filter.as_ref().is_none_or(|filter| filter.holds(written.key, tag))
    }

    fn copies(&self, written: &Written<'_>, cos: bool) -> bool {
        match (written.tags, written.sealed) {
            // The default of COS, and of S3's older form, which alone may leave it out.
            (None, _) => self.delete_markers != Some(Status::Disabled),
            (_, Some(SealedFor::Kms)) => self.kms_encrypted == Some(Status::Enabled),
            // What COS cannot read it does not copy; S3 copies it as it is.
            (_, Some(SealedFor::Customer)) => !cos,
            (_, None) => true,
        }
    }

    fn order(&self) -> ReplicaOrder {
        let to = &self.destination;
        ReplicaOrder {
            rule: self.id.clone().unwrap_or_default(),
            bucket: to.bucket.clone(),
            class: to.class,
            owner_destination: to.owner_destination,
            kms_key: to.kms_key.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(id: &str, bucket: &str) -> ReplicationRule {
        ReplicationRule {
            id: Some(id.to_owned()),
            status: Status::Enabled,
            priority: None,
            prefix: None,
            filter: None,
            destination: ReplicationTarget {
                bucket: BucketRef { name: bucket.to_owned(), region: None },
                class: None,
                account: None,
                owner_destination: false,
                kms_key: None,
                time: None,
                metrics: None,
            },
            delete_markers: None,
            existing_objects: None,
            kms_encrypted: None,
            replica_modifications: None,
        }
    }

    fn rules(rules: &[ReplicationRule], written: &Written<'_>) -> Vec<String> {
        let role = "qcs::cam::uin/1:uin/1".to_owned();
        let replication = Replication { role, rules: rules.to_vec() };
        replication.orders(written).into_iter().map(|order| order.rule).collect()
    }

    #[test]
    fn rules_are_for_keys_tags_and_markers() {
        let tags: BTreeMap<_, _> = [("k".to_owned(), "v".to_owned())].into();
        let put = |key| Written { key, tags: Some(&tags), sealed: None };
        let marker = |key| Written { key, tags: None, sealed: None };
        let filter = |prefix: Option<&str>, tags: &[(&str, &str)]| {
            let tags = tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
            Some(ObjectFilter { prefix: prefix.map(str::to_owned), tags, access_point: None })
        };
        let all = rule("all", "a");
        let old = ReplicationRule { prefix: Some("p/".to_owned()), ..rule("old", "b") };
        let tagged = ReplicationRule { filter: filter(Some("p/"), &[("k", "v")]), ..rule("tagged", "c") };
        let other = ReplicationRule { filter: filter(None, &[("k", "w")]), ..rule("other", "d") };
        let unmarked = ReplicationRule { delete_markers: Some(Status::Disabled), ..rule("unmarked", "e") };
        let off = ReplicationRule { status: Status::Disabled, ..rule("off", "f") };
        let set = [all, old, tagged, other, unmarked, off];
        assert_eq!(rules(&set, &put("p/x")), ["all", "old", "tagged", "unmarked"]);
        assert_eq!(rules(&set, &put("q")), ["all", "unmarked"]);
        assert_eq!(rules(&set, &marker("p/x")), ["all", "old"]);
    }

    #[test]
    fn one_rule_counts_for_each_destination() {
        let of = |id, bucket, priority| ReplicationRule { priority: Some(priority), ..rule(id, bucket) };
        let put = Written { key: "k", tags: Some(&BTreeMap::new()), sealed: None };
        assert_eq!(rules(&[of("1", "a", 1), of("2", "a", 2), of("3", "b", 3)], &put), ["2", "3"]);
        assert_eq!(rules(&[of("2", "a", 2), of("1", "a", 1)], &put), ["2"]);
        // It says for the others, too, that markers stay.
        let last = ReplicationRule { delete_markers: Some(Status::Disabled), ..of("2", "a", 2) };
        assert_eq!(rules(&[of("1", "a", 1), last], &Written { tags: None, ..put }), [""; 0]);
    }

    #[test]
    fn what_is_encrypted_is_copied_as_the_services_do() {
        let tags = BTreeMap::new();
        let put = |sealed| Written { key: "k", tags: Some(&tags), sealed: Some(sealed) };
        let kms = ReplicationRule { kms_encrypted: Some(Status::Enabled), ..rule("kms", "a") };
        assert_eq!(rules(&[rule("plain", "a")], &put(SealedFor::Kms)), [""; 0]);
        assert_eq!(rules(&[kms], &put(SealedFor::Kms)), ["kms"]);
        assert_eq!(rules(&[rule("plain", "a")], &put(SealedFor::Customer)), [""; 0]);
        let s3 = Replication { role: "arn:aws:iam::1:role/r".to_owned(), rules: vec![rule("s3", "a")] };
        assert_eq!(s3.orders(&put(SealedFor::Customer)).len(), 1);
    }
}
