//! What policies mean, and what is none.

use cosette_model::canonical_id;
use cosette_model::op::Op;

use super::*;

const PHOTOS: &str = "photos-1250000000";

fn name() -> BucketName {
    BucketName::new(PHOTOS).unwrap()
}

fn parse(text: &str) -> Result<Policy, String> {
    Policy::parse(text.as_bytes(), Some(&name()))
}

fn iam(rest: &str) -> Policy {
    parse(&format!(r#"{{"Version":"2012-10-17","Statement":[{rest}]}}"#))
        .unwrap_or_else(|why| panic!("{why}: {rest}"))
}

fn verdict(
    policy: &Policy,
    account: Option<&str>,
    op: Op,
    key: Option<&str>,
    facts: &[(&str, &str)],
) -> Verdict {
    let key = key.map(|key| ObjectKey::new(key).unwrap());
    let mut all = Facts::new();
    for (name, value) in facts {
        all.entry((*name).to_owned()).or_default().push((*value).to_owned());
    }
    policy.verdict(&Request {
        account,
        canonical: account.map(canonical_id),
        users: &[],
        service: None,
        act: Act::of(op, false),
        bucket: Some(&name()),
        region: "ap-guangzhou",
        appid: "1250000000",
        key: key.as_ref(),
        facts: &all,
    })
}

fn get(policy: &Policy, account: Option<&str>, key: &str, facts: &[(&str, &str)]) -> Verdict {
    verdict(policy, account, Op::GetObject, Some(key), facts)
}

#[test]
fn both_forms_say_the_same() {
    let aws = iam(
        r#"{"Effect":"Allow","Principal":{"AWS":["arn:aws:iam::100000000002:root"]},"Action":"s3:GetObject","Resource":"arn:aws:s3:::photos-1250000000/a/*"}"#,
    );
    let cam = parse(
        r#"{"version":"2.0","statement":[{"effect":"allow","principal":{"qcs":["qcs::cam::uin/100000000002:uin/100000000002"]},"action":["name/cos:GetObject"],"resource":["qcs::cos:ap-guangzhou:uid/1250000000:photos-1250000000/a/*"]}]}"#,
    )
    .unwrap();
    for policy in [&aws, &cam] {
        assert_eq!(get(policy, Some("100000000002"), "a/1", &[]), Verdict::Allow);
        assert_eq!(get(policy, Some("100000000003"), "a/1", &[]), Verdict::Silent);
        assert_eq!(get(policy, None, "a/1", &[]), Verdict::Silent);
        assert_eq!(get(policy, Some("100000000002"), "b/1", &[]), Verdict::Silent);
        assert_eq!(verdict(policy, Some("100000000002"), Op::PutObject, Some("a/1"), &[]), Verdict::Silent);
        assert!(!policy.is_public());
    }
}

#[test]
fn buckets_are_resources_too() {
    let aws = iam(
        r#"{"Effect":"Allow","Principal":"*","Action":"s3:List*","Resource":"arn:aws:s3:::photos-1250000000"}"#,
    );
    assert_eq!(verdict(&aws, None, Op::ListObjectsV2, None, &[]), Verdict::Allow);
    assert_eq!(verdict(&aws, None, Op::GetBucketAcl, None, &[]), Verdict::Silent);
    for tail in ["photos-1250000000/*", "photos-1250000000", "photos-1250000000/"] {
        let cam = parse(&format!(
            r#"{{"version":"2.0","Statement":[{{"Effect":"allow","Principal":{{"qcs":["qcs::cam::anyone:anyone"]}},"Action":["name/cos:GetBucket"],"Resource":["qcs::cos:ap-guangzhou:uid/1250000000:{tail}"]}}]}}"#
        ))
        .unwrap();
        assert_eq!(verdict(&cam, None, Op::ListObjects, None, &[]), Verdict::Allow, "{tail}");
        assert!(cam.is_public());
    }
}

#[test]
fn deny_has_the_last_word() {
    let both = iam(concat!(
        r#"{"Effect":"Allow","Principal":"*","Action":"*","Resource":"arn:aws:s3:::photos-1250000000/*"},"#,
        r#"{"Effect":"Deny","NotPrincipal":{"AWS":"1"},"Action":"s3:GetObject","Resource":"*"}"#
    ));
    assert_eq!(get(&both, Some("1"), "a", &[]), Verdict::Allow);
    assert_eq!(get(&both, Some("2"), "a", &[]), Verdict::Deny);
    assert_eq!(get(&both, None, "a", &[]), Verdict::Deny);
    assert_eq!(verdict(&both, None, Op::PutObject, Some("a"), &[]), Verdict::Allow);
}

#[test]
fn conditions() {
    let with = |condition: &str| {
        iam(&format!(
            r#"{{"Effect":"Allow","Principal":"*","Action":"s3:*","Resource":"*","Condition":{condition}}}"#
        ))
    };
    let here = &[("sourceip", "10.1.2.3"), ("x-acl", "public-read"), ("max-keys", "10")][..];
    let held = |condition: &str| get(&with(condition), None, "a", here) == Verdict::Allow;
    for good in [
        r#"{"IpAddress":{"aws:SourceIp":["192.168.0.0/16","10.0.0.0/8"]}}"#,
        r#"{"NotIpAddress":{"aws:SourceIp":"10.1.2.4"}}"#,
        r#"{"StringEquals":{"s3:x-amz-acl":["private","public-read"]}}"#,
        r#"{"StringLike":{"s3:x-amz-acl":"public-*"}}"#,
        r#"{"StringNotEquals":{"s3:prefix":"x"}}"#,
        r#"{"StringEqualsIfExists":{"s3:prefix":"x"}}"#,
        r#"{"StringEqualsIgnoreCase":{"s3:x-amz-acl":"Public-Read"}}"#,
        r#"{"NumericLessThanEquals":{"s3:max-keys":10}}"#,
        r#"{"NumericGreaterThan":{"s3:max-keys":"9"}}"#,
        r#"{"Null":{"s3:prefix":"true","s3:max-keys":false}}"#,
        r#"{"ForAllValues:StringEquals":{"s3:prefix":"x"}}"#,
        r#"{"string_equal":{"cos:x-cos-acl":"public-read"}}"#,
        r#"{"ip_equal":{"qcs:ip":"10.1.2.3"}}"#,
        r#"{"string_equal_if_exist":{"cos:prefix":"x"}}"#,
        r#"{"ip_not_equal":{"qcs:ip":"10.1.2.0/30"}}"#,
    ] {
        let want = !good.contains("10.1.2.0/30");
        assert_eq!(held(good), want, "{good}");
    }
    for bad in [
        r#"{"IpAddress":{"aws:SourceIp":"10.1.2.4"}}"#,
        r#"{"StringEquals":{"s3:prefix":"x"}}"#,
        r#"{"StringNotEquals":{"s3:x-amz-acl":["private","public-read"]}}"#,
        r#"{"NumericLessThan":{"s3:max-keys":10}}"#,
        r#"{"Bool":{"aws:SecureTransport":"true"}}"#,
        r#"{"DateLessThan":{"aws:CurrentTime":"2020-01-01T00:00:00Z"}}"#,
        r#"{"Null":{"s3:prefix":"false"}}"#,
        r#"{"IpAddress":{"aws:SourceIp":"::1"}}"#,
    ] {
        assert!(!held(bad), "{bad}");
    }
    // Two tags are asked for, one of them the one that is named.
    let tags = &[("requestobjecttagkeys", "a"), ("requestobjecttagkeys", "b")][..];
    let of_tags = |operator: &str, facts| {
        get(&with(&format!(r#"{{"{operator}":{{"s3:RequestObjectTagKeys":"a"}}}}"#)), None, "k", facts)
            == Verdict::Allow
    };
    for (operator, some, none) in [
        ("StringEquals", true, false),
        ("StringNotEquals", false, true),
        ("ForAnyValue:StringEquals", true, false),
        ("ForAnyValue:StringNotEquals", true, false),
        ("ForAllValues:StringEquals", false, true),
        ("ForAllValues:StringNotEquals", false, true),
    ] {
        assert_eq!((of_tags(operator, tags), of_tags(operator, &[])), (some, none), "{operator}");
    }
    let date = with(r#"{"DateGreaterThan":{"aws:CurrentTime":"2020-01-01T00:00:00Z"}}"#);
    assert_eq!(get(&date, None, "a", &[("currenttime", "2024-01-01T00:00:00Z")]), Verdict::Allow);
}

#[test]
fn public_is_what_no_condition_narrows() {
    let with = |condition: &str| {
        iam(&format!(
            r#"{{"Effect":"Allow","Principal":{{"AWS":"*"}},"Action":"s3:*","Resource":"*","Condition":{condition}}}"#
        ))
        .is_public()
    };
    assert!(with("{}"));
    assert!(with(r#"{"IpAddress":{"aws:SourceIp":"0.0.0.0/0"}}"#));
    assert!(with(r#"{"StringEquals":{"s3:x-amz-acl":"private"}}"#));
    assert!(!with(r#"{"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}}"#));
    assert!(with(r#"{"ForAllValues:StringEquals":{"aws:SourceVpc":"vpc-1"}}"#), "met by who has none");
    let deny = r#"{"Effect":"Deny","Principal":"*","Action":"s3:*","Resource":"*"}"#;
    assert!(!iam(deny).is_public());
}

#[test]
fn what_is_not_a_policy_is_refused() {
    let of = |statement: &str| format!(r#"{{"Version":"2012-10-17","Statement":{statement}}}"#);
    let good = r#"{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::photos-1250000000/*"}"#;
    assert!(parse(&of(good)).is_ok());
    for bad in [
        String::new(),
        "{}".into(),
        "[]".into(),
        of("[]"),
        of("3"),
        of("{}"),
        of(&good.replace("Allow", "allow")),
        of(&good.replace("Effect", "Efect")),
        of(&good.replace(r#""Principal":"*","#, "")),
        of(&good.replace(r#""*""#, r#""me""#)),
        of(&good.replace(r#""*""#, r#"{"AWS":"arn:aws:iam:::user/me"}"#)),
        of(&good.replace("s3:GetObject", "ec2:Run")),
        of(&good.replace("photos", "films")),
        of(&good.replace("arn:aws:s3:::", "")),
        of(&good.replace("/*", "/${aws:colour}")),
        of(&good.replace("photos-1250000000", "${aws:username}")),
        of(&good.replace("s3:GetObject", "s3:GetObjct")),
        of(&good.replace("s3:GetObject", "s3:Fetch*")),
        of(&good.replace("s3:GetObject", "s3:ListBucket")),
        of(&good.replace("/*", "")),
        of(&good.replace("Allow\",", "Allow\",\"Effect\":\"Deny\",")),
        of(&good.replace('}', r#","Condition":{"Null":{"aws:userid":"true","aws:userid":"false"}}}"#)),
        of(&good.replace('}', r#","Condition":{"Near":{"aws:SourceIp":"1.2.3.4"}}}"#)),
        of(&good.replace('}', r#","Condition":{"IpAddress":{"aws:SourceIp":"1.2.3"}}}"#)),
        of(&good.replace('}', r#","Condition":{"StringEquals":{"s3:colour":"red"}}}"#)),
        of(&good.replace('}', r#","action":"s3:PutObject"}"#)),
        of(good).replace("2012", "2013"),
    ] {
        assert!(parse(&bad).is_err(), "{bad}");
    }
}

#[test]
fn misspelt_actions_of_either_service_are_refused() {
    let cam = |action: &str| {
        parse(&format!(
            r#"{{"version":"2.0","statement":[{{"effect":"allow","principal":{{"qcs":["qcs::cam::anyone:anyone"]}},"action":["{action}"],"resource":["qcs::cos::uid/1250000000:photos-1250000000/*"]}}]}}"#
        ))
        .is_ok()
    };
    for good in
        ["name/cos:GetObject", "cos:getobject", "name/cos:Get*", "name/cos:DeleteMultipleObjects", "*"]
    {
        assert!(cam(good), "{good}");
    }
    assert!(!cam("name/cos:GetObjct") && !cam("name/cos:Fetch*"));
    // A statement may be on more than each of its actions.
    iam(
        r#"{"Effect":"Allow","Principal":"*","Action":["s3:GetObject","s3:ListBucket"],"Resource":["arn:aws:s3:::photos-1250000000","arn:aws:s3:::photos-1250000000/*"]}"#,
    );
    iam(
        r#"{"Effect":"Allow","Principal":"*","Action":["s3:GetObject","s3:ListBucket"],"Resource":"arn:aws:s3:::photos-1250000000*"}"#,
    );
}

#[test]
fn variables_stand_for_who_asks() {
    let home = iam(
        r#"{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::photos-1250000000/home/${aws:userid}/*","Condition":{"StringEquals":{"s3:prefix":"${aws:userid}"}}}"#,
    );
    let facts = &[("userid", "1"), ("prefix", "1")][..];
    assert_eq!(get(&home, None, "home/1/a", facts), Verdict::Allow);
    assert_eq!(get(&home, None, "home/2/a", facts), Verdict::Silent);
    assert_eq!(get(&home, None, "home/1/a", &[("userid", "1"), ("prefix", "2")]), Verdict::Silent);
    assert_eq!(get(&home, None, "home//a", &[]), Verdict::Silent);
    let old = parse(
        r#"{"Version":"2008-10-17","Statement":{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::photos-1250000000/${aws:userid}"}}"#,
    )
    .unwrap();
    assert_eq!(get(&old, None, "${aws:userid}", facts), Verdict::Allow);
    let cam = |resource: &str, value: &str| {
        parse(&format!(
            r#"{{"version":"2.0","statement":[{{"effect":"allow","principal":{{"qcs":["qcs::cam::anyone:anyone"]}},"action":["cos:GetObject"],"resource":["{resource}"],"condition":{{"string_equal":{{"cos:prefix":"{value}"}}}}}}]}}"#
        ))
    };
    let all = "qcs::cos::uid/1250000000:photos-1250000000/*";
    assert_eq!(
        get(&cam(all, "u-${uin}").unwrap(), None, "a", &[("uin", "7"), ("prefix", "u-7")]),
        Verdict::Allow
    );
    assert!(cam(&all.replace('*', "${uin}/*"), "x").is_err(), "not in paths on COS");
    assert!(cam(all, "${aws:userid}").is_err());
}

/// Mutated policies are parsed or refused, and what is parsed can be asked.
#[test]
fn noise() {
    let good = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":["*","1"]},"Action":["s3:Get*"],"Resource":["arn:aws:s3:::photos-1250000000/*"],"Condition":{"IpAddress":{"aws:SourceIp":"10.0.0.0/8"},"StringLike":{"s3:prefix":["a*",""]}}}]}"#;
    let mut seed = 7_u64;
    let mut next = |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize % below
    };
    for _ in 0..20_000 {
        let mut bytes = good.as_bytes().to_vec();
        for _ in 0..=next(3) {
            let at = next(bytes.len());
            match next(3) {
                0 => bytes[at] = b"\"{}[]:,*?0/9 "[next(13)],
                1 => drop(bytes.remove(at)),
                _ => bytes.insert(at, next(256) as u8),
            }
        }
        if let Ok(policy) = Policy::parse(&bytes, Some(&name())) {
            get(&policy, Some("1"), "a", &[("sourceip", "10.0.0.1"), ("prefix", "a")]);
            policy.is_public();
        }
    }
}
