//! Columns and rows of an inventory.

use std::fmt::Write;

use cosette_model::setting::{Inventory, InventoryField, ServiceForm};
use cosette_model::{AccessTier, ReplicaState, RetentionMode, Versioning, canonical_id};
use cosette_store::{Bucket, ListedVersion, Object, SealedBy};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

const KEY: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'*');

/// Whether more has to be known of an object than what a listing shows.
pub(super) fn wants_object(inventory: &Inventory) -> bool {
    use InventoryField::{ChecksumAlgorithm, ETag, LastModifiedDate, Size, StorageClass};
    let tags = inventory.filter.as_ref().is_some_and(|filter| !filter.objects.tags.is_empty());
    tags || inventory
        .fields
        .iter()
        .any(|field| !matches!(field, Size | LastModifiedDate | StorageClass | ETag | ChecksumAlgorithm))
}

/// The columns' names.
pub(super) fn schema(inventory: &Inventory) -> String {
    let mut names = match inventory.form {
        ServiceForm::S3 => vec!["Bucket", "Key"],
        ServiceForm::Cos => vec!["Appid", "Bucket", "Key"],
    };
    if inventory.all_versions {
        names.extend(["VersionId", "IsLatest", "IsDeleteMarker"]);
    }
    names.extend(inventory.fields.iter().map(InventoryField::name));
    names.join(", ")
}

/// One object as a line of CSV, every field in quotes.
pub(super) fn write(
    inventory: &Inventory,
    bucket: &Bucket,
    listed: &ListedVersion,
    (object, tier): (Option<&Object>, Option<AccessTier>),
    out: &mut String,
) {
    let cos = inventory.form == ServiceForm::Cos;
    let mut first = true;
    let mut field = |text: &str| {
        let joint = if std::mem::take(&mut first) { "" } else { "," };
        let _ = write!(out, "{joint}\"{}\"", text.replace('"', "\"\""));
    };
    if cos {
        field(&bucket.owner_appid);
        field(bucket.name.split_appid().0);
    } else {
        field(bucket.name.as_str());
    }
    field(&utf8_percent_encode(listed.key.as_str(), KEY).to_string());
    let summary = &listed.summary;
    let bool = |value: bool| if value { "true" } else { "false" };
    if inventory.all_versions {
        let version = match bucket.versioning {
            Versioning::Off => String::new(),
            _ => summary.version.id().as_str().to_owned(),
        };
        field(&version);
        field(bool(listed.latest));
        field(bool(summary.delete_marker));
    }
    for column in &inventory.fields {
        let text = if summary.delete_marker && *column != InventoryField::LastModifiedDate {
            String::new()
        } else {
            value(column, cos, bucket, listed, (object, tier))
        };
        field(&text);
    }
    out.push('\n');
}

fn value(
    column: &InventoryField,
    cos: bool,
    bucket: &Bucket,
    listed: &ListedVersion,
    (object, tier): (Option<&Object>, Option<AccessTier>),
) -> String {
    let summary = &listed.summary;
    let of = |read: &dyn Fn(&Object) -> String| object.map(read).unwrap_or_default();
    match column {
        InventoryField::Size => summary.size.to_string(),
        InventoryField::LastModifiedDate if cos => summary.modified.iso_seconds(),
        InventoryField::LastModifiedDate => summary.modified.iso_millis(),
        InventoryField::StorageClass if cos => summary.storage_class.in_cos().name().to_owned(),
        InventoryField::StorageClass => summary.storage_class.in_s3().name().to_owned(),
        InventoryField::ETag => summary.etag.as_str().to_owned(),
        InventoryField::IsMultipartUploaded => of(&|object| object.parts.is_some().to_string()),
        InventoryField::ObjectLockRetainUntilDate => {
            of(&|object| object.properties.retention.map(|lock| lock.until.iso_millis()).unwrap_or_default())
        }
        InventoryField::ObjectLockMode => of(&|object| {
            let mode = object.properties.retention.map(|lock| match lock.mode {
                RetentionMode::Governance => "GOVERNANCE",
                RetentionMode::Compliance => "COMPLIANCE",
            });
            mode.unwrap_or_default().to_owned()
        }),
        InventoryField::ObjectLockLegalHoldStatus => {
            of(&|object| if object.properties.legal_hold { "On" } else { "Off" }.to_owned())
        }
        InventoryField::ChecksumAlgorithm => {
            let names: Vec<_> = summary.checksums.iter().map(|algorithm| algorithm.name()).collect();
            names.join("|")
        }
        InventoryField::ObjectOwner => {
            of(&|object| canonical_id(object.properties.owner.as_deref().unwrap_or(&bucket.owner_uin)))
        }
        InventoryField::Tag => of(&|object| {
            let tags = object.properties.tags.iter();
            tags.map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join("&")
        }),
        InventoryField::Crc64 => of(&|object| object.crc64.to_string()),
        InventoryField::Meta(name) => of(&|object| {
            let wanted = name.trim_start_matches("x-cos-meta-");
            let user = object.attributes.user.iter();
            if wanted == "*" {
                user.map(|(key, value)| format!("x-cos-meta-{key}={value}")).collect::<Vec<_>>().join("&")
            } else {
                object.attributes.user.get(wanted).cloned().unwrap_or_default()
            }
        }),
        InventoryField::EncryptionStatus => of(&|object| {
            let status = match object.sealing.as_ref().map(|sealing| &sealing.by) {
                None => "NOT-SSE",
                Some(SealedBy::Service) => "SSE-S3",
                Some(SealedBy::Kms(_)) => "SSE-KMS",
                Some(SealedBy::Customer { .. }) => "SSE-C",
            };
            status.to_owned()
        }),
        InventoryField::BucketKeyStatus => of(&|object| {
            let by = object.sealing.as_ref().map(|sealing| &sealing.by);
            let enabled = matches!(by, Some(SealedBy::Kms(key)) if key.bucket_key == Some(true));
            if enabled { "ENABLED" } else { "DISABLED" }.to_owned()
        }),
        InventoryField::IntelligentTieringAccessTier => {
            tier.map(AccessTier::name).unwrap_or_default().to_owned()
        }
        InventoryField::ReplicationStatus => {
            let status = match summary.replica {
                None => "",
                Some(ReplicaState::Pending { .. }) => "PENDING",
                Some(ReplicaState::Completed) => "COMPLETED",
                Some(ReplicaState::Failed) => "FAILED",
                Some(ReplicaState::Replica) => "REPLICA",
            };
            status.to_owned()
        }
        // The others are refused when it is set.
        InventoryField::ObjectAccessControlList | InventoryField::LifecycleExpirationDate => String::new(),
    }
}
