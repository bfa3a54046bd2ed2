//! Access control lists, policies, public access block and object ownership.

use bytes::Bytes;
use cosette_model::op::reply::NamedGrant;
use cosette_model::op::{ObjectOwnership, Owner, PublicAccessBlock};
use cosette_model::{Grantee, Permission, canonical_id};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};

use super::{Answer, pair};
use crate::ReplyBody;
use crate::request::MACHINE_IMAGES;
use crate::xml::Writer;

const XSI: &str = "http://www.w3.org/2001/XMLSchema-instance";

impl Answer<'_> {
    pub(super) fn acl(&mut self, owner: &Owner, grants: &[NamedGrant]) {
        let mut xml = self.xml("AccessControlPolicy");
        let (id, name) = self.account(&owner.uin, &owner.name);
        pair(&mut xml, "Owner", &id, &name);
        xml.element("AccessControlList", |xml| {
            for NamedGrant { grant, name } in grants {
                xml.element("Grant", |xml| {
                    self.grantee(xml, &grant.grantee, name);
                    xml.text(
                        "Permission",
                        match grant.permission {
                            Permission::Read => "READ",
                            Permission::Write => "WRITE",
                            Permission::ReadAcp => "READ_ACP",
                            Permission::WriteAcp => "WRITE_ACP",
                            Permission::FullControl => "FULL_CONTROL",
                        },
                    );
                });
            }
        });
        let document = xml.finish();
        self.document(document);
    }

    /// Clients look for the literal `xsi:type` and its namespace on the element itself (cos-api 2.13).
    fn grantee(&self, xml: &mut Writer, grantee: &Grantee, name: &str) {
        let kind = match grantee {
            Grantee::Account(_) | Grantee::MachineImages => "CanonicalUser",
            Grantee::AllUsers | Grantee::AuthenticatedUsers | Grantee::LogDelivery => "Group",
        };
        xml.element_with("Grantee", &[("xmlns:xsi", XSI), ("xsi:type", kind)], |xml| {
            let service = if self.is_cos() { "cam.qcloud.com" } else { "acs.amazonaws.com" };
            let group = match grantee {
                Grantee::Account(uin) => {
                    let (id, name) = self.account(uin, name);
                    xml.text("ID", &id);
                    xml.text("DisplayName", &name);
                    return;
                }
                Grantee::MachineImages => {
                    xml.text("ID", MACHINE_IMAGES);
                    xml.text("DisplayName", name);
                    return;
                }
                Grantee::AllUsers => "global/AllUsers",
                Grantee::AuthenticatedUsers => "global/AuthenticatedUsers",
                Grantee::LogDelivery => "s3/LogDelivery",
            };
            xml.text("URI", &format!("http://{service}/groups/{group}"));
        });
    }

    /// Id and name of an account; COS shows the CAM name as both.
    fn account(&self, uin: &str, name: &str) -> (String, String) {
        if self.is_cos() {
            let (owner, sub) = uin.split_once('/').unwrap_or((uin, uin));
            let id = format!("qcs::cam::uin/{owner}:uin/{sub}");
            (id.clone(), id)
        } else {
            (canonical_id(uin), name.to_owned())
        }
    }

    pub(super) fn json(&mut self, text: Vec<u8>) {
        self.name(CONTENT_TYPE, "application/json");
        self.response.headers_mut().insert(CONTENT_LENGTH, text.len().into());
        *self.response.body_mut() = ReplyBody::Full(Bytes::from(text));
    }

    pub(super) fn policy_status(&mut self, public: bool) {
        let mut xml = self.xml("PolicyStatus");
        xml.value("IsPublic", public);
        let document = xml.finish();
        self.document(document);
    }

    pub(super) fn public_access_block(&mut self, block: PublicAccessBlock) {
        let mut xml = self.xml("PublicAccessBlockConfiguration");
        xml.value("BlockPublicAcls", block.block_public_acls);
        xml.value("IgnorePublicAcls", block.ignore_public_acls);
        xml.value("BlockPublicPolicy", block.block_public_policy);
        xml.value("RestrictPublicBuckets", block.restrict_public_buckets);
        let document = xml.finish();
        self.document(document);
    }

    pub(super) fn ownership(&mut self, ownership: ObjectOwnership) {
        let mut xml = self.xml("OwnershipControls");
        xml.element("Rule", |xml| {
            xml.text(
                "ObjectOwnership",
                match ownership {
                    ObjectOwnership::BucketOwnerEnforced => "BucketOwnerEnforced",
                    ObjectOwnership::BucketOwnerPreferred => "BucketOwnerPreferred",
                    ObjectOwnership::ObjectWriter => "ObjectWriter",
                },
            );
        });
        let document = xml.finish();
        self.document(document);
    }
}
