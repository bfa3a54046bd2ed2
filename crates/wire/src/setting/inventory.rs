//! `InventoryConfiguration` of both services (cos-api 3.3; S3's PutBucketInventoryConfiguration).

use std::collections::BTreeSet;

use cosette_model::setting::{
    Destination, Frequency, Inventory, InventoryEncryption, InventoryField, InventoryFilter, InventoryFormat,
    ServiceForm, Status,
};
use cosette_model::{Error, ErrorCode, StorageClass};

use super::{filter, malformed};
use crate::DialectName;
use crate::dialect::Dialect;
use crate::xml::{Element, Writer};

/// `once`: COS's list that is written at once, without a schedule.
pub(super) fn read(root: &Element, dialect: &Dialect, once: bool) -> Result<Inventory, Error> {
    let status = match filter::boolean(root, "IsEnabled")? {
        Some(true) => Status::Enabled,
        None if once => Status::Enabled,
        Some(false) => Status::Disabled,
        None => return Err(malformed()),
    };
    let fields = match root.child("OptionalFields")? {
        None => Vec::new(),
        Some(list) => {
            list.all("Field").map(|item| field(item.text.trim(), dialect)).collect::<Result<Vec<_>, _>>()?
        }
    };
    let mut names = BTreeSet::new();
    if let Some(twice) = fields.iter().find(|field| !names.insert(field.name())) {
        return Err(filter::argument("A field is named twice.").detail("ArgumentValue", twice.name()));
    }
    Ok(Inventory {
        id: filter::id(root)?,
        made: 0,
        form: match dialect.name {
            DialectName::Cos => ServiceForm::Cos,
            DialectName::S3 => ServiceForm::S3,
        },
        status,
        all_versions: match root.text_of("IncludedObjectVersions")? {
            Some("All") => true,
            Some("Current") => false,
            _ => return Err(malformed()),
        },
        filter: root.child("Filter")?.map(|element| read_filter(element, dialect)).transpose()?,
        fields,
        schedule: if once { None } else { Some(frequency(root, dialect)?) },
        destination: destination(root.child("Destination")?.ok_or_else(malformed)?, dialect)?,
    })
}

fn field(name: &str, dialect: &Dialect) -> Result<InventoryField, Error> {
    use InventoryField::{
        Crc64, ETag, IsMultipartUploaded, LastModifiedDate, Meta, ReplicationStatus, Size, Tag,
    };
    let field = InventoryField::parse(name).ok_or_else(malformed)?;
    let known = match (&field, dialect.name) {
        (Size | LastModifiedDate | ETag | IsMultipartUploaded | ReplicationStatus, _)
        | (InventoryField::StorageClass, _) => true,
        (Tag | Crc64 | Meta(_), service) => service == DialectName::Cos,
        (_, service) => service == DialectName::S3,
    };
    match field {
        _ if !known => Err(malformed()),
        InventoryField::ObjectAccessControlList | InventoryField::LifecycleExpirationDate => {
            let why = format!("The field {name} of an inventory is not implemented.");
            Err(Error::with(ErrorCode::NotImplemented, why).detail("Field", name))
        }
        field => Ok(field),
    }
}

fn read_filter(element: &Element, dialect: &Dialect) -> Result<InventoryFilter, Error> {
    let and = element.child("And")?;
    let objects = filter::inner(and.unwrap_or(element), false)?;
    let cos = dialect.name == DialectName::Cos;
    if !cos && (and.is_some() || !objects.tags.is_empty()) {
        return Err(malformed());
    }
    let class = match and.unwrap_or(element).text_of("StorageClass")? {
        Some(class) if cos => Some(StorageClass::parse(class).ok_or_else(malformed)?),
        Some(_) => return Err(malformed()),
        None => None,
    };
    let second = |period: &Element, name| {
        period.text_of(name)?.map(|text| text.parse::<u64>().map_err(|_| malformed())).transpose()
    };
    let period = match element.child("Period")? {
        Some(period) if cos => Some((second(period, "StartTime")?, second(period, "EndTime")?)),
        Some(_) => return Err(malformed()),
        None => None,
    };
    if let Some((Some(from), Some(to))) = period
        && from > to
    {
        return Err(filter::argument("StartTime must not be after EndTime."));
    }
    Ok(InventoryFilter { objects, class, period, and: and.is_some() })
}

fn frequency(root: &Element, dialect: &Dialect) -> Result<Frequency, Error> {
    let schedule = root.child("Schedule")?.ok_or_else(malformed)?;
    match schedule.text_of("Frequency")? {
        Some("Daily") => Ok(Frequency::Daily),
        Some("Weekly") => Ok(Frequency::Weekly),
        Some("Monthly") if dialect.name == DialectName::Cos => {
            match filter::number(schedule, "MonthlyDate")? {
                day @ (None | Some(1..=31)) => Ok(Frequency::Monthly(day)),
                _ => Err(filter::argument("MonthlyDate must be a day of a month.")),
            }
        }
        _ => Err(malformed()),
    }
}

