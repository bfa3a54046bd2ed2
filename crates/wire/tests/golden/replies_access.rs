//! Replies about who may do what.

use cosette_model::op::reply::{self, NamedGrant};
use cosette_model::op::{ObjectOwnership, PublicAccessBlock, Reply};
use cosette_model::{Error, ErrorCode, Grant, Grantee, Permission};

use super::owner;

fn grants() -> Vec<NamedGrant> {
    let grant = |grantee, permission, name: &str| NamedGrant {
        grant: Grant { grantee, permission },
        name: name.to_owned(),
    };
    vec![
        grant(Grantee::Account("100000000001".into()), Permission::FullControl, "me"),
        grant(Grantee::AllUsers, Permission::Read, ""),
        grant(Grantee::AuthenticatedUsers, Permission::ReadAcp, ""),
        grant(Grantee::LogDelivery, Permission::Write, ""),
        grant(Grantee::Account("100000000001/100000000011".into()), Permission::WriteAcp, "you"),
    ]
}

pub(super) fn replies() -> Vec<(&'static str, Result<Reply, Error>)> {
    let object =
        |inherits, grants| Reply::GetObjectAcl(reply::GetObjectAcl { owner: owner(), grants, inherits });
    let block = PublicAccessBlock { block_public_acls: true, ignore_public_acls: true, ..Default::default() };
    vec![
        ("PutBucketAcl", Ok(Reply::PutBucketAcl(reply::PutBucketAcl {}))),
        (
            "GetBucketAcl: every grantee",
            Ok(Reply::GetBucketAcl(reply::GetBucketAcl { owner: owner(), grants: grants() })),
        ),
        ("PutObjectAcl", Ok(Reply::PutObjectAcl(reply::PutObjectAcl {}))),
        ("GetObjectAcl: its own", Ok(object(false, grants().drain(..2).collect()))),
        ("GetObjectAcl: its bucket's", Ok(object(true, grants().drain(..1).collect()))),
        ("PutBucketPolicy", Ok(Reply::PutBucketPolicy(reply::PutBucketPolicy {}))),
        (
            "GetBucketPolicy",
            Ok(Reply::GetBucketPolicy(reply::GetBucketPolicy { policy: b"{\"a\": 1}".into() })),
        ),
        ("DeleteBucketPolicy", Ok(Reply::DeleteBucketPolicy(reply::DeleteBucketPolicy {}))),
        (
            "GetBucketPolicyStatus",
            Ok(Reply::GetBucketPolicyStatus(reply::GetBucketPolicyStatus { public: true })),
        ),
        ("PutPublicAccessBlock", Ok(Reply::PutPublicAccessBlock(reply::PutPublicAccessBlock {}))),
        ("GetPublicAccessBlock", Ok(Reply::GetPublicAccessBlock(reply::GetPublicAccessBlock { block }))),
        ("DeletePublicAccessBlock", Ok(Reply::DeletePublicAccessBlock(reply::DeletePublicAccessBlock {}))),
        (
            "PutBucketOwnershipControls",
            Ok(Reply::PutBucketOwnershipControls(reply::PutBucketOwnershipControls {})),
        ),
        (
            "GetBucketOwnershipControls",
            Ok(Reply::GetBucketOwnershipControls(reply::GetBucketOwnershipControls {
                ownership: ObjectOwnership::BucketOwnerPreferred,
            })),
        ),
        (
            "DeleteBucketOwnershipControls",
            Ok(Reply::DeleteBucketOwnershipControls(reply::DeleteBucketOwnershipControls {})),
        ),
        ("error: no policy", Err(Error::new(ErrorCode::NoSuchBucketPolicy).detail("BucketName", "b"))),
        ("error: a list that is none", Err(ErrorCode::MalformedAcl.into())),
    ]
}
