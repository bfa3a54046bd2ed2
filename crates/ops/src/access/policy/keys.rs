//! The keys of conditions, by service, and what the facts of a request call them (AWS global condition
//! context keys; S3's and COS's lists of condition keys; CAM's general ones).

/// AWS's keys for any service. Those of organizations, VPCs, other services and identity providers are
/// known and never there; of principals there are no tags.
const AWS: &[&str] = &[
    "calledvia",
    "calledviafirst",
    "calledvialast",
    "chatbotsourcearn",
    "currenttime",
    "ec2instancesourceprivateipv4",
    "ec2instancesourcevpc",
    "epochtime",
    "federatedprovider",
    "multifactorauthage",
    "multifactorauthpresent",
    "principalaccount",
    "principalarn",
    "principalisawsservice",
    "principalorgid",
    "principalorgpaths",
    "principalservicename",
    "principalservicenameslist",
    "principaltype",
    "referer",
    "requestedregion",
    "resourceaccount",
    "resourceorgid",
    "resourceorgpaths",
    "securetransport",
    "sourceaccount",
    "sourcearn",
    "sourceidentity",
    "sourceip",
    "sourceorgid",
    "sourceorgpaths",
    "sourceowner",
    "sourcevpc",
    "sourcevpcarn",
    "sourcevpce",
    "tagkeys",
    "tokenissuetime",
    "useragent",
    "userid",
    "username",
    "viaawsservice",
    "vpceaccount",
    "vpceorgid",
    "vpceorgpaths",
    "vpcsourceip",
];

/// S3's own. Those of access points, grants, jobs and replication are known and never there.
const S3: &[&str] = &[
    "accessgrantsinstancearn",
    "accesspointnetworkorigin",
    "authtype",
    "dataaccesspointaccount",
    "dataaccesspointarn",
    "delimiter",
    "destinationregion",
    "existingjoboperation",
    "existingjobpriority",
    "if-match",
    "if-none-match",
    "inventoryaccessibleoptionalfields",
    "isreplicationpauserequest",
    "jobsuspendedcause",
    "locationconstraint",
    "max-keys",
    "object-lock-legal-hold",
    "object-lock-mode",
    "object-lock-remaining-retention-days",
    "object-lock-retain-until-date",
    "objectcreationoperation",
    "prefix",
    "requestjoboperation",
    "requestjobpriority",
    "requestobjecttagkeys",
    "resourceaccount",
    "signatureage",
    "signatureversion",
    "tlsversion",
    "versionid",
    "x-amz-acl",
    "x-amz-content-sha256",
    "x-amz-copy-source",
    "x-amz-grant-full-control",
    "x-amz-grant-read",
    "x-amz-grant-read-acp",
    "x-amz-grant-write",
    "x-amz-grant-write-acp",
    "x-amz-metadata-directive",
    "x-amz-object-ownership",
    "x-amz-server-side-encryption",
    "x-amz-server-side-encryption-aws-kms-key-id",
    "x-amz-server-side-encryption-customer-algorithm",
    "x-amz-storage-class",
    "x-amz-website-redirect-location",
];

/// COS's own, besides every `x-cos-` header.
const COS: &[&str] = &[
    "content-length",
    "content-type",
    "delimiter",
    "host",
    "if-match",
    "if-none-match",
    "max-keys",
    "prefix",
    "referer",
    "response-cache-control",
    "response-content-disposition",
    "response-content-encoding",
    "response-content-language",
    "response-content-type",
    "response-expires",
    "versionid",
];

/// Keys that narrow "everybody" down (S3, "The meaning of public").
pub(super) const NARROW: &[&str] = &[
    "sourceip",
    "sourcevpc",
    "sourcevpce",
    "vpcsourceip",
    "sourcearn",
    "sourceaccount",
    "sourceowner",
    "principalarn",
    "principalaccount",
    "principalorgid",
    "principalorgpaths",
    "userid",
    "dataaccesspointarn",
    "dataaccesspointaccount",
];

/// What facts call the key. `aws:SourceIp` and `qcs:ip` are one, so are `s3:x-amz-acl` and `cos:x-cos-acl`.
pub(super) fn fact(text: &str) -> Result<String, String> {
    let found = text.split_once(':').and_then(|(service, name)| {
        let (service, lower) = (service.to_ascii_lowercase(), name.to_ascii_lowercase());
        if let Some((kind, tag)) = name.split_once('/').filter(|(_, tag)| !tag.is_empty()) {
            let kind = kind.to_ascii_lowercase().replace(['-', '_'], "");
            let kinds: &[&str] = match service.as_str() {
                "aws" => &["principaltag", "requesttag", "resourcetag"],
                "s3" | "cos" => &["existingobjecttag", "requestobjecttag"],
                _ => &[],
            };
            return kinds.contains(&kind.as_str()).then(|| format!("{kind}/{tag}"));
        }
        let of = |list: &[&str], fact: &str| list.contains(&lower.as_str()).then(|| fact.to_owned());
        match service.as_str() {
            "aws" => of(AWS, &lower),
            "s3" => of(S3, &lower.replacen("x-amz-", "x-", 1)),
            "cos" => match lower.as_str() {
                "secure-transport" => Some("securetransport".to_owned()),
                "tls-version" => Some("tlsversion".to_owned()),
                "user-agent" => Some("useragent".to_owned()),
                "request-object-tag-keys" => Some("requestobjecttagkeys".to_owned()),
                header if header.strip_prefix("x-cos-").is_some_and(|rest| !rest.is_empty()) => {
                    Some(header.replacen("x-cos-", "x-", 1))
                }
                _ => of(COS, &lower),
            },
            "qcs" => match lower.as_str() {
                "ip" => Some("sourceip".to_owned()),
                "current_time" => Some("currenttime".to_owned()),
                "vpc" => Some("sourcevpc".to_owned()),
                "uin" => Some("uin".to_owned()),
                "owner_uin" => Some("owner_uin".to_owned()),
                // Values are `key&value`.
                "resource_tag" | "request_tag" => Some(lower.clone()),
                "secure-transport" => Some("securetransport".to_owned()),
                _ => None,
            },
            "vpc" => (lower == "requester_vpc").then(|| "sourcevpc".to_owned()),
            _ => None,
        }
    });
    found.ok_or_else(|| format!("Policy has an invalid condition key - {text}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_their_services() {
        for (text, known) in [
            ("aws:SourceIp", Some("sourceip")),
            ("qcs:ip", Some("sourceip")),
            ("s3:x-amz-acl", Some("x-acl")),
            ("cos:x-cos-acl", Some("x-acl")),
            ("cos:x-cos-forbid-overwrite", Some("x-forbid-overwrite")),
            ("s3:RequestObjectTag/Team", Some("requestobjecttag/Team")),
            ("aws:PrincipalTag/Team", Some("principaltag/Team")),
            ("s3:signatureAge", Some("signatureage")),
            ("vpc:requester_vpc", Some("sourcevpc")),
            ("aws:prefix", None),
            ("s3:x-amz-colour", None),
            ("s3:SourceIp", None),
            ("aws:RequestTag/", None),
            ("ec2:Region", None),
            ("prefix", None),
        ] {
            assert_eq!(fact(text).ok().as_deref(), known, "{text}");
        }
    }
}
