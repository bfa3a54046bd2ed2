//! One inventory, written: the list as CSV in gzip, and a manifest that says what is where.

use std::io::Write;

use bytes::Bytes;
use cosette_model::op::Listing;
use cosette_model::setting::{Inventory, InventoryEncryption, InventoryFilter, ServiceForm, Standing, Tiers};
use cosette_model::{BucketName, Day, Encryption, KmsKey, Timestamp, VersionId};
use cosette_store::{Bucket, Error as StoreError, ListedVersion, Object, Staged, Store};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;

use super::row;
use crate::{Error, Stop, deliver};

const PAGE_MAX: u32 = 1_000;

/// What was looked at, and what of it is listed: objects and bytes.
#[derive(Default)]
struct Counts {
    seen: (u64, u64),
    listed: (u64, u64),
}

/// A list that cannot be written for what its buckets are (one is gone, something is damaged) is logged, and
/// the next one may do better.
///
/// # Errors
/// The store's that may pass, logged as well.
pub(super) async fn write(
    store: &Store,
    bucket: &Bucket,
    inventory: &Inventory,
    (now, day): (Timestamp, Day),
    stop: &Stop,
) -> Result<(), Error> {
    let report = Report { store, bucket, inventory, now, day };
    match report.write(stop).await {
        Ok(()) => {
            tracing::info!(bucket = %bucket.name, id = %inventory.id, "inventory written");
            Ok(())
        }
        Err(Error::Store(error @ (StoreError::NoSuchBucket(_) | StoreError::Corrupt { .. }))) => {
            tracing::error!(bucket = %bucket.name, id = %inventory.id, %error, "inventory not written");
            Ok(())
        }
        Err(error) => {
            if let Error::Store(error) = &error {
                tracing::error!(bucket = %bucket.name, id = %inventory.id, %error, "inventory to be tried again");
            }
            Err(error)
        }
    }
}

struct Report<'a> {
    store: &'a Store,
    bucket: &'a Bucket,
    inventory: &'a Inventory,
    now: Timestamp,
    day: Day,
}

