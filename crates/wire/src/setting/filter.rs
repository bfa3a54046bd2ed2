//! `Filter{ Prefix | Tag | And{ Prefix?, Tag* } }`, and buckets as resources.

use std::collections::BTreeSet;

use cosette_model::setting::{BucketRef, ObjectFilter, Status};
use cosette_model::{BucketName, Error, ErrorCode};

use super::{enabled, malformed};
use crate::DialectName;
use crate::dialect::Dialect;
use crate::xml::{Element, Writer};

pub(super) fn argument(why: impl Into<String>) -> Error {
    Error::with(ErrorCode::InvalidArgument, why)
}

/// The only `Filter` of an element.
pub(super) fn of(element: &Element) -> Result<Option<ObjectFilter>, Error> {
    element.child("Filter")?.map(|filter| read(filter, false)).transpose()
}

/// The same of metrics, which alone know access points.
pub(super) fn of_metrics(element: &Element) -> Result<Option<ObjectFilter>, Error> {
    element.child("Filter")?.map(|filter| read(filter, true)).transpose()
}

fn read(filter: &Element, access_points: bool) -> Result<ObjectFilter, Error> {
    let said = ["Prefix", "Tag", "AccessPointArn", "And"];
    if said.iter().map(|name| filter.all(name).count()).sum::<usize>() > 1 {
        return Err(malformed());
    }
    inner(filter.child("And")?.unwrap_or(filter), access_points)
}

/// What stands in `Filter` or in `And`.
pub(super) fn inner(element: &Element, access_points: bool) -> Result<ObjectFilter, Error> {
    let access_point = text(element, "AccessPointArn")?;
    if access_point.is_some() && !access_points {
        return Err(malformed());
    }
    let tags = element
        .all("Tag")
        .map(|tag| Ok((tag.need("Key")?.to_owned(), tag.need("Value")?.to_owned())))
        .collect::<Result<Vec<_>, Error>>()?;
    let keys: BTreeSet<_> = tags.iter().map(|(key, _)| key).collect();
    if keys.len() != tags.len() {
        return Err(Error::with(ErrorCode::InvalidRequest, "Duplicate Tag Keys are not allowed."));
    }
    Ok(ObjectFilter {
        prefix: element.child("Prefix")?.map(|prefix| prefix.text.clone()),
        tags,
        access_point,
    })
}

pub(super) fn write(filter: Option<&ObjectFilter>, xml: &mut Writer) {
    let Some(filter) = filter else { return };
    let parts =
        usize::from(filter.prefix.is_some()) + filter.tags.len() + usize::from(filter.access_point.is_some());
    xml.element("Filter", |xml| {
        let all = |xml: &mut Writer| write_inner(filter, xml);
        if parts > 1 { xml.element("And", all) } else { all(xml) }
    });
}

pub(super) fn write_inner(filter: &ObjectFilter, xml: &mut Writer) {
    write_prefix_and_tags(filter.prefix.as_deref(), &filter.tags, xml);
    xml.maybe("AccessPointArn", filter.access_point.as_deref());
}

pub(super) fn write_prefix_and_tags(prefix: Option<&str>, tags: &[(String, String)], xml: &mut Writer) {
    xml.maybe("Prefix", prefix);
    for (key, value) in tags {
        xml.element("Tag", |xml| {
            xml.text("Key", key);
            xml.text("Value", value);
        });
    }
}

/// `qcs::cos:REGION::NAME` on COS, `arn:aws:s3:::NAME` on S3.
pub(super) fn bucket(element: &Element, dialect: &Dialect) -> Result<BucketRef, Error> {
    let text = element.text_of("Bucket")?.ok_or_else(malformed)?;
    let parts: Vec<_> = text.split(':').collect();
    let found = match (dialect.name, &parts[..]) {
        (DialectName::Cos, ["qcs", "", "cos", region, "", name]) => Some((*name, Some((*region).to_owned()))),
        (DialectName::S3, ["arn", "aws" | "aws-cn" | "aws-us-gov", "s3", "", "", name]) => {
            Some((*name, None))
        }
        _ => None,
    };
    match found {
        Some((name, region)) if BucketName::new(name).is_ok() => {
            Ok(BucketRef { name: name.to_owned(), region: region.filter(|region| !region.is_empty()) })
        }
        _ => Err(argument("The bucket is not a well-formed resource.")
            .detail("ArgumentName", "Bucket")
            .detail("ArgumentValue", text)),
    }
}

pub(super) fn write_bucket(bucket: &BucketRef, dialect: &Dialect, xml: &mut Writer) {
    let name = &bucket.name;
    xml.text(
        "Bucket",
        &match dialect.name {
            DialectName::Cos => format!("qcs::cos:{}::{name}", bucket.region.as_deref().unwrap_or_default()),
            DialectName::S3 => format!("arn:aws:s3:::{name}"),
        },
    );
}

/// `Status` within an element.
pub(super) fn status(element: &Element) -> Result<Status, Error> {
    Ok(match enabled(element, "Status")?.ok_or_else(malformed)? {
        true => Status::Enabled,
        false => Status::Disabled,
    })
}

/// The `Status` of a child that need not be there.
pub(super) fn status_in(element: &Element, name: &str) -> Result<Option<Status>, Error> {
    element.child(name)?.map(status).transpose()
}

/// One of two words for yes and no; COS's SDKs write them with a capital as well.
pub(super) fn boolean(element: &Element, name: &str) -> Result<Option<bool>, Error> {
    match element.text_of(name)?.map(str::to_ascii_lowercase).as_deref() {
        None => Ok(None),
        Some("true") => Ok(Some(true)),
        Some("false") => Ok(Some(false)),
        Some(_) => Err(malformed()),
    }
}

pub(super) fn number(element: &Element, name: &str) -> Result<Option<u32>, Error> {
    element.text_of(name)?.map(|text| text.parse().map_err(|_| malformed())).transpose()
}

pub(super) fn text(element: &Element, name: &str) -> Result<Option<String>, Error> {
    Ok(element.text_of(name)?.map(str::to_owned))
}

const ID_MAX: usize = 64;

/// The `Id` of one of several; letters, digits and `-_.` (both services).
pub(super) fn id(root: &Element) -> Result<String, Error> {
    let id = root.text_of("Id")?.ok_or_else(malformed)?;
    if id.len() > ID_MAX || !id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)) {
        return Err(argument("The ID is not valid: at most 64 letters, digits, '-', '_' and '.'.")
            .detail("ArgumentName", "Id")
            .detail("ArgumentValue", id));
    }
    Ok(id.to_owned())
}
