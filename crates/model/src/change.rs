//! The change log's record: one fact about one object or bucket, written with the state it describes.

use serde::{Deserialize, Serialize};

use crate::setting::ReplicaOrder;
use crate::{
    ArchiveTier, Attributes, BucketName, Chain, ETag, EventType, Link, ObjectKey, Region, RequestId, Seq,
    Timestamp, VersionId,
};

/// What happened. Kinds that raise no service event say so by having none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ChangeKind {
    BucketCreated,
    BucketDeleted,
    /// Something that the service notifies of.
    Object(EventType),
    /// A bucket's or object's setting changed; no event.
    SettingChanged,
    /// A rule did it by the clock; COS notifies nobody of that (scf.md 1.3).
    Lifecycle(LifecycleChange),
    /// An object's setting of which S3 tells; COS notifies nobody of it (scf.md 1.3).
    ObjectSetting(ObjectSetting),
    /// A delete marker was copied from another bucket; no event is documented for it (scf.md 1.3).
    MarkerReplicated,
}

/// What changed of an object that was not written anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ObjectSetting {
    TagsPut,
    TagsDeleted,
    AclPut,
}

/// What a rule did by the clock; named as S3 names its events of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum LifecycleChange {
    Deleted,
    DeleteMarkerCreated,
    Transitioned,
    /// A rule of intelligent tiering put the object into an archive tier.
    Archived(ArchiveTier),
}

impl ChangeKind {
    pub fn event(self) -> Option<EventType> {
        match self {
            Self::Object(event) => Some(event),
            Self::BucketCreated
            | Self::BucketDeleted
            | Self::SettingChanged
            | Self::ObjectSetting(_)
            | Self::Lifecycle(_)
            | Self::MarkerReplicated => None,
        }
    }

    /// What S3 calls it, with `s3:`. What COS's origins and replication bring is to S3 an object that was put.
    pub fn s3_event(self) -> Option<&'static str> {
        Some(match self {
            Self::Object(event) => match event {
                EventType::CreatedPut | EventType::CreatedOrigin | EventType::CreatedReplication => {
                    "s3:ObjectCreated:Put"
                }
                EventType::CreatedPost => "s3:ObjectCreated:Post",
                EventType::CreatedCopy => "s3:ObjectCreated:Copy",
                EventType::CreatedCompleteMultipartUpload => "s3:ObjectCreated:CompleteMultipartUpload",
                EventType::RemovedDelete => "s3:ObjectRemoved:Delete",
                EventType::RemovedDeleteMarkerCreated => "s3:ObjectRemoved:DeleteMarkerCreated",
                EventType::RestorePost => "s3:ObjectRestore:Post",
                EventType::RestoreCompleted => "s3:ObjectRestore:Completed",
            },
            Self::ObjectSetting(ObjectSetting::TagsPut) => "s3:ObjectTagging:Put",
            Self::ObjectSetting(ObjectSetting::TagsDeleted) => "s3:ObjectTagging:Delete",
            Self::ObjectSetting(ObjectSetting::AclPut) => "s3:ObjectAcl:Put",
            Self::MarkerReplicated => "s3:ObjectRemoved:DeleteMarkerCreated",
            Self::Lifecycle(LifecycleChange::Deleted) => "s3:LifecycleExpiration:Delete",
            Self::Lifecycle(LifecycleChange::DeleteMarkerCreated) => {
                "s3:LifecycleExpiration:DeleteMarkerCreated"
            }
            Self::Lifecycle(LifecycleChange::Transitioned) => "s3:LifecycleTransition",
            Self::Lifecycle(LifecycleChange::Archived(_)) => "s3:IntelligentTiering",
            Self::BucketCreated | Self::BucketDeleted | Self::SettingChanged => return None,
        })
    }

    /// A stable name for people and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::BucketCreated => "BucketCreated",
            Self::BucketDeleted => "BucketDeleted",
            Self::SettingChanged => "SettingChanged",
            Self::ObjectSetting(ObjectSetting::TagsPut) => "ObjectTagging:Put",
            Self::ObjectSetting(ObjectSetting::TagsDeleted) => "ObjectTagging:Delete",
            Self::ObjectSetting(ObjectSetting::AclPut) => "ObjectAcl:Put",
            Self::Object(event) => event.name(),
            Self::Lifecycle(LifecycleChange::Deleted) => "LifecycleExpiration:Delete",
            Self::Lifecycle(LifecycleChange::DeleteMarkerCreated) => {
                "LifecycleExpiration:DeleteMarkerCreated"
            }
            Self::Lifecycle(LifecycleChange::Transitioned) => "LifecycleTransition",
            Self::Lifecycle(LifecycleChange::Archived(_)) => "IntelligentTiering",
            Self::MarkerReplicated => "Replication:DeleteMarkerCreated",
        }
    }
}

/// The request behind a change, or the rule.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    pub request_id: String,
    /// The client's address, without port.
    pub source_ip: String,
    /// The whole `Authorization` of the request, or `""` (scf.md 1.4).
    pub authorization: String,
    /// The secret id that signed, or `""`.
    pub access_key: String,
    /// How many function invocations lie between this write and one that no function made.
    pub depth: u32,
    /// The id of the rule that did it, if no request did.
    #[serde(default)]
    pub rule: Option<String>,
    /// The steps that led here, the last by the invocation that made the write; see [`Chain::links`].
    #[serde(default)]
    pub links: Vec<Link>,
}

impl Cause {
    /// How the write came to be made.
    pub fn chain(&self) -> Chain {
        Chain { depth: self.depth, links: self.links.clone() }
    }

    /// The same cause at the end of a chain.
    #[must_use]
    pub fn of(self, chain: Chain) -> Self {
        Self { depth: chain.depth, links: chain.links, ..self }
    }

    /// Whether it is the request of this id, or has come of it or of this invocation.
    pub fn is_of(&self, id: &str) -> bool {
        self.request_id == id || self.links.iter().any(|link| link.request_id == id || link.invocation == id)
    }

    /// The function invocation that made the write, by its request id.
    pub fn invocation(&self) -> Option<&str> {
        self.links.last().map(|link| link.invocation.as_str())
    }
}

/// One entry of the change log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The commit's place in the order of all commits.
    pub seq: Seq,
    pub time: Timestamp,
    pub kind: ChangeKind,
    pub bucket: BucketName,
    pub region: Region,
    /// The bucket owner's APPID.
    pub appid: String,
    pub key: Option<ObjectKey>,
    /// Set only where versioning gives the change one.
    pub version_id: Option<VersionId>,
    /// Size in bytes of the object written or removed; 0 if unknown.
    pub size: u64,
    pub etag: Option<ETag>,
    pub attributes: Attributes,
    pub cause: Cause,
    /// Until when a restored copy can be read, where there is one.
    #[serde(default)]
    pub restored_until: Option<Timestamp>,
    /// Copies that the bucket's rules asked for when this was committed.
    #[serde(default)]
    pub replicas: Vec<ReplicaOrder>,
}

impl Change {
    pub fn request_id(&self) -> RequestId {
        RequestId::new(self.cause.request_id.clone())
    }
}
