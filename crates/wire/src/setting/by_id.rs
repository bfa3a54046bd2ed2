//! Small settings of which a bucket has several: intelligent tiering of both services, S3's analyses and
//! request metrics.

use std::collections::BTreeSet;

use cosette_model::Error;
use cosette_model::setting::{
    Analytics, AnalyticsExport, DefaultTiering, IntelligentTiering, Metrics, ObjectFilter, SmallObjects,
    Status, Tier,
};

use super::{filter, malformed};
use crate::DialectName;
use crate::dialect::Dialect;
use crate::xml::{Element, Writer};

/// Fewest and most days without a read, by tier (COS's page on the operation; S3's on its type `Tiering`).
fn days(tier: &str, days: u32, dialect: &Dialect) -> Option<bool> {
    Some(match (dialect.name, tier) {
        (DialectName::Cos, "INFREQUENT") => [30, 60, 90].contains(&days),
        (_, "ARCHIVE_ACCESS") => (90..=730).contains(&days),
        (_, "DEEP_ARCHIVE_ACCESS") => (180..=730).contains(&days),
        _ => return None,
    })
}

pub(super) fn read_tiering(root: &Element, dialect: &Dialect) -> Result<IntelligentTiering, Error> {
    let id = filter::id(root)?;
    let status = filter::status(root)?;
    let tiers = root.all("Tiering").map(|item| tier(item, dialect)).collect::<Result<Vec<_>, _>>()?;
    let names: BTreeSet<_> = tiers.iter().map(|tier| tier.name.as_str()).collect();
    if tiers.is_empty() || names.len() != tiers.len() {
        return Err(malformed());
    }
    if dialect.name == DialectName::Cos {
        let default = id == IntelligentTiering::DEFAULT;
        if default && status == Status::Disabled {
            return Err(filter::argument("The default rule cannot be disabled"));
        }
        if names.contains("INFREQUENT") != default || default && tiers.len() > 1 {
            return Err(filter::argument("The default rule, and no other, is for the tier INFREQUENT."));
        }
    }
    Ok(IntelligentTiering {
        id,
        made: 0,
        status,
        filter: filter::of(root)?,
        tiers,
        small: SmallObjects::default(),
    })
}

fn tier(element: &Element, dialect: &Dialect) -> Result<Tier, Error> {
    let name = element.text_of("AccessTier")?.ok_or_else(malformed)?.to_owned();
    let count = filter::number(element, "Days")?.ok_or_else(malformed)?;
    match days(&name, count, dialect) {
        Some(true) => Ok(Tier { name, days: count, frequent: filter::number(element, "RequestFrequent")? }),
        Some(false) => Err(filter::argument("Days is not valid for the access tier.")
            .detail("ArgumentName", "Days")
            .detail("ArgumentValue", count.to_string())),
        None => Err(malformed()),
    }
}

pub(super) fn write_tiering(tiering: &IntelligentTiering, xml: &mut Writer) {
    xml.text("Id", &tiering.id);
    filter::write(tiering.filter.as_ref(), xml);
    xml.text("Status", tiering.status.name());
    for tier in &tiering.tiers {
        xml.element("Tiering", |xml| {
            xml.text("AccessTier", &tier.name);
            xml.value("Days", tier.days);
            if let Some(frequent) = tier.frequent {
                xml.value("RequestFrequent", frequent);
            }
        });
    }
}

/// `IntelligentTieringConfiguration{ Status=Enabled, Transition{ Days=30|60|90, RequestFrequent?=1 } }`
pub(super) fn read_default(root: &Element, dialect: &Dialect) -> Result<DefaultTiering, Error> {
    if filter::status(root)? == Status::Disabled {
        return Err(malformed());
    }
    let step = root.child("Transition")?.ok_or_else(malformed)?;
    let count = filter::number(step, "Days")?.unwrap_or(30);
    if days("INFREQUENT", count, dialect) == Some(false) {
        return Err(filter::argument("Days must be 30, 60 or 90."));
    }
    let frequent = filter::number(step, "RequestFrequent")?;
    Ok(DefaultTiering(IntelligentTiering {
        id: IntelligentTiering::DEFAULT.to_owned(),
        made: 0,
        status: Status::Enabled,
        filter: None,
        tiers: vec![Tier { name: "INFREQUENT".to_owned(), days: count, frequent }],
        small: SmallObjects::default(),
    }))
}

pub(super) fn write_default(tiering: &DefaultTiering, xml: &mut Writer) {
    xml.text("Status", tiering.0.status.name());
    for tier in &tiering.0.tiers {
        xml.element("Transition", |xml| {
            xml.value("Days", tier.days);
            if let Some(frequent) = tier.frequent {
                xml.value("RequestFrequent", frequent);
            }
        });
    }
}

/// `AnalyticsConfiguration{ Id, Filter?, StorageClassAnalysis{ DataExport? } }`
pub(super) fn read_analytics(root: &Element, dialect: &Dialect) -> Result<Analytics, Error> {
    let analysis = root.child("StorageClassAnalysis")?.ok_or_else(malformed)?;
    let export = match analysis.child("DataExport")? {
        None => None,
        Some(export) => {
            let to = export.child("Destination")?.ok_or_else(malformed)?;
            let to = to.child("S3BucketDestination")?.ok_or_else(malformed)?;
            if export.text_of("OutputSchemaVersion")? != Some("V_1") || to.text_of("Format")? != Some("CSV") {
                return Err(malformed());
            }
            Some(AnalyticsExport {
                bucket: filter::bucket(to, dialect)?,
                account: filter::text(to, "BucketAccountId")?,
                prefix: to.child("Prefix")?.map(|prefix| prefix.text.clone()),
            })
        }
    };
    Ok(Analytics { id: filter::id(root)?, made: 0, filter: some(filter::of(root)?)?, export })
}

pub(super) fn write_analytics(analytics: &Analytics, dialect: &Dialect, xml: &mut Writer) {
    xml.text("Id", &analytics.id);
    filter::write(analytics.filter.as_ref(), xml);
    xml.element("StorageClassAnalysis", |xml| {
        let Some(export) = &analytics.export else { return };
        xml.element("DataExport", |xml| {
            xml.text("OutputSchemaVersion", "V_1");
            xml.element("Destination", |xml| {
                xml.element("S3BucketDestination", |xml| {
                    xml.text("Format", "CSV");
                    xml.maybe("BucketAccountId", export.account.as_deref());
                    filter::write_bucket(&export.bucket, dialect, xml);
                    xml.maybe("Prefix", export.prefix.as_deref());
                });
            });
        });
    });
}

/// `MetricsConfiguration{ Id, Filter? }`
pub(super) fn read_metrics(root: &Element) -> Result<Metrics, Error> {
    Ok(Metrics { id: filter::id(root)?, made: 0, filter: some(filter::of_metrics(root)?)? })
}

pub(super) fn write_metrics(metrics: &Metrics, xml: &mut Writer) {
    xml.text("Id", &metrics.id);
    filter::write(metrics.filter.as_ref(), xml);
}

/// A filter that says something, if there is one.
fn some(filter: Option<ObjectFilter>) -> Result<Option<ObjectFilter>, Error> {
    match filter {
        Some(empty) if empty == Default::default() => Err(malformed()),
        filter => Ok(filter),
    }
}