fn destination(outer: &Element, dialect: &Dialect) -> Result<Destination, Error> {
    let name = target_name(dialect);
    let target = outer.child(name)?.ok_or_else(malformed)?;
    let format = match target.text_of("Format")? {
        Some("CSV") => InventoryFormat::Csv,
        Some("ORC") => InventoryFormat::Orc,
        Some("Parquet") if dialect.name == DialectName::S3 => InventoryFormat::Parquet,
        _ => return Err(malformed()),
    };
    if format != InventoryFormat::Csv {
        let why = format!("Inventories of the format {} are not implemented.", format_name(format));
        return Err(Error::with(ErrorCode::NotImplemented, why).detail("Format", format_name(format)));
    }
    let encryption = match target.child("Encryption")? {
        None => None,
        Some(how) => {
            // The COS Python SDK cannot write the hyphen.
            let service = match dialect.name {
                DialectName::Cos => how.child("SSE-COS")?.or(how.child("SSECOS")?),
                DialectName::S3 => how.child("SSE-S3")?,
            };
            match (service, how.child("SSE-KMS")?) {
                (Some(_), None) => Some(InventoryEncryption::Service),
                (None, Some(kms)) if dialect.name == DialectName::S3 => {
                    Some(InventoryEncryption::Kms(kms.text_of("KeyId")?.ok_or_else(malformed)?.to_owned()))
                }
                _ => return Err(malformed()),
            }
        }
    };
    Ok(Destination {
        bucket: filter::bucket(target, dialect)?,
        account: filter::text(target, "AccountId")?,
        prefix: target.child("Prefix")?.map(|prefix| prefix.text.clone()),
        format,
        encryption,
    })
}

fn target_name(dialect: &Dialect) -> &'static str {
    match dialect.name {
        DialectName::Cos => "COSBucketDestination",
        DialectName::S3 => "S3BucketDestination",
    }
}

fn format_name(format: InventoryFormat) -> &'static str {
    match format {
        InventoryFormat::Csv => "CSV",
        InventoryFormat::Orc => "ORC",
        InventoryFormat::Parquet => "Parquet",
    }
}

pub(super) fn write(inventory: &Inventory, dialect: &Dialect, xml: &mut Writer) {
    let to = &inventory.destination;
    xml.element("Destination", |xml| {
        xml.element(target_name(dialect), |xml| {
            xml.maybe("AccountId", to.account.as_deref());
            filter::write_bucket(&to.bucket, dialect, xml);
            xml.text("Format", format_name(to.format));
            xml.maybe("Prefix", to.prefix.as_deref());
            let service = if dialect.name == DialectName::Cos { "SSE-COS" } else { "SSE-S3" };
            match &to.encryption {
                None => {}
                Some(InventoryEncryption::Service) => {
                    xml.element("Encryption", |xml| xml.element(service, |_| {}));
                }
                Some(InventoryEncryption::Kms(key)) => xml.element("Encryption", |xml| {
                    xml.element("SSE-KMS", |xml| xml.text("KeyId", key));
                }),
            }
        });
    });
    xml.value("IsEnabled", inventory.status == Status::Enabled);
    if let Some(filter) = &inventory.filter {
        xml.element("Filter", |xml| write_filter(filter, dialect, xml));
    }
    xml.text("Id", &inventory.id);
    xml.text("IncludedObjectVersions", if inventory.all_versions { "All" } else { "Current" });
    if !inventory.fields.is_empty() {
        xml.element("OptionalFields", |xml| {
            for field in &inventory.fields {
                xml.text("Field", field.name());
            }
        });
    }
    let Some(schedule) = inventory.schedule else { return };
    xml.element("Schedule", |xml| match schedule {
        Frequency::Daily => xml.text("Frequency", "Daily"),
        Frequency::Weekly => xml.text("Frequency", "Weekly"),
        Frequency::Monthly(day) => {
            xml.text("Frequency", "Monthly");
            if let Some(day) = day {
                xml.value("MonthlyDate", day);
            }
        }
    });
}

fn write_filter(filter: &InventoryFilter, dialect: &Dialect, xml: &mut Writer) {
    let inner = |xml: &mut Writer| {
        filter::write_inner(&filter.objects, xml);
        if let Some(class) = filter.class {
            xml.text("StorageClass", dialect.class(class));
        }
    };
    if filter.and {
        xml.element("And", inner)
    } else {
        inner(xml)
    }
    if let Some((from, to)) = filter.period {
        xml.element("Period", |xml| {
            for (name, second) in [("StartTime", from), ("EndTime", to)] {
                if let Some(second) = second {
                    xml.value(name, second);
                }
            }
        });
    }
}
