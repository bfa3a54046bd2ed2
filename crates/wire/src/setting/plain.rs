//! Settings whose documents have few elements (cos-api 3.3, and the S3 API reference).

use cosette_model::setting::{Accelerate, DomainKind, DomainRule, Domains, ForcedBy, RequestPayment, Status};
use cosette_model::{Error, ErrorCode};

use super::malformed;
use crate::host;
use crate::xml::{Element, Writer};

/// `AccelerateConfiguration{ Status=Enabled|Suspended, Type?=COS }`
pub(super) fn read_accelerate(root: &Element) -> Result<Accelerate, Error> {
    match root.text_of("Status")? {
        Some("Enabled") => Ok(Accelerate { status: Status::Enabled }),
        Some("Suspended") => Ok(Accelerate { status: Status::Disabled }),
        _ => Err(malformed()),
    }
}

pub(super) fn write_accelerate(accelerate: Accelerate, cos: bool, xml: &mut Writer) {
    xml.text("Status", if accelerate.status == Status::Enabled { "Enabled" } else { "Suspended" });
    if cos {
        xml.text("Type", "COS");
    }
}

/// `RequestPaymentConfiguration{ Payer }`
pub(super) fn read_payment(root: &Element) -> Result<RequestPayment, Error> {
    match root.text_of("Payer")? {
        Some("BucketOwner") => Ok(RequestPayment::BucketOwner),
        Some("Requester") => Ok(RequestPayment::Requester),
        _ => Err(malformed()),
    }
}

pub(super) fn write_payment(payment: RequestPayment, xml: &mut Writer) {
    xml.text(
        "Payer",
        match payment {
            RequestPayment::BucketOwner => "BucketOwner",
            RequestPayment::Requester => "Requester",
        },
    );
}

const DOMAINS_MAX: usize = 20;

/// `DomainConfiguration{ DomainRule*{ Status, Name, Type, ForcedReplacement? } }`
pub(super) fn read_domains(root: &Element) -> Result<Domains, Error> {
    let rules = root.all("DomainRule").map(domain).collect::<Result<Vec<_>, _>>()?;
    if rules.is_empty() || rules.len() > DOMAINS_MAX {
        return Err(malformed());
    }
    Ok(Domains { rules })
}

fn domain(rule: &Element) -> Result<DomainRule, Error> {
    let name = rule.text_of("Name")?.ok_or_else(malformed)?;
    let label = |label: &str| {
        !label.is_empty() && label.len() < 64 && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    // A request by an address or by a name of the services never asks what it is bound to.
    let own = host::is_own(&name.to_ascii_lowercase());
    if name.len() > 253 || !own || !name.split('.').all(label) {
        return Err(Error::with(ErrorCode::InvalidArgument, "The domain name is not valid."));
    }
    Ok(DomainRule {
        status: match rule.text_of("Status")? {
            Some("ENABLED") => Status::Enabled,
            Some("DISABLED") => Status::Disabled,
            _ => return Err(malformed()),
        },
        name: name.to_owned(),
        kind: match rule.text_of("Type")? {
            Some("REST") => DomainKind::Rest,
            Some("WEBSITE") => DomainKind::Website,
            Some("ACCELERATE") => DomainKind::Accelerate,
            _ => return Err(malformed()),
        },
        force: match rule.text_of("ForcedReplacement")? {
            None => None,
            Some("CNAME") => Some(ForcedBy::Cname),
            Some("TXT") => Some(ForcedBy::Txt),
            Some(_) => return Err(malformed()),
        },
    })
}

pub(super) fn write_domains(domains: &Domains, xml: &mut Writer) {
    for rule in &domains.rules {
        xml.element("DomainRule", |xml| {
            xml.text("Status", if rule.status == Status::Enabled { "ENABLED" } else { "DISABLED" });
            xml.text("Name", &rule.name);
            xml.text(
                "Type",
                match rule.kind {
                    DomainKind::Rest => "REST",
                    DomainKind::Website => "WEBSITE",
                    DomainKind::Accelerate => "ACCELERATE",
                },
            );
            match rule.force {
                None => {}
                Some(ForcedBy::Cname) => xml.text("ForcedReplacement", "CNAME"),
                Some(ForcedBy::Txt) => xml.text("ForcedReplacement", "TXT"),
            }
        });
    }
}
