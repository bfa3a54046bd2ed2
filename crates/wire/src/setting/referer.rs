//! `RefererConfiguration` (cos-api 3.3). COS has no operation to remove it: an empty body does.

use cosette_model::Error;
use cosette_model::setting::{Referer, Status};

use super::{enabled, malformed};
use crate::xml::{Element, Writer};

pub(super) fn read(root: &Element) -> Result<Option<Referer>, Error> {
    if root.children.is_empty() {
        return Ok(None);
    }
    let status = match enabled(root, "Status")?.ok_or_else(malformed)? {
        true => Status::Enabled,
        false => Status::Disabled,
    };
    let white = match root.text_of("RefererType")? {
        Some("White-List") => true,
        Some("Black-List") => false,
        _ => return Err(malformed()),
    };
    let list = root.child("DomainList")?.ok_or_else(malformed)?;
    let domains: Vec<_> = list.all("Domain").map(|domain| domain.text.trim().to_owned()).collect();
    if domains.is_empty() || domains.iter().any(String::is_empty) {
        return Err(malformed());
    }
    let allow_empty = match root.text_of("EmptyReferConfiguration")? {
        Some("Allow") => true,
        Some("Deny") | None => false,
        Some(_) => return Err(malformed()),
    };
    let signed_too = enabled(root, "VerifySignatureURL")?.unwrap_or(false);
    Ok(Some(Referer { status, white, domains, allow_empty, signed_too }))
}

pub(super) fn write(referer: &Referer, xml: &mut Writer) {
    xml.text("Status", referer.status.name());
    xml.text("RefererType", if referer.white { "White-List" } else { "Black-List" });
    xml.element("DomainList", |xml| {
        for domain in &referer.domains {
            xml.text("Domain", domain);
        }
    });
    xml.text("EmptyReferConfiguration", if referer.allow_empty { "Allow" } else { "Deny" });
    if referer.signed_too {
        xml.text("VerifySignatureURL", "Enabled");
    }
}
