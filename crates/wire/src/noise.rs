//! Whatever bytes come, an answer goes out and nothing panics. Seeded, so a failure repeats.

use cosette_model::SettingName;
use http::{HeaderValue, Request};

use crate::host::{self, Host};
use crate::query::Query;
use crate::testing::{Everybody, Noise, pieces};
use crate::xml::Element;
use crate::{DialectName, fuzzing, path};

const LETTERS: &[u8] = b"abcAZ09%%%2Ff/?&&==;+.-_~:@ \\\"'<>";

fn text(noise: &mut Noise, alphabet: &[u8], max: usize) -> String {
    String::from_utf8_lossy(&noise.bytes(alphabet, max)).into_owned()
}

#[test]
fn parsers_survive_noise() {
    let mut noise = Noise(0x00c0_5e77_e000);
    for _ in 0..30_000 {
        let any = text(&mut noise, LETTERS, 60);
        let _ = path::decode(&any);
        let _ = Query::parse(&any);
        let _ = Host::parse(&host::name(&any));
        let name = text(&mut noise, b"ab-1250000.cos.s3.localhost.myqcloud.com.amazonaws:", 60);
        let _ = Host::parse(&host::name(&name));
        let _ = host::port(&name);
    }
    for _ in 0..30_000 {
        let xml = noise.bytes(b"<<</>>>Delete!&;#x1[]-?'\" \n", 80);
        let _ = Element::parse(&xml, "Delete");
    }
}

/// Names and values of all settings' documents, put together at random.
#[test]
fn settings_survive_noise() {
    const WORDS: &str = "CORSRule AllowedOrigin AllowedMethod MaxAgeSeconds TagSet Tag Key Value ID IndexDocument \
                         Suffix RoutingRules RoutingRule Condition KeyPrefixEquals Redirect ReplaceKeyWith \
                         RedirectAllRequestsTo Protocol DomainList Domain Status RefererType \
                         Rule Filter Prefix And Expiration Transition Days Date StorageClass Payer DomainRule Name \
                         Type LoggingEnabled TargetBucket NoncurrentVersionExpiration NoncurrentDays \
                         Id IsEnabled Destination COSBucketDestination S3BucketDestination Bucket Format Schedule \
                         Frequency IncludedObjectVersions OptionalFields Field Tiering AccessTier Role Priority \
                         StorageClassAnalysis QueueConfiguration Queue Event S3Key FilterRule OriginRule OriginType \
                         OriginInfo HostInfo HostName FileInfo PrefixConfiguration";
    let words: Vec<_> = WORDS.split_whitespace().collect();
    const VALUES: &[&str] = &[
        "",
        "*",
        "GET",
        "true",
        "1",
        "-1",
        "18446744073709551616",
        "a&amp;b",
        "照",
        "Enabled",
        "White-List",
        "404",
        "301",
        "https",
        "CSV",
        "Daily",
        "Current",
        "Mirror",
        "30",
        "arn:aws:s3:::examplebucket",
        "qcs::cos:ap-beijing::examplebucket-1250000000",
        "arn:aws:sqs:us-east-1:1:q",
        "s3:ObjectCreated:*",
    ];
    let mut noise = Noise(0x5e77_1495);
    for name in SettingName::ALL {
        let root = crate::setting::root(*name);
        for _ in 0..4_000 {
            let mut xml = format!("<{root}>");
            let mut open = Vec::new();
            for _ in 0..noise.below(12) {
                let word = words[noise.below(words.len())];
                match noise.below(3) {
                    0 => xml.push_str(&format!("<{word}>{}</{word}>", VALUES[noise.below(VALUES.len())])),
                    1 => {
                        xml.push_str(&format!("<{word}>"));
                        open.push(word);
                    }
                    _ => xml.push_str(&open.pop().map(|word| format!("</{word}>")).unwrap_or_default()),
                }
            }
            while let Some(word) = open.pop() {
                xml.push_str(&format!("</{word}>"));
            }
            xml.push_str(&format!("</{root}>"));
            fuzzing::setting(xml.as_bytes());
        }
    }
}

/// Documents of the golden requests, each with some piece of it doubled, dropped or put elsewhere.
#[test]
fn settings_survive_damage() {
    use crate::dialect::{COS, S3};
    let files = [
        (&COS, include_str!("../tests/golden/settings-cos.txt")),
        (&COS, include_str!("../tests/golden/settings-more-cos.txt")),
        (&S3, include_str!("../tests/golden/settings-s3.txt")),
        (&S3, include_str!("../tests/golden/settings-more-s3.txt")),
    ];
    let mut noise = Noise(0xda4a_6e15);
    let mut taken = 0;
    for (dialect, file) in files {
        for case in file.split("=== ").skip(1) {
            let request = case.split("--- call").next().unwrap_or_default();
            let Some((_, document)) = request.split_once("\n\n") else { continue };
            let pieces: Vec<_> = document.trim().split_inclusive('>').collect();
            let names =
                SettingName::ALL.iter().filter(|name| document.contains(crate::setting::root(**name)));
            for name in names {
                for _ in 0..100 {
                    let mut damaged = pieces.clone();
                    match noise.below(3) {
                        0 => drop(damaged.remove(noise.below(pieces.len()))),
                        1 => damaged.insert(noise.below(pieces.len()), pieces[noise.below(pieces.len())]),
                        _ => damaged.swap(noise.below(pieces.len()), noise.below(pieces.len())),
                    }
                    let xml = damaged.concat();
                    let read = |xml: &[u8]| crate::setting::read(dialect, &Everybody, *name, xml);
                    let Ok(Some(setting)) = read(xml.as_bytes()) else { continue };
                    taken += 1;
                    let written = crate::setting::write(dialect, *name, Some(&setting));
                    assert_eq!(read(&written).unwrap(), Some(setting), "{xml}");
                }
            }
        }
    }
    assert!(taken > 100, "only {taken} of the damaged documents were still taken");
}

