//! What a host name says: which service's, which bucket, which region (cos-api 1.1, 1.3).

use cosette_model::Region;
use cosette_model::host::is_service;
use cosette_model::setting::{Bound, DomainKind};

/// A host name understood. The port plays no part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Host {
    pub(crate) kind: HostKind,
    /// One of COS's own names (also under `.localhost`).
    pub(crate) cos: bool,
    /// One of S3's own names.
    pub(crate) s3: bool,
    pub(crate) region: Option<Region>,
    /// One of those over which a bucket is reached faster, once its owner has said so.
    pub(crate) accelerate: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum HostKind {
    /// The bucket is in the name; not yet checked to be a valid one.
    Bucket(String),
    /// The same, where browsers find the bucket's website.
    Website(String),
    /// `service.cos...`: lists all buckets and does nothing else.
    Service,
    /// `cos.<region>...`, `s3.<region>...` or any name of our own: buckets come in the path.
    Plain,
    /// A COS host for something that is not here.
    Elsewhere,
}

/// Takes `:port` and the root dot off, lower-cases. IPv6 literals keep their brackets.
pub(crate) fn name(authority: &str) -> String {
    let end = match authority.rfind(':') {
        Some(colon) if !authority[colon..].contains(']') => colon,
        _ => authority.len(),
    };
    authority[..end].trim_end_matches('.').to_ascii_lowercase()
}

/// `:9000` of `host:9000`, else nothing.
pub(crate) fn port(authority: &str) -> &str {
    match authority.rfind(':') {
        Some(colon) if !authority[colon..].contains(']') => &authority[colon..],
        _ => "",
    }
}

impl Host {
    fn new(kind: HostKind) -> Self {
        Self { kind, cos: false, s3: false, region: None, accelerate: false }
    }

    /// A name of the user's own, which is bound to a bucket on COS.
    pub(crate) fn bound(to: &Bound) -> Self {
        let bucket = to.bucket.as_str().to_owned();
        let kind = match to.kind {
            DomainKind::Website => HostKind::Website(bucket),
            DomainKind::Rest | DomainKind::Accelerate => HostKind::Bucket(bucket),
        };
        Self {
            kind,
            cos: true,
            s3: false,
            region: Some(to.region.clone()),
            accelerate: to.kind == DomainKind::Accelerate,
        }
    }

    /// Reads a host as [`name`] gives it.
    pub(crate) fn parse(name: &str) -> Self {
        if name.is_empty() || name.starts_with('[') || is_ipv4(name) {
            return Self::new(HostKind::Plain);
        }
        let local = name.strip_suffix(".localhost");
        let bare = local.unwrap_or(name);
        for suffix in [".myqcloud.com", ".tencentcos.cn"] {
            if let Some(rest) = bare.strip_suffix(suffix) {
                let known = Self::cos_labels(&labels(rest));
                return Self { cos: true, ..known.unwrap_or_else(|| Self::new(HostKind::Elsewhere)) };
            }
        }
        for suffix in [".amazonaws.com", ".amazonaws.com.cn"] {
            if let Some(rest) = bare.strip_suffix(suffix) {
                let known = Self::s3_labels(&labels(rest));
                return Self { s3: true, ..known.unwrap_or_else(|| Self::new(HostKind::Plain)) };
            }
        }
        let labels = labels(bare);
        if local.is_some() {
            if let Some(host) = Self::cos_labels(&labels) {
                return Self { cos: true, ..host };
            }
            if let Some(host) = Self::s3_labels(&labels) {
                return Self { s3: true, ..host };
            }
            return match labels.first() {
                Some(first) if has_appid(first) => Self::new(HostKind::Bucket((*first).to_owned())),
                _ => Self::new(HostKind::Bucket(bare.to_owned())),
            };
        }
        match labels.as_slice() {
            [first, rest @ ..] if has_appid(first) && !rest.is_empty() => Self {
                region: rest
                    .get(..2)
                    .and_then(Self::cos_labels)
                    .and_then(|host| host.region)
                    .filter(|region| region.as_str().contains('-')),
                ..Self::new(HostKind::Bucket((*first).to_owned()))
            },
            ["service", "cos", ..] => Self::new(HostKind::Service),
            _ => Self::new(HostKind::Plain),
        }
    }

    /// The part of a COS name before the suffix: `bucket.cos.region`, `cos.region`, `service.cos`, ...
    fn cos_labels(labels: &[&str]) -> Option<Self> {
        let (bucket, service, place) = match labels {
            ["service", "cos" | "cos-internal"] => return Some(Self::new(HostKind::Service)),
            [bucket @ .., service, place] if service.starts_with("cos") => (bucket, *service, *place),
            // The names of the service's first years: no `cos.` and a short region (cos-api 1.1).
            [bucket, old] if has_appid(bucket) && !old.contains("cos") && !old.starts_with("s3") => {
                let mut host = Self::new(HostKind::Bucket((*bucket).to_owned()));
                host.region = old_region(old);
                return Some(host);
            }
            _ => return None,
        };
        let mut host = match service {
            "cos" | "cos-internal" if bucket.is_empty() => Self::new(HostKind::Plain),
            "cos" | "cos-internal" => Self::new(HostKind::Bucket(bucket.join("."))),
            "cos-website" | "cos-website-internal" if !bucket.is_empty() => {
                Self::new(HostKind::Website(bucket.join(".")))
            }
            "cos-website" | "cos-website-internal" | "cos-control" => Self::new(HostKind::Elsewhere),
            _ => return None,
        };
        if place == "accelerate" {
            host.accelerate = true;
        } else {
            host.region = Some(Region::new(place).ok()?);
        }
        Some(host)
    }

