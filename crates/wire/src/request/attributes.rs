//! What a write stores besides the bytes: content headers, user metadata, storage class.

use std::collections::BTreeMap;

use cosette_model::{Attributes, Error, ErrorCode, StorageClass};

use crate::DialectName;
use crate::header::{self, Headers};

/// Most user metadata, names and values together, in bytes (cos-api 3.7, and S3 alike).
pub(crate) const METADATA_BYTES_MAX: usize = 2048;

pub(super) fn read(headers: &Headers) -> Result<Attributes, Error> {
    let get = |name: &str| Ok::<_, Error>(headers.get(name)?.map(str::to_owned));
    Ok(Attributes {
        content_type: get("content-type")?,
        cache_control: get("cache-control")?,
        content_disposition: get("content-disposition")?,
        content_encoding: content_encoding(headers)?,
        content_language: get("content-language")?,
        expires: get("expires")?,
        user: user(headers)?,
        storage_class: storage_class(headers)?,
        website_redirect: website_redirect(headers)?,
    })
}

/// The encoding of what is stored: `aws-chunked` is one of the transfer only.
fn content_encoding(headers: &Headers) -> Result<Option<String>, Error> {
    let Some(text) = headers.get("content-encoding")? else { return Ok(None) };
    if !text.to_ascii_lowercase().contains("aws-chunked") {
        return Ok(Some(text.to_owned()));
    }
    let kept: Vec<_> = text
        .split(',')
        .map(str::trim)
        .filter(|coding| !coding.is_empty() && !coding.eq_ignore_ascii_case("aws-chunked"))
        .collect();
    Ok((!kept.is_empty()).then(|| kept.join(",")))
}

/// Both services' metadata prefixes lead to one namespace of lower-case names.
fn user(headers: &Headers) -> Result<BTreeMap<String, String>, Error> {
    let mut user: BTreeMap<String, String> = BTreeMap::new();
    for entry in headers.all() {
        let (name, value) = entry?;
        let Some(name) = header::META.strip(name).filter(|name| !name.is_empty()) else { continue };
        user.entry(name.to_owned())
            .and_modify(|old| {
                old.push(',');
                old.push_str(value);
            })
            .or_insert_with(|| value.to_owned());
    }
    let bytes: usize = user.iter().map(|(name, value)| name.len() + value.len()).sum();
    if bytes > METADATA_BYTES_MAX {
        return Err(Error::new(ErrorCode::MetadataTooLarge)
            .detail("Size", bytes.to_string())
            .detail("MaxSizeAllowed", METADATA_BYTES_MAX.to_string()));
    }
    Ok(user)
}

fn website_redirect(headers: &Headers) -> Result<Option<String>, Error> {
    let Some(to) = headers.concept(header::WEBSITE_REDIRECT)? else { return Ok(None) };
    if !["/", "http://", "https://"].iter().any(|start| to.starts_with(start)) {
        return Err(Error::with(
            ErrorCode::InvalidRedirectLocation,
            "The website redirect location must have a prefix of 'http://' or 'https://' or '/'.",
        ));
    }
    Ok(Some(to.to_owned()))
}

fn storage_class(headers: &Headers) -> Result<StorageClass, Error> {
    let Some(text) = headers.concept(header::STORAGE_CLASS)? else { return Ok(StorageClass::Standard) };
    StorageClass::parse(text)
        .filter(|class| {
            headers.dialect() == DialectName::S3
                || class.in_cos() == *class
                || *class == StorageClass::ReducedRedundancy
        })
        .ok_or_else(|| Error::new(ErrorCode::NotSupportedStorageClass).detail("StorageClassRequested", text))
}
