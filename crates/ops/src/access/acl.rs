//! Access control lists: what the canned ones hold, and whom a list lets do what.

use cosette_model::op::{AskedAcl, CannedAcl};
use cosette_model::{Acl, Error, ErrorCode, Grant, Grantee, Permission};

/// Most grants of a list (both services).
const GRANTS_MAX: usize = 100;

fn grant(grantee: Grantee, permission: Permission) -> Grant {
    Grant { grantee, permission }
}

/// The list that a canned ACL stands for; `None` for an object that is to have none of its own.
/// Accounts are given by UIN.
pub(crate) fn canned(acl: CannedAcl, owner: &str, bucket_owner: &str) -> Option<Acl> {
    use Permission::{FullControl, Read, ReadAcp, Write};
    let mut grants = match acl {
        CannedAcl::Default => return None,
        CannedAcl::Private => vec![],
        CannedAcl::PublicRead => vec![grant(Grantee::AllUsers, Read)],
        CannedAcl::PublicReadWrite => vec![grant(Grantee::AllUsers, Read), grant(Grantee::AllUsers, Write)],
        CannedAcl::AuthenticatedRead => vec![grant(Grantee::AuthenticatedUsers, Read)],
        CannedAcl::LogDeliveryWrite => {
            vec![grant(Grantee::LogDelivery, Write), grant(Grantee::LogDelivery, ReadAcp)]
        }
        CannedAcl::AwsExecRead => vec![grant(Grantee::MachineImages, Read)],
        _ if owner == bucket_owner => vec![],
        CannedAcl::BucketOwnerRead => vec![grant(Grantee::Account(bucket_owner.to_owned()), Read)],
        CannedAcl::BucketOwnerFullControl => {
            vec![grant(Grantee::Account(bucket_owner.to_owned()), FullControl)]
        }
    };
    grants.push(grant(Grantee::Account(owner.to_owned()), FullControl));
    Some(Acl { grants })
}

/// What was asked for by headers. `together`: a canned ACL and grants add up (COS); else grants
/// stand alone, and both at once are refused (S3).
pub(crate) fn asked(
    asked: &AskedAcl,
    owner: &str,
    bucket_owner: &str,
    together: bool,
) -> Result<Option<Acl>, Error> {
    if asked.grants.is_empty() {
        return Ok(canned(asked.canned.unwrap_or(CannedAcl::Default), owner, bucket_owner));
    }
    if !together && asked.canned.is_some() {
        return Err(Error::with(
            ErrorCode::InvalidRequest,
            "Specifying both Canned ACLs and Header Grants is not allowed",
        ));
    }
    let mut acl = match asked.canned {
        _ if !together => Acl::default(),
        Some(known) if known != CannedAcl::Default => canned(known, owner, bucket_owner).unwrap_or_default(),
        _ => canned(CannedAcl::Private, owner, bucket_owner).unwrap_or_default(),
    };
    for grant in &asked.grants {
        if !acl.grants.contains(grant) {
            acl.grants.push(grant.clone());
        }
    }
    limited(acl).map(Some)
}

/// The list, unless it is too long.
pub(crate) fn limited(acl: Acl) -> Result<Acl, Error> {
    if acl.grants.len() > GRANTS_MAX { Err(ErrorCode::AttachmentFull.into()) } else { Ok(acl) }
}

/// Whether the list grants anything to everybody, or to everybody with an account.
pub(crate) fn is_public(acl: &Acl) -> bool {
    acl.grants.iter().any(|grant| matches!(grant.grantee, Grantee::AllUsers | Grantee::AuthenticatedUsers))
}

/// Whether the list grants the permission to an account, or to nobody known.
pub(crate) fn grants(acl: &Acl, account: Option<&str>, permission: Permission, heed_public: bool) -> bool {
    acl.grants.iter().any(|grant| {
        let covers = grant.permission == permission || grant.permission == Permission::FullControl;
        covers
            && match &grant.grantee {
                Grantee::Account(uin) => account == Some(uin),
                Grantee::AllUsers => heed_public,
                Grantee::AuthenticatedUsers => heed_public && account.is_some(),
                Grantee::LogDelivery | Grantee::MachineImages => false,
            }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(acl: CannedAcl) -> Acl {
        canned(acl, "1", "2").unwrap_or_default()
    }

    #[test]
    fn canned_lists_let_in_whom_they_say() {
        let read = |acl, who| grants(&of(acl), who, Permission::Read, true);
        assert!(read(CannedAcl::Private, Some("1")) && !read(CannedAcl::Private, Some("2")));
        assert!(read(CannedAcl::PublicRead, None));
        assert!(!grants(&of(CannedAcl::PublicRead), None, Permission::Write, true));
        assert!(!grants(&of(CannedAcl::PublicRead), None, Permission::Read, false));
        assert!(grants(&of(CannedAcl::PublicReadWrite), None, Permission::Write, true));
        assert!(read(CannedAcl::AuthenticatedRead, Some("3")) && !read(CannedAcl::AuthenticatedRead, None));
        assert!(read(CannedAcl::BucketOwnerRead, Some("2")));
        assert!(!grants(&of(CannedAcl::BucketOwnerRead), Some("2"), Permission::WriteAcp, true));
        assert!(grants(&of(CannedAcl::BucketOwnerFullControl), Some("2"), Permission::WriteAcp, true));
        assert_eq!(canned(CannedAcl::Default, "1", "1"), None);
    }

    #[test]
    fn grants_and_canned_lists_add_up_on_one_service_only() {
        let grant = grant(Grantee::Account("9".into()), Permission::Read);
        let both = AskedAcl { canned: Some(CannedAcl::PublicRead), grants: vec![grant.clone()] };
        assert_eq!(
            asked(&both, "1", "1", true).map(|acl| acl.map(|acl| acl.grants.len())).ok(),
            Some(Some(3))
        );
        assert!(asked(&both, "1", "1", false).is_err());
        let alone = AskedAcl { canned: None, grants: vec![grant.clone()] };
        assert_eq!(asked(&alone, "1", "1", false).ok(), Some(Some(Acl { grants: vec![grant] })));
    }
}