    /// The part of an S3 name before the suffix: `bucket.s3.region`, `s3.region`, `bucket.s3-region`, ...
    fn s3_labels(labels: &[&str]) -> Option<Self> {
        let at = labels.iter().rposition(|label| *label == "s3" || label.starts_with("s3-"))?;
        let website = labels[at].strip_prefix("s3-website");
        let mut host = match (&labels[..at], website) {
            ([], _) => Self::new(HostKind::Plain),
            (bucket, Some(_)) => Self::new(HostKind::Website(bucket.join("."))),
            (bucket, None) => Self::new(HostKind::Bucket(bucket.join("."))),
        };
        let place = match (labels[at], &labels[at + 1..]) {
            ("s3", [] | ["dualstack"]) | ("s3-website", []) | ("s3-accelerate", _) => None,
            ("s3", [.., place]) | ("s3-website", [place]) => Some(*place),
            (_, []) if website.is_some() => website.and_then(|rest| rest.strip_prefix('-')),
            (dashed, []) => dashed.strip_prefix("s3-"),
            _ => return None,
        };
        host.region = place.map(Region::new).transpose().ok()?;
        host.accelerate = labels[at] == "s3-accelerate";
        Some(host)
    }
}

/// Whether a host could be somebody's own: no address, no name of a machine here, none of a service.
pub(crate) fn is_own(name: &str) -> bool {
    name.contains('.') && !name.starts_with('[') && !is_ipv4(name) && !is_service(name)
}

fn labels(name: &str) -> Vec<&str> {
    name.split('.').collect()
}

/// Shaped like `<BucketName>-<APPID>`.
pub(crate) fn has_appid(label: &str) -> bool {
    label.rsplit_once('-').is_some_and(|(name, appid)| {
        name.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
            && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            && appid.len() >= 4
            && appid.bytes().all(|b| b.is_ascii_digit())
    })
}

fn is_ipv4(name: &str) -> bool {
    name.bytes().all(|b| b.is_ascii_digit() || b == b'.')
}

