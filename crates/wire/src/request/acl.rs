//! Access control lists as requests carry them: canned names, grant headers, documents
//! (cos-api 2.13; S3 API reference, `PutObjectAcl`).

use cosette_model::op::{AskedAcl, CannedAcl, NewAcl};
use cosette_model::{Error, ErrorCode, Grant, Grantee, Permission};

use super::{Incoming, invalid};
use crate::header::{self, Concept};
use crate::xml::Element;
use crate::{Accounts, DialectName};

const GRANT_HEADERS: [(Concept, Permission); 5] = [
    (header::GRANT_READ, Permission::Read),
    (header::GRANT_WRITE, Permission::Write),
    (header::GRANT_READ_ACP, Permission::ReadAcp),
    (header::GRANT_WRITE_ACP, Permission::WriteAcp),
    (header::GRANT_FULL_CONTROL, Permission::FullControl),
];

impl Incoming<'_> {
    /// What the headers say of the list of what is made.
    pub(super) fn asked_acl(&self) -> Result<AskedAcl, Error> {
        let canned = match self.headers.concept(header::ACL)? {
            None => None,
            Some(name) => Some(canned(name, self.dialect).ok_or_else(|| {
                invalid(header::ACL.of(self.dialect), name, "The canned ACL is not known.")
            })?),
        };
        let mut grants = Vec::new();
        for (concept, permission) in GRANT_HEADERS {
            let Some(text) = self.headers.concept(concept)? else { continue };
            for part in text.split(',').filter(|part| !part.trim().is_empty()) {
                let grantee = self.named_grantee(part.trim(), concept.of(self.dialect), text)?;
                grants.push(Grant { grantee, permission });
            }
        }
        Ok(AskedAcl { canned, grants })
    }

    /// `id="..."`, `uri="..."` or `emailAddress="..."`.
    fn named_grantee(&self, part: &str, header: &str, whole: &str) -> Result<Grantee, Error> {
        let wrong = || invalid(header, whole, "Argument format not recognized");
        let (kind, value) = part.split_once('=').ok_or_else(wrong)?;
        let value = value.trim().trim_matches('"');
        match kind.trim().to_ascii_lowercase().as_str() {
            "id" => account(value, self.dialect, self.accounts),
            "uin" if self.dialect == DialectName::Cos => account(value, self.dialect, self.accounts),
            "uri" => group(value),
            "emailaddress" => Err(Error::new(ErrorCode::UnresolvableGrantByEmailAddress)),
            _ => Err(wrong()),
        }
    }

    /// Headers, else a document; headers win (cos-api 2.13).
    pub(super) async fn new_acl(self) -> Result<NewAcl, Error> {
        let asked = self.asked_acl()?;
        let (dialect, accounts) = (self.dialect, self.accounts);
        let document = self.payload.into_document(&self.headers, self.config.xml_bytes_max).await?;
        if !asked.is_empty() {
            return Ok(NewAcl::Asked(asked));
        }
        if document.trim_ascii().is_empty() {
            return Err(ErrorCode::MissingSecurityHeader.into());
        }
        read(&document, dialect, accounts)
    }
}

/// AWS's account for the service that starts machines from images in S3 (EC2, "Bundle an instance").
pub(crate) const MACHINE_IMAGES: &str = "6aa5a366c34c1cbe25dc49211496e913e0351eb0e8c37aa3477e40942ec6b97c";

fn canned(name: &str, dialect: DialectName) -> Option<CannedAcl> {
    Some(match name {
        "default" => CannedAcl::Default,
        "private" => CannedAcl::Private,
        "public-read" => CannedAcl::PublicRead,
        "public-read-write" => CannedAcl::PublicReadWrite,
        "authenticated-read" => CannedAcl::AuthenticatedRead,
        "bucket-owner-read" => CannedAcl::BucketOwnerRead,
        "bucket-owner-full-control" => CannedAcl::BucketOwnerFullControl,
        "log-delivery-write" => CannedAcl::LogDeliveryWrite,
        "aws-exec-read" if dialect == DialectName::S3 => CannedAcl::AwsExecRead,
        _ => return None,
    })
}