impl Report<'_> {
    async fn write(&self, stop: &Stop) -> Result<(), Error> {
        let Some(target) = self.target()? else {
            tracing::warn!(bucket = %self.bucket.name, id = %self.inventory.id, "inventory without a target");
            return Ok(());
        };
        let unique = uuid::Uuid::new_v4();
        let (base, dated) = self.folders();
        let data = match self.inventory.form {
            ServiceForm::S3 => format!("{base}/data/{unique}.csv.gz"),
            ServiceForm::Cos => format!("{base}/{}.csv.gz", unique.simple()),
        };
        let mut staged = deliver::stage(self.store, &target, None, self.encryption()).await?;
        let counts = self.list(&mut staged, stop).await?;
        let sealed = staged.seal().await?;
        let (size, md5) = (sealed.size, hex(&sealed.digests.md5));
        deliver::put(self.store, &target, &data, "application/gzip", None, sealed).await?;
        if self.inventory.form == ServiceForm::S3 {
            let date = self.now.iso_seconds();
            let date = date.get(..16).unwrap_or_default().replace(['T', ':'], "-");
            let text = format!("s3://{}/{data}\n", target.name);
            self.put_text(&target, &format!("{base}/hive/dt={date}/symlink.txt"), "text/plain", text).await?;
        }
        let manifest = self.manifest(&target.name, &data, size, &md5, &counts);
        let name = format!("{dated}/manifest.json");
        let md5 = self.put_text(&target, &name, "application/json", manifest).await?;
        self.put_text(&target, &format!("{dated}/manifest.checksum"), "text/plain", md5).await?;
        Ok(())
    }

    /// The target as it is now, if it is still of the same account and region.
    fn target(&self) -> Result<Option<Bucket>, Error> {
        let Ok(name) = BucketName::new(self.inventory.destination.bucket.name.as_str()) else {
            return Ok(None);
        };
        let found = self.store.bucket(&name)?;
        // S3 compares the account if one was named; COS's clients name others (docs/decisions/0013).
        let account = self.inventory.destination.account.as_deref();
        if self.inventory.form == ServiceForm::S3 && account.is_some_and(|uin| uin != self.bucket.owner_uin) {
            return Ok(None);
        }
        let own = |to: &Bucket| to.owner_uin == self.bucket.owner_uin && to.region == self.bucket.region;
        Ok(found.filter(own))
    }

    /// Of all reports of the inventory, and of this one.
    fn folders(&self) -> (String, String) {
        let given = self.inventory.destination.prefix.as_deref().unwrap_or_default();
        let prefix = given.trim_end_matches('/');
        let prefix = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
        let time = self.now.iso_seconds();
        let part = |range: std::ops::Range<usize>| time.get(range).unwrap_or_default();
        let Bucket { name, owner_appid, .. } = self.bucket;
        let id = &self.inventory.id;
        match self.inventory.form {
            ServiceForm::S3 => {
                let base = format!("{prefix}{name}/{id}");
                let dated = format!("{base}/{}T{}-{}Z", part(0..10), part(11..13), part(14..16));
                (base, dated)
            }
            ServiceForm::Cos => {
                let base = format!("{prefix}{owner_appid}/{}/{id}", name.split_appid().0);
                let dated = format!("{base}/{}", part(0..10).replace('-', ""));
                (base, dated)
            }
        }
    }

    fn manifest(&self, target: &BucketName, data: &str, size: u64, md5: &str, counts: &Counts) -> String {
        let schema = row::schema(self.inventory);
        let source = &self.bucket.name;
        match self.inventory.form {
            ServiceForm::S3 => json!({
                "sourceBucket": source.as_str(),
                "destinationBucket": format!("arn:aws:s3:::{target}"),
                "version": "2016-11-30",
                "creationTimestamp": self.now.as_millis().to_string(),
                "fileFormat": "CSV",
                "fileSchema": schema,
                "files": [{"key": data, "size": size, "MD5checksum": md5}],
            }),
            ServiceForm::Cos => json!({
                "sourceAppid": self.bucket.owner_appid,
                "sourceBucket": source.split_appid().0,
                "destinationAppid": self.bucket.owner_appid,
                "destinationBucket": target.split_appid().0,
                "fileFormat": "CSV",
                "listObjectCount": counts.seen.0.to_string(),
                "listStorageSize": counts.seen.1.to_string(),
                "filterObjectCount": counts.listed.0.to_string(),
                "filterStorageSize": counts.listed.1.to_string(),
                "fileSchema": schema,
                "files": [{"key": data, "size": size.to_string(), "md5Checksum": md5}],
            }),
        }
        .to_string()
    }

    async fn put_text(
        &self,
        target: &Bucket,
        name: &str,
        content_type: &str,
        text: String,
    ) -> Result<String, Error> {
        let sealed = deliver::whole(self.store, target, text, self.encryption()).await?;
        let md5 = hex(&sealed.digests.md5);
        deliver::put(self.store, target, name, content_type, None, sealed).await?;
        Ok(md5)
    }

    fn encryption(&self) -> Option<Encryption> {
        Some(match self.inventory.destination.encryption.as_ref()? {
            InventoryEncryption::Service => Encryption::Service,
            InventoryEncryption::Kms(id) => {
                Encryption::Kms(KmsKey { id: Some(id.clone()), context: None, bucket_key: None })
            }
        })
    }

    /// Writes the list, page by page.
    async fn list(&self, staged: &mut Staged, stop: &Stop) -> Result<Counts, Error> {
        let filter = self.inventory.filter.clone().unwrap_or_default();
        let mut listing = Listing {
            prefix: filter.objects.prefix.clone().unwrap_or_default(),
            max: PAGE_MAX,
            ..Listing::default()
        };
        let mut counts = Counts::default();
        let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
        let mut marker: Option<VersionId> = None;
        loop {
            stop.check()?;
            let (page, next) = self.page(&listing, marker.as_ref())?;
            let mut text = String::new();
            for listed in &page {
                self.line(listed, &filter, &mut counts, &mut text)?;
            }
            // Writing into memory does not fail.
            let _ = packed.write_all(text.as_bytes());
            let bytes = std::mem::take(packed.get_mut());
            if !bytes.is_empty() {
                staged.write(Bytes::from(bytes)).await?;
            }
            match next {
                Some((key, version)) => (listing.after, marker) = (key, version),
                None => break,
            }
            tokio::task::yield_now().await;
        }
        let rest = packed.finish().unwrap_or_default();
        staged.write(Bytes::from(rest)).await?;
        Ok(counts)
    }

    #[allow(clippy::type_complexity)]
    fn page(
        &self,
        listing: &Listing,
        marker: Option<&VersionId>,
    ) -> Result<(Vec<ListedVersion>, Option<(String, Option<VersionId>)>), Error> {
        if self.inventory.all_versions {
            let page = self.store.list_versions(&self.bucket.name, listing, marker)?;
            return Ok((page.versions, page.next));
        }
        let page = self.store.list_objects(&self.bucket.name, listing)?;
        let objects = page.objects.into_iter();
        let listed = objects.map(|(key, summary)| ListedVersion { key, latest: true, summary });
        Ok((listed.collect(), page.next.map(|key| (key, None))))
    }

    fn line(
        &self,
        listed: &ListedVersion,
        filter: &InventoryFilter,
        counts: &mut Counts,
        out: &mut String,
    ) -> Result<(), Error> {
        let summary = &listed.summary;
        counts.seen = (counts.seen.0 + 1, counts.seen.1 + summary.size);
        if !filter.fits(summary.storage_class, summary.modified) {
            return Ok(());
        }
        let mut object: Option<Object> = None;
        if row::wants_object(self.inventory) && !summary.delete_marker {
            let version = summary.version.id();
            // Without versions the current object is the one; it may have gone since the page was read.
            let named = self.inventory.all_versions.then_some(&version);
            match self.store.object_of(self.bucket, &listed.key, named) {
                Ok(found) => object = Some(found),
                Err(
                    StoreError::NoSuchObject(_) | StoreError::NoSuchVersion | StoreError::DeleteMarker { .. },
                ) => {
                    return Ok(());
                }
                Err(error) => return Err(error.into()),
            }
        }
        let tag = |name: &str| object.as_ref()?.properties.tags.get(name).map(String::as_str);
        if !filter.objects.holds(listed.key.as_str(), tag) {
            return Ok(());
        }
        counts.listed = (counts.listed.0 + 1, counts.listed.1 + summary.size);
        let tier = object.as_ref().and_then(|object| {
            let mut version = object.aged(&listed.key, Standing::Only);
            let last = self.store.last_read(self.bucket, &listed.key, object.version.stamp);
            version.tiering.accessed = version.tiering.accessed.max(last);
            Tiers::default().s3_tier(self.day, self.now, &version)
        });
        row::write(self.inventory, self.bucket, listed, (object.as_ref(), tier), out);
        Ok(())
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