fn old_region(name: &str) -> Option<Region> {
    let now = match name {
        "cn-north" => "ap-beijing-1",
        "cn-south" => "ap-guangzhou",
        "cn-east" => "ap-shanghai",
        "cn-southwest" => "ap-chengdu",
        "sg" => "ap-singapore",
        other => other,
    };
    Region::new(now).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(authority: &str, kind: HostKind, mark: &str, region: &str) {
        let host = Host::parse(&name(authority));
        assert_eq!(host.kind, kind, "{authority}");
        assert_eq!((host.cos, host.s3), (mark == "cos", mark == "s3"), "{authority}");
        assert_eq!(host.region.as_ref().map_or("", |r| r.as_str()), region, "{authority}");
    }

    #[test]
    fn names_of_both_services_and_our_own() {
        let bucket = |name: &str| HostKind::Bucket(name.to_owned());
        let site = |name: &str| HostKind::Website(name.to_owned());
        use HostKind::{Elsewhere, Plain, Service};
        let b = "examplebucket-1250000000";
        for (authority, kind, mark, region) in [
            (&*format!("{b}.cos.ap-beijing.myqcloud.com"), bucket(b), "cos", "ap-beijing"),
            (&format!("{b}.COS.ap-beijing.MyQCloud.com:80"), bucket(b), "cos", "ap-beijing"),
            (&format!("{b}.cos.ap-beijing.tencentcos.cn"), bucket(b), "cos", "ap-beijing"),
            (&format!("{b}.cos-internal.ap-beijing.tencentcos.cn"), bucket(b), "cos", "ap-beijing"),
            (&format!("{b}.cos.accelerate.myqcloud.com"), bucket(b), "cos", ""),
            (&format!("{b}.cos-website.ap-beijing.myqcloud.com"), site(b), "cos", "ap-beijing"),
            (&format!("{b}.cos-website.ap-beijing.localhost:9000"), site(b), "cos", "ap-beijing"),
            ("cos-website.ap-beijing.myqcloud.com", Elsewhere, "cos", "ap-beijing"),
            ("a.b.s3-website-us-west-2.amazonaws.com", site("a.b"), "s3", "us-west-2"),
            ("bucket.s3-website.eu-central-1.amazonaws.com", site("bucket"), "s3", "eu-central-1"),
            (&format!("{b}.s3-website.localhost:9000"), site(b), "s3", ""),
            ("bucket.s3-website-us-west-2.localhost", site("bucket"), "s3", "us-west-2"),
            (&format!("{b}.cn-south.myqcloud.com"), bucket(b), "cos", "ap-guangzhou"),
            ("service.cos.myqcloud.com", Service, "cos", ""),
            ("service.cos.tencentcos.cn", Service, "cos", ""),
            ("cos.ap-guangzhou.myqcloud.com", Plain, "cos", "ap-guangzhou"),
            ("100000000001.cos-control.ap-guangzhou.myqcloud.com", Elsewhere, "cos", "ap-guangzhou"),
            ("ap-guangzhou.migration.myqcloud.com", Elsewhere, "cos", ""),
            ("bucket-125.cos.ap-guangzhou.myqcloud.com", bucket("bucket-125"), "cos", "ap-guangzhou"),
            (
                "bucket-125.cos.ap-guangzhou.myqcloud.com.localhost",
                bucket("bucket-125"),
                "cos",
                "ap-guangzhou",
            ),
            ("bucket-125.cos.ap-guangzhou.localhost:9000", bucket("bucket-125"), "cos", "ap-guangzhou"),
            ("service.cos.localhost", Service, "cos", ""),
            ("cos.ap-guangzhou.localhost", Plain, "cos", "ap-guangzhou"),
            ("bucket.localhost:9000", bucket("bucket"), "", ""),
            ("bucket-125.localhost", bucket("bucket-125"), "", ""),
            ("my.dotted.localhost", bucket("my.dotted"), "", ""),
            (&format!("{b}.localhost:9000"), bucket(b), "", ""),
            (&format!("{b}.cos.local:9000"), bucket(b), "", ""),
            (&format!("{b}.cos.ap-nanjing.example.com"), bucket(b), "", "ap-nanjing"),
            ("service.cos.local", Service, "", ""),
            ("bucket.s3.us-west-2.amazonaws.com", bucket("bucket"), "s3", "us-west-2"),
            ("a.b.s3.us-west-2.amazonaws.com", bucket("a.b"), "s3", "us-west-2"),
            ("examplebucket.s3.amazonaws.com", bucket("examplebucket"), "s3", ""),
            ("bucket.s3-eu-west-1.amazonaws.com", bucket("bucket"), "s3", "eu-west-1"),
            ("bucket.s3.dualstack.eu-west-1.amazonaws.com", bucket("bucket"), "s3", "eu-west-1"),
            ("s3.us-east-1.amazonaws.com", Plain, "s3", "us-east-1"),
            ("s3.amazonaws.com", Plain, "s3", ""),
            ("s3.cn-north-1.amazonaws.com.cn", Plain, "s3", "cn-north-1"),
            ("bucket.s3.localhost:9000", bucket("bucket"), "s3", ""),
            (&format!("{b}.s3.localhost:9000"), bucket(b), "s3", ""),
            ("127.0.0.1:9000", Plain, "", ""),
            ("[::1]:9000", Plain, "", ""),
            ("localhost:9000", Plain, "", ""),
            ("cosette:9000", Plain, "", ""),
            ("cosette-1.internal", Plain, "", ""),
            ("cos.local:9000", Plain, "", ""),
            ("", Plain, "", ""),
        ] {
            check(authority, kind, mark, region);
        }
    }

    #[test]
    fn names_of_acceleration() {
        for (authority, want) in [
            ("b-1250000000.cos.accelerate.myqcloud.com", true),
            ("b-1250000000.cos.accelerate.tencentcos.cn", true),
            ("b-1250000000.cos-internal.accelerate.tencentcos.cn", true),
            ("b-1250000000.cos.accelerate.localhost:9000", true),
            ("b-1250000000.cos.ap-beijing.myqcloud.com", false),
            ("bucket.s3-accelerate.amazonaws.com", true),
            ("bucket.s3-accelerate.dualstack.amazonaws.com", true),
            ("bucket.s3-accelerate.localhost:9000", true),
            ("bucket.s3.eu-west-1.amazonaws.com", false),
        ] {
            assert_eq!(Host::parse(&name(authority)).accelerate, want, "{authority}");
        }
    }

    #[test]
    fn names_of_their_own() {
        for (name, own) in [
            ("cdn.example.com", true),
            ("img-2024.example.com", true),
            ("notmyqcloud.com", true),
            ("localhost", false),
            ("bucket.localhost", false),
            ("b-1250000000.cos.ap-beijing.myqcloud.com", false),
            ("amazonaws.com", false),
            ("scf.tencentcloudapi.com", false),
            ("1250000000-abcdefghij.ap-guangzhou.tencentscf.com", false),
            ("127.0.0.1", false),
            ("[::1]", false),
            ("cosette", false),
        ] {
            assert_eq!(is_own(name), own, "{name}");
        }
    }

    #[test]
    fn ports() {
        assert_eq!((name("[::1]:90"), port("[::1]:90")), ("[::1]".into(), ":90"));
        assert_eq!((name("[::1]"), port("[::1]")), ("[::1]".into(), ""));
        assert_eq!((name("A.b.:1"), port("A.b.:1")), ("a.b".into(), ":1"));
    }
}