/// An `AccessControlPolicy`; one that is none has a code of its own on S3.
pub(crate) fn read(document: &[u8], dialect: DialectName, accounts: &dyn Accounts) -> Result<NewAcl, Error> {
    read_xml(document, dialect, accounts).map_err(|error| match error.code {
        ErrorCode::MalformedXml => ErrorCode::MalformedAcl.into(),
        _ => error,
    })
}

fn read_xml(document: &[u8], dialect: DialectName, accounts: &dyn Accounts) -> Result<NewAcl, Error> {
    let malformed = || Error::new(ErrorCode::MalformedXml);
    let root = Element::parse(document, "AccessControlPolicy")?;
    let owner = match root.child("Owner")?.map(|owner| owner.text_of("ID")).transpose()?.flatten() {
        None => None,
        Some(id) => match account(id, dialect, accounts)? {
            Grantee::Account(uin) => Some(uin),
            _ => return Err(malformed()),
        },
    };
    let list = root.child("AccessControlList")?.ok_or_else(malformed)?;
    let mut grants = Vec::new();
    for grant in list.all("Grant") {
        let grantee = grantee(grant.child("Grantee")?.ok_or_else(malformed)?, dialect, accounts)?;
        let permission = match grant.need("Permission")?.trim() {
            "READ" => Permission::Read,
            "WRITE" => Permission::Write,
            "READ_ACP" => Permission::ReadAcp,
            "WRITE_ACP" => Permission::WriteAcp,
            "FULL_CONTROL" => Permission::FullControl,
            _ => return Err(malformed()),
        };
        grants.push(Grant { grantee, permission });
    }
    Ok(NewAcl::Document { owner, grants })
}

/// Whom a `Grantee` names.
pub(crate) fn grantee(
    named: &Element,
    dialect: DialectName,
    accounts: &dyn Accounts,
) -> Result<Grantee, Error> {
    match (named.text_of("ID")?, named.text_of("URI")?, named.text_of("EmailAddress")?) {
        (Some(id), None, None) => account(id, dialect, accounts),
        (None, Some(uri), None) => group(uri),
        (None, None, Some(_)) => Err(ErrorCode::UnresolvableGrantByEmailAddress.into()),
        _ => Err(ErrorCode::MalformedXml.into()),
    }
}

/// An account by its id: 64 hexadecimal digits on S3; on COS its UIN, `owner/sub`, or the CAM name.
/// A sub-account is kept as `owner/sub`.
fn account(id: &str, dialect: DialectName, accounts: &dyn Accounts) -> Result<Grantee, Error> {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let cam = || {
        if id == "qcs::cam::anyone:anyone" {
            return Some(Grantee::AllUsers);
        }
        let (owner, sub) = match id.strip_prefix("qcs::cam::uin/") {
            Some(rest) => rest.split_once(":uin/")?,
            None => id.split_once('/').unwrap_or((id, id)),
        };
        let same = owner == sub;
        (digits(owner) && digits(sub))
            .then(|| Grantee::Account(if same { owner.to_owned() } else { format!("{owner}/{sub}") }))
    };
    let known = || accounts.uin_of_canonical_id(id).map(Grantee::Account);
    if dialect == DialectName::S3 && id == MACHINE_IMAGES {
        return Ok(Grantee::MachineImages);
    }
    match dialect {
        DialectName::Cos => cam().or_else(known),
        DialectName::S3 => known(),
    }
    .ok_or_else(|| invalid("CanonicalUser/ID", id, "Invalid id"))
}

/// A group, in either service's spelling.
fn group(uri: &str) -> Result<Grantee, Error> {
    let name = ["http://acs.amazonaws.com/groups/", "http://cam.qcloud.com/groups/"]
        .iter()
        .find_map(|service| uri.strip_prefix(service));
    Ok(match name {
        Some("global/AllUsers") => Grantee::AllUsers,
        Some("global/AuthenticatedUsers") => Grantee::AuthenticatedUsers,
        Some("s3/LogDelivery") => Grantee::LogDelivery,
        _ => return Err(invalid("Group/URI", uri, "Invalid group uri")),
    })
}