const NAMES: &[&str] = &[
    "access-control-request-headers",
    "access-control-request-method",
    "authorization",
    "content-length",
    "content-md5",
    "content-type",
    "content-encoding",
    "date",
    "if-match",
    "if-range",
    "if-modified-since",
    "range",
    "x-amz-acl",
    "x-amz-checksum-crc32",
    "x-amz-checksum-algorithm",
    "x-amz-content-sha256",
    "x-amz-copy-source",
    "x-amz-date",
    "x-amz-decoded-content-length",
    "x-amz-metadata-directive",
    "x-amz-mp-object-size",
    "x-amz-copy-source-range",
    "x-amz-object-attributes",
    "x-amz-max-parts",
    "x-amz-meta-a",
    "x-amz-server-side-encryption",
    "x-amz-server-side-encryption-aws-kms-key-id",
    "x-amz-server-side-encryption-bucket-key-enabled",
    "x-amz-server-side-encryption-context",
    "x-amz-server-side-encryption-customer-algorithm",
    "x-amz-server-side-encryption-customer-key",
    "x-amz-server-side-encryption-customer-key-md5",
    "x-amz-copy-source-server-side-encryption-customer-algorithm",
    "x-amz-copy-source-server-side-encryption-customer-key",
    "x-amz-tagging",
    "x-amz-tagging-directive",
    "x-amz-trailer",
    "x-amz-website-redirect-location",
    "origin",
    "referer",
    "x-cos-copy-source",
    "x-cos-storage-class",
];

const VALUES: &[&str] = &[
    "AWS4-HMAC-SHA256 Credential=A/20130524/r/s3/aws4_request, SignedHeaders=host, Signature=00",
    "AWS4-HMAC-SHA256 Credential=////,SignedHeaders=;;,Signature=",
    "q-sign-algorithm=sha1&q-ak=A&q-sign-time=1;9999999999&q-key-time=1;9999999999&q-header-list=host;%&q-url-param-list=%zz;a&q-signature=0",
    "AWS a:b",
    "Fri, 24 May 2013 00:00:00 GMT",
    "20130524T000000Z",
    "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
    "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
    "x-amz-checksum-crc32",
    "bytes=0-1",
    "/bucket/key?versionId=",
    "http://a/b/c",
    "AES256",
    "aws:kms",
    "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=",
    "e30=",
    "18446744073709551616",
    "5",
    "-1",
    "=",
    "*",
];

const QUERIES: &[&str] = &[
    "acl",
    "cors",
    "encryption",
    "tagging",
    "website",
    "lifecycle",
    "delete",
    "uploads",
    "uploadId=u",
    "partNumber=1",
    "list-type=2",
    "max-keys=x",
    "continuation-token=%",
    "X-Amz-Algorithm=AWS4-HMAC-SHA256",
    "X-Amz-Signature=0",
    "X-Amz-Credential=a",
    "X-Amz-Expires=1",
    "X-Amz-Date=20130524T000000Z",
    "X-Amz-SignedHeaders=host",
    "AWSAccessKeyId=a",
    "Signature=b",
    "Expires=9999999999",
    "q-sign-algorithm=sha1",
    "sign=q-sign-algorithm=",
    "location",
    "versionId=",
    "versionId=null",
    "versions",
    "versioning",
    "key-marker=k",
    "version-id-marker=null",
    "attributes",
    "append",
    "position=5",
    "x-amz-meta-%00=%0a",
    "response-expires=1",
];

const BODIES: &[&str] = &[
    "<Tagging><TagSet><Tag><Key>k</Key><Value>v</Value></Tag></TagSet></Tagging>",
    "<WebsiteConfiguration><IndexDocument><Suffix>i</Suffix></IndexDocument></WebsiteConfiguration>",
    "<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>AES256</SSEAlgorithm></ApplyServerSideEncryptionByDefault></Rule></ServerSideEncryptionConfiguration>",
    "<Delete><Object><Key>k</Key></Object></Delete>",
    "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>e</ETag></Part></CompleteMultipartUpload>",
    "5\r\nhello\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n",
    "",
];

#[test]
fn whole_requests_survive_noise() {
    let mut noise = Noise(0xfeed);
    let wire = fuzzing::wire();
    let pick = |noise: &mut Noise, all: &[&'static str]| all[noise.below(all.len())];
    let mut answered = 0;
    for _ in 0..20_000 {
        let method = pick(&mut noise, &["GET", "PUT", "POST", "DELETE", "HEAD", "OPTIONS", "PATCH"]);
        let mut uri = match noise.below(3) {
            0 => format!("/{}", text(&mut noise, LETTERS, 20)),
            1 => "/bucket/key".to_owned(),
            _ => "/".to_owned(),
        };
        uri.push('?');
        for _ in 0..noise.below(7) {
            uri.push_str(pick(&mut noise, QUERIES));
            uri.push('&');
        }
        let mut request = Request::builder().method(method).uri(uri);
        let host = pick(
            &mut noise,
            &[
                "localhost",
                "bkt.s3.amazonaws.com",
                "b-1250000000.cos.x.myqcloud.com",
                "b.s3-website.localhost",
                "",
            ],
        );
        request = request.header("host", host);
        for _ in 0..noise.below(6) {
            let value = match noise.below(3) {
                0 => noise.bytes(LETTERS, 30),
                _ => pick(&mut noise, VALUES).as_bytes().to_vec(),
            };
            if let Ok(value) = HeaderValue::from_bytes(&value) {
                request = request.header(pick(&mut noise, NAMES), value);
            }
        }
        let body = match noise.below(4) {
            0 => noise.bytes(b"<>/Delete05\r\n;=", 60),
            _ => pick(&mut noise, BODIES).as_bytes().to_vec(),
        };
        // What is no request at all never reaches this crate.
        let Ok(request) = request.body(pieces(vec![body])) else { continue };
        answered += 1;
        fuzzing::answer(&wire, request);
    }
    assert!(answered > 10_000);
}

/// Names and values of access control lists, put together at random.
#[test]
fn lists_survive_noise() {
    const WORDS: &[&str] =
        &["Owner", "ID", "AccessControlList", "Grant", "Grantee", "URI", "EmailAddress", "Permission"];
    const VALUES: &[&str] = &[
        "",
        "READ",
        "FULL_CONTROL",
        "1",
        "1/2",
        "qcs::cam::uin/1:uin/2",
        "qcs::cam::anyone:anyone",
        "http://acs.amazonaws.com/groups/global/AllUsers",
        "a&amp;b",
    ];
    let mut noise = Noise(0x00ac_1ac1);
    for _ in 0..20_000 {
        let mut xml = String::from("<AccessControlPolicy><AccessControlList>");
        for _ in 0..noise.below(12) {
            let (word, value) = (WORDS[noise.below(WORDS.len())], VALUES[noise.below(VALUES.len())]);
            xml.push_str(&match noise.below(4) {
                0 => format!("<{word}>"),
                1 => format!("</{word}>"),
                _ => format!("<{word}>{value}</{word}>"),
            });
        }
        xml.push_str("</AccessControlList></AccessControlPolicy>");
        for dialect in [DialectName::Cos, DialectName::S3] {
            let _ = crate::request::read_acl(xml.as_bytes(), dialect, &Everybody);
        }
        let _ = crate::request::read_ownership(xml.as_bytes());
    }
}

/// Names and values of a query's document, put together at random.
#[test]
fn queries_survive_noise() {
    const WORDS: &[&str] = &[
        "Expression",
        "ExpressionType",
        "InputSerialization",
        "OutputSerialization",
        "CSV",
        "JSON",
        "Parquet",
        "CompressionType",
        "Type",
        "FileHeaderInfo",
        "RecordDelimiter",
        "QuoteCharacter",
        "QuoteFields",
        "RequestProgress",
        "Enabled",
        "ScanRange",
        "Start",
    ];
    const VALUES: &[&str] =
        &["", "SQL", "GZIP", "LINES", "USE", "&#13;&#10;", "\\n", "照", "true", "1", "-1"];
    let mut noise = Noise(0x005e_1ec7);
    let mut taken = 0;
    for _ in 0..20_000 {
        let mut xml = String::from("<SelectRequest>");
        if noise.below(2) == 0 {
            xml.push_str("<Expression>x</Expression><ExpressionType>SQL</ExpressionType>");
            xml.push_str("<OutputSerialization><CSV/></OutputSerialization>");
        }
        let mut open = Vec::new();
        for _ in 0..noise.below(12) {
            let (word, value) = (WORDS[noise.below(WORDS.len())], VALUES[noise.below(VALUES.len())]);
            match noise.below(3) {
                0 => xml.push_str(&format!("<{word}>{value}</{word}>")),
                1 => {
                    xml.push_str(&format!("<{word}>"));
                    open.push(word);
                }
                _ => xml.push_str(&open.pop().map(|word| format!("</{word}>")).unwrap_or_default()),
            }
        }
        while let Some(word) = open.pop() {
            xml.push_str(&format!("</{word}>"));
        }
        xml.push_str("</SelectRequest>");
        taken += usize::from(crate::request::read_query(xml.as_bytes()).is_ok());
    }
    assert!(taken > 0);
}
