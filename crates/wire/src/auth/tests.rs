//! Published and computed signature vectors, through the whole of `decode`.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use cosette_model::op::Call;
use cosette_model::{
    Account, BodyError, ByteStream, ErrorCode, Identity, Key, Persona, Region, RequestId, Session, Timestamp,
};
use http::Request;

use super::Scheme;
use crate::testing::{pieces, ready};
use crate::{Accounts, Config, Decoded, DialectName, Wire};

const COS_ID: &str = "AKIDEXAMPLE1234567890EXAMPLE123456789";
const COS_KEY: &str = "ExampleSecretKeyExampleSecretKey";
const AWS_ID: &str = "AKIAIOSFODNN7EXAMPLE";
const AWS_KEY: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

struct Keys {
    token: Option<&'static str>,
}

impl Accounts for Keys {
    fn by_secret_id(&self, secret_id: &str) -> Option<Key> {
        let secret_key = match secret_id {
            COS_ID => COS_KEY,
            AWS_ID => AWS_KEY,
            _ => return None,
        };
        let account = Account {
            secret_id: secret_id.into(),
            secret_key: secret_key.into(),
            appid: "1250000000".into(),
            uin: "100000000001".into(),
            name: "me".into(),
        };
        let session = self.token.map(|token| {
            Arc::new(Session { token: token.into(), expires: None, persona: Persona::Account, policy: None })
        });
        Some(Key { account: account.into(), session })
    }
}

/// One request and the world it arrives in.
struct Ask {
    method: &'static str,
    uri: String,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
    now: Timestamp,
    strict: bool,
    token: Option<&'static str>,
}

impl Ask {
    fn new(method: &'static str, uri: &str, now: u64, headers: &[(&'static str, &str)]) -> Self {
        Self {
            method,
            uri: uri.into(),
            headers: headers.iter().map(|(n, v)| (*n, (*v).to_owned())).collect(),
            body: Vec::new(),
            now: Timestamp::from_secs(now),
            strict: false,
            token: None,
        }
    }

    fn set(mut self, name: &'static str, value: &str) -> Self {
        self.headers.retain(|(n, _)| !n.eq_ignore_ascii_case(name));
        self.headers.push((name, value.to_owned()));
        self
    }

    fn decode(&self) -> Decoded {
        let wire = Wire::new(Config {
            default_region: Region::new("ap-guangzhou").unwrap(),
            default_dialect: DialectName::Cos,
            strict: self.strict,
            xml_bytes_max: 1 << 20,
        });
        let mut request = Request::builder().method(self.method).uri(&*self.uri);
        for (name, value) in &self.headers {
            request = request.header(*name, value.as_bytes());
        }
        let body: ByteStream = pieces(vec![self.body.clone()]);
        let peer = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let keys = Keys { token: self.token };
        ready(wire.decode(request.body(body).unwrap(), peer, RequestId::new("id"), self.now, &keys))
    }

    fn code(&self) -> Option<ErrorCode> {
        self.decode().outcome.err().map(|error| error.code)
    }

    /// The request is understood and known to be from the owner of `key`.
    fn is_from(&self, key: &str) {
        let decoded = self.decode();
        match decoded.outcome {
            Ok((context, _)) => assert_eq!(context.cause.access_key, key),
            // Unsupported operations are refused only after the signature was found good.
            Err(error) => {
                assert_eq!(error.code, ErrorCode::NotImplemented, "{error}: {:?}", error.details);
                let by = decoded.asked.identity.unwrap();
                assert_eq!(by.account().unwrap().secret_id, key);
            }
        }
    }
}

const HOST: &str = "examplebucket-1250000000.cos.ap-beijing.myqcloud.com";
const KEY_TIME: &str = "1699999940;1700010000";

fn cos_header(headers: &str, params: &str, signature: &str) -> String {
    format!(
        "q-sign-algorithm=sha1&q-ak={COS_ID}&q-sign-time={KEY_TIME}&q-key-time={KEY_TIME}\
         &q-header-list={headers}&q-url-param-list={params}&q-signature={signature}"
    )
}

fn cos_put() -> Ask {
    let authorization = cos_header(
        "content-length;content-type;host;x-cos-meta-note",
        "",
        "ef637c23740d1a50fe3e67bee2003f7c8f829748",
    );
    let mut ask = Ask::new(
        "PUT",
        "/docs/%E6%8A%A5%E5%91%8A%20a%2Bb.txt",
        1_700_000_000,
        &[
            ("host", HOST),
            ("content-type", "text/plain; charset=utf-8"),
            ("content-length", "5"),
            ("x-cos-meta-note", "a b/c"),
            ("authorization", &authorization),
        ],
    );
    ask.body = b"hello".to_vec();
    ask
}

/// cos-api 2.6 A.
/// A key that has ended says so, once its token is right, wherever it signs.
#[test]
fn temporary_keys_end() {
    struct Ended;
    impl Accounts for Ended {
        fn by_secret_id(&self, secret_id: &str) -> Option<Key> {
            let mut key = Keys { token: Some("tok") }.by_secret_id(secret_id)?;
            let session = key.session.as_mut().map(Arc::make_mut)?;
            session.expires = Some(Timestamp::from_secs(100));
            Some(key)
        }
    }
    let code = |token, at| super::key(&Ended, COS_ID, token, Timestamp::from_secs(at)).map_err(|e| e.code);
    assert!(code(Some("tok"), 99).is_ok());
    assert_eq!(code(Some("tok"), 100).unwrap_err(), ErrorCode::ExpiredToken);
    assert_eq!(code(Some("bad"), 100).unwrap_err(), ErrorCode::InvalidAccessKeyId);
    assert_eq!(code(None, 99).unwrap_err(), ErrorCode::InvalidAccessKeyId);
}

#[test]
fn cos_put_object() {
    cos_put().is_from(COS_ID);
    let Ok((context, Call::PutObject(put))) = cos_put().decode().outcome else { panic!("not a put") };
    assert_eq!(put.key.as_str(), "docs/报告 a+b.txt");
    assert_eq!(put.attributes.user["note"], "a b/c");
    assert!(context.cause.authorization.starts_with("q-sign-algorithm=sha1&q-ak="));
    assert_eq!(context.region.unwrap().as_str(), "ap-beijing");
}

/// cos-api 2.6 B: a space sent as `+` is signed as `%20`.
#[test]
fn cos_list_objects() {
    let authorization = cos_header(
        "host",
        "delimiter;encoding-type;marker;max-keys;prefix",
        "f58b0557c8e6043fcd29114b8b3e9af4b97042c8",
    );
    let uri = "/?prefix=%E7%85%A7%E7%89%87%2F2024+a&delimiter=%2F&marker=&max-keys=2&encoding-type=url";
    Ask::new("GET", uri, 1_700_000_000, &[("host", HOST), ("authorization", &authorization)]).is_from(COS_ID);
}

/// cos-api 2.6 C: the port is in `Host` and not in what was signed.
#[test]
fn cos_host_without_its_port() {
    let authorization = cos_header("host", "", "1c54f0fca07aa5a1316bf42c53b69d33fa359762");
    let host = "examplebucket-1250000000.localhost:9000";
    let ask = Ask::new("HEAD", "/k", 1_700_000_000, &[("host", host), ("authorization", &authorization)]);
    ask.is_from(COS_ID);
    // That is no lenient pass: strict mode takes it as well.
    Ask { strict: true, ..ask }.is_from(COS_ID);
}

fn cos_presigned(header_list: &str, signature: &str) -> Ask {
    let uri = format!(
        "/docs/%E6%8A%A5%E5%91%8A.txt?q-sign-algorithm=sha1&q-ak={COS_ID}\
         &q-sign-time=1699999940%3B1700000300&q-key-time=1699999940;1700000300&q-header-list={header_list}\
         &q-url-param-list=response-content-type&q-signature={signature}&response-content-type=text%2Fplain"
    );
    Ask::new("GET", &uri, 1_700_000_000, &[("host", "examplebucket-1250000000.localhost:9000")])
}

/// cos-api 2.6 D, with and without the host signed.
#[test]
fn cos_presigned_get() {
    let ask = cos_presigned("host", "01ab732d67e4d2f7a94d4958148e4e5f0cb00ab7");
    ask.is_from(COS_ID);
    cos_presigned("", "0b46632f5c15585188e06670c965a826d3b4a2b7").is_from(COS_ID);
    let Ok((context, Call::GetObject(get))) = ask.decode().outcome else { panic!("not a get") };
    assert_eq!(get.overrides.content_type.as_deref(), Some("text/plain"));
    let authorization = context.cause.authorization;
    assert!(authorization.contains("q-sign-time=1699999940;1700000300&q-key-time="), "{authorization}");
}

/// The same signature as one parameter.
#[test]
fn cos_merged_query() {
    let whole = cos_header("host", "", "1c54f0fca07aa5a1316bf42c53b69d33fa359762");
    let uri = format!("/k?sign={}", crate::path::encode(&whole));
    let host = "examplebucket-1250000000.localhost:9000";
    Ask::new("HEAD", &uri, 1_700_000_000, &[("host", host)]).is_from(COS_ID);
}

/// cos-api 2.10 and design 4: a URL holds under the server's other names.
#[test]
fn a_presigned_url_holds_for_every_alias() {
    // Signed for the real name of the bucket, as vector C is for another one.
    let sign = |host: &str, path: &str| {
        use sha1::Digest;
        let key = hex::encode(super::cos::hmac(COS_KEY.as_bytes(), KEY_TIME));
        let http = format!("get\n{path}\n\nhost={}\n", crate::path::encode(host));
        let text = format!("sha1\n{KEY_TIME}\n{}\n", hex::encode(sha1::Sha1::digest(http)));
        crate::path::encode(&cos_header("host", "", &hex::encode(super::cos::hmac(key.as_bytes(), &text))))
            .into_owned()
    };
    let b = "examplebucket-1250000000";
    let real = format!("{b}.cos.ap-guangzhou.myqcloud.com");
    for (signed_host, signed_path, host, path) in [
        (&*real, "/a b", "127.0.0.1:9000", &*format!("/{b}/a%20b")),
        (&real, "/a b", "cosette:9000", &format!("/{b}/a%20b")),
        (&real, "/a b", &format!("{b}.localhost:9000"), "/a%20b"),
        ("localhost:9000", &format!("/{b}/a b"), "127.0.0.1:9000", &format!("/{b}/a%20b")),
        (&format!("{b}.localhost:9000"), "/a b", "127.0.0.1:9000", &format!("/{b}/a%20b")),
        ("cos.ap-guangzhou.myqcloud.com", &format!("/{b}/a b"), &real, "/a%20b"),
    ] {
        let uri = format!("{path}?sign={}", sign(signed_host, signed_path));
        let ask = Ask::new("GET", &uri, 1_700_000_000, &[("host", host)]);
        ask.is_from(COS_ID);
        assert!(ask.decode().asked.notes.iter().any(|n| n.starts_with("lenient: signed for")), "{host}");
        assert!(Ask { strict: true, ..ask }.code().is_some(), "{host}");
    }
}

/// The authority of an absolute-form target counts, whatever `Host` says.
#[test]
fn cos_through_a_proxy() {
    let authorization = cos_header("host", "", "1c54f0fca07aa5a1316bf42c53b69d33fa359762");
    let uri = "http://examplebucket-1250000000.localhost/k";
    let ask = Ask::new("HEAD", uri, 1_700_000_000, &[("host", "proxy:1"), ("authorization", &authorization)]);
    ask.is_from(COS_ID);
}

#[test]
fn cos_refusals() {
    use ErrorCode::*;
    let edit = |from: &str, to: &str| {
        let mut ask = cos_put();
        for (name, value) in &mut ask.headers {
            if *name == "authorization" {
                *value = value.replace(from, to);
            }
        }
        ask
    };
    assert_eq!(edit("q-signature=e", "q-signature=f").code(), Some(SignatureDoesNotMatch));
    assert_eq!(edit("q-signature=ef", "q-signature=").code(), Some(SignatureDoesNotMatch));
    assert_eq!(edit("sha1", "sha256").code(), Some(VerifyAlgorithmNotSupported));
    assert_eq!(edit(COS_ID, "AKIDnobody").code(), Some(InvalidAccessKeyId));
    assert_eq!(cos_put().set("x-cos-meta-note", "other").code(), Some(SignatureDoesNotMatch));
    let at = |now| Ask { now: Timestamp::from_secs(now), ..cos_put() };
    assert_eq!(at(1_700_010_001).code(), Some(RequestExpired));
    assert_eq!(at(1_699_999_940 - 901).code(), Some(RequestTimeTooSkewed));
    assert_eq!(at(1_699_999_940 - 900).code(), None);
    // What identifies nobody is anonymous (2.5.6).
    for nobody in ["q-ak", "q-sign-time", "q-key-time", "q-signature"] {
        let decoded = edit(&format!("{nobody}="), "q-x=").decode();
        assert_eq!(decoded.asked.identity, Some(Identity::Anonymous), "{nobody}");
    }
    assert!(cos_put().set("authorization", "").code().is_none());
    assert!(cos_put().set("authorization", "Bearer x").code().is_none());
    // Temporary keys come with their token.
    let temporary = |sent: &str| Ask { token: Some("tok"), ..cos_put() }.set("x-cos-security-token", sent);
    assert_eq!(temporary("tok").code(), None);
    assert_eq!(temporary("tik").code(), Some(InvalidAccessKeyId));
    assert_eq!(temporary("").code(), Some(InvalidAccessKeyId));
}

const MAY_24: u64 = 1_369_353_600;

fn aws(
    method: &'static str,
    uri: &str,
    signed: &str,
    signature: &str,
    headers: &[(&'static str, &str)],
) -> Ask {
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential={AWS_ID}/20130524/us-east-1/s3/aws4_request,SignedHeaders={signed},Signature={signature}"
    );
    let ask = Ask::new(method, uri, MAY_24, headers);
    ask.set("host", "examplebucket.s3.amazonaws.com")
        .set("x-amz-date", "20130524T000000Z")
        .set("authorization", &authorization)
}

const GET_SIGNATURE: &str = "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41";

fn aws_get() -> Ask {
    aws(
        "GET",
        "/test.txt",
        "host;range;x-amz-content-sha256;x-amz-date",
        GET_SIGNATURE,
        &[("range", "bytes=0-9"), ("x-amz-content-sha256", EMPTY)],
    )
}

#[test]
fn aws_get_object_with_range() {
    aws_get().is_from(AWS_ID);
}

#[test]
fn aws_put_object() {
    let mut ask = aws(
        "PUT",
        "/test$file.text",
        "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
        "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
        &[
            ("date", "Fri, 24 May 2013 00:00:00 GMT"),
            ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
            ("x-amz-content-sha256", "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072"),
            ("content-length", "21"),
        ],
    );
    ask.body = b"Welcome to Amazon S3.".to_vec();
    ask.is_from(AWS_ID);
    let Ok((_, Call::PutObject(put))) = ask.decode().outcome else { panic!("not a put") };
    assert!(put.body.expected.sha256.is_some());
}

#[test]
fn aws_get_bucket_lifecycle() {
    aws(
        "GET",
        "/?lifecycle",
        "host;x-amz-content-sha256;x-amz-date",
        "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
        &[("x-amz-content-sha256", EMPTY)],
    )
    .is_from(AWS_ID);
}

#[test]
fn aws_list_objects() {
    aws(
        "GET",
        "/?max-keys=2&prefix=J",
        "host;x-amz-content-sha256;x-amz-date",
        "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
        &[("x-amz-content-sha256", EMPTY)],
    )
    .is_from(AWS_ID);
}

fn aws_presigned() -> Ask {
    let uri = format!(
        "/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256\
         &X-Amz-Credential={AWS_ID}%2F20130524%2Fus-east-1%2Fs3%2Faws4_request\
         &X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host\
         &X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
    );
    Ask::new("GET", &uri, MAY_24, &[("host", "examplebucket.s3.amazonaws.com")])
}

#[test]
fn aws_presigned_get() {
    aws_presigned().is_from(AWS_ID);
    // And under another name of the server, but for strict mode.
    let mut moved = aws_presigned().set("host", "127.0.0.1:9000");
    moved.uri = format!("/examplebucket{}", moved.uri);
    moved.is_from(AWS_ID);
    assert_eq!(Ask { strict: true, ..moved }.code(), Some(ErrorCode::SignatureDoesNotMatch));
}

#[test]
fn aws_refusals() {
    use ErrorCode::*;
    assert_eq!(aws_get().set("range", "bytes=0-8").code(), Some(SignatureDoesNotMatch));
    assert_eq!(aws_get().set("x-amz-acl", "private").code(), Some(AccessDenied));
    assert_eq!(aws_get().set("x-cos-acl", "private").code(), Some(AccessDenied), "the other spelling");
    assert_eq!(aws_get().set("x-amz-content-sha256", "x").code(), Some(SignatureDoesNotMatch));
    let at = |ask: Ask, now| Ask { now: Timestamp::from_secs(now), ..ask }.code();
    assert_eq!(at(aws_get(), MAY_24 + 901), Some(RequestTimeTooSkewed));
    assert_eq!(at(aws_get(), MAY_24 - 901), Some(RequestTimeTooSkewed));
    assert_eq!(at(aws_get(), MAY_24 + 900), None);
    assert_eq!(at(aws_presigned(), MAY_24 + 86_401), Some(RequestExpired));
    assert_eq!(at(aws_presigned(), MAY_24 + 86_400), None);
    assert_eq!(at(aws_presigned(), MAY_24 - 901), Some(RequestTimeTooSkewed));

    let header = |from: &str, to: &str| {
        let mut ask = aws_get();
        for (name, value) in &mut ask.headers {
            if *name == "authorization" {
                *value = value.replace(from, to);
            }
        }
        ask.code()
    };
    assert_eq!(header("Signature=f", "Signature=0"), Some(SignatureDoesNotMatch));
    assert_eq!(header(AWS_ID, "AKIANOBODY"), Some(InvalidAccessKeyId));
    for (from, to) in [
        ("Credential=", "Credence="),
        ("Signature=", "Sig="),
        ("SignedHeaders=", "Headers="),
        ("20130524/", "2013052/"),
        ("20130524/", "20130525/"),
        ("/s3/", "/iam/"),
        ("aws4_request", "aws5_request"),
        ("AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256"),
    ] {
        assert_eq!(header(from, to), Some(AuthorizationHeaderMalformed), "{from}");
    }
    let query = |from: &str, to: &str| {
        let mut ask = aws_presigned();
        ask.uri = ask.uri.replace(from, to);
        ask.code()
    };
    for (from, to) in [
        ("X-Amz-Expires=86400", "X-Amz-Expires=604801"),
        ("X-Amz-Expires=86400", "X-Amz-Expires=-1"),
        ("X-Amz-Expires=86400", "X-Amz-Expires=x"),
        ("X-Amz-Expires=86400&", ""),
        ("X-Amz-Date=20130524T000000Z", "X-Amz-Date=yesterday"),
        ("X-Amz-Algorithm=AWS4-HMAC-SHA256", "X-Amz-Algorithm=none"),
        ("us-east-1%2Fs3", "us-east-1%2Fec2"),
    ] {
        assert_eq!(query(from, to), Some(AuthorizationQueryParametersError), "{to}");
    }
    assert_eq!(query("X-Amz-Expires=86400", "X-Amz-Expires=86399"), Some(SignatureDoesNotMatch));

    let plain = |authorization: &str| {
        Ask::new("GET", "/test.txt", MAY_24, &[("host", "examplebucket.s3.amazonaws.com")])
            .set("authorization", authorization)
            .code()
    };
    assert_eq!(plain("Basic eDp5"), Some(InvalidArgument));

    let mut absent = aws_get();
    absent.headers.retain(|(name, _)| *name != "x-amz-content-sha256");
    assert_eq!(absent.code(), Some(InvalidRequest));
    let temporary = Ask { token: Some("tok"), ..aws_get() };
    assert_eq!(temporary.code(), Some(InvalidAccessKeyId));
}

/// The chunked upload of the S3 documentation, header and all chunks.
fn aws_chunked() -> Ask {
    let mut ask = aws(
        "PUT",
        "/examplebucket/chunkObject.txt",
        "content-encoding;content-length;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class",
        "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9",
        &[
            ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
            ("x-amz-content-sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"),
            ("content-encoding", "aws-chunked"),
            ("x-amz-decoded-content-length", "66560"),
            ("content-length", "66824"),
        ],
    )
    .set("host", "s3.amazonaws.com");
    for (size, signature) in [
        (65536, "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648"),
        (1024, "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497"),
        (0, "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9"),
    ] {
        ask.body.extend_from_slice(format!("{size:x};chunk-signature={signature}\r\n").as_bytes());
        ask.body.extend(std::iter::repeat_n(b'a', size));
        ask.body.extend_from_slice(b"\r\n");
    }
    ask
}

fn read(ask: &Ask) -> Result<Vec<u8>, BodyError> {
    match ask.decode().outcome.unwrap() {
        (_, Call::PutObject(put)) => crate::testing::collect(put.body.stream),
        (_, call) => panic!("{call:?}"),
    }
}

#[test]
fn aws_chunked_upload() {
    let ask = aws_chunked();
    assert_eq!(ask.body.len(), 66824);
    let Ok((_, Call::PutObject(put))) = ask.decode().outcome else { panic!("not a put") };
    assert_eq!(put.body.length, Some(66560));
    assert_eq!(put.attributes.content_encoding, None);
    assert_eq!(read(&ask).unwrap(), vec![b'a'; 66560]);
    let mut forged = aws_chunked();
    forged.body[70000 - 4000] = b'b';
    assert_eq!(read(&forged), Err(BodyError::Signature));
    let mut short = aws_chunked();
    short.body.truncate(66000);
    assert_eq!(read(&short), Err(BodyError::Incomplete));
}

/// The chunked upload with a trailer of the S3 documentation.
#[test]
fn aws_chunked_upload_with_a_trailer() {
    let mut ask = aws(
        "PUT",
        "/examplebucket/chunkObject.txt",
        "content-encoding;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class;x-amz-trailer",
        "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e",
        &[
            ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
            ("x-amz-content-sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"),
            ("content-encoding", "aws-chunked"),
            ("x-amz-decoded-content-length", "66560"),
            ("x-amz-trailer", "x-amz-checksum-crc32c"),
            ("transfer-encoding", "chunked"),
        ],
    )
    .set("host", "s3.amazonaws.com");
    for (size, signature) in [
        (65536, "b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2"),
        (1024, "1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7"),
        (0, "2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992"),
    ] {
        ask.body.extend_from_slice(format!("{size:x};chunk-signature={signature}\r\n").as_bytes());
        ask.body.extend(std::iter::repeat_n(b'a', size));
        if size > 0 {
            ask.body.extend_from_slice(b"\r\n");
        }
    }
    ask.body.extend_from_slice(b"x-amz-checksum-crc32c:sOO8/Q==\r\nx-amz-trailer-signature:");
    ask.body.extend_from_slice(b"d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\r\n\r\n");
    let Ok((_, Call::PutObject(put))) = ask.decode().outcome else { panic!("not a put") };
    let trailer = put.body.expected.trailer.clone();
    assert_eq!(crate::testing::collect(put.body.stream).unwrap().len(), 66560);
    assert_eq!(trailer.checksums()[0].value, [0xb0, 0xe3, 0xbc, 0xfd]);
    let at = ask.body.len() - 10;
    ask.body[at] ^= 1;
    assert_eq!(read(&ask), Err(BodyError::Signature));
}

#[test]
fn signatures_choose_the_dialect() {
    assert_eq!(cos_put().decode().asked.dialect, DialectName::Cos);
    assert_eq!(aws_get().set("host", HOST).decode().asked.dialect, DialectName::S3);
    let plain = |host, headers: &[(&'static str, &str)]| {
        let ask = Ask::new("GET", "/bucket/k", MAY_24, headers).set("host", host);
        ask.decode().asked.dialect
    };
    assert_eq!(plain(HOST, &[("x-amz-meta-a", "b")]), DialectName::Cos);
    assert_eq!(plain("bkt.s3.amazonaws.com", &[]), DialectName::S3);
    assert_eq!(plain("localhost", &[("x-amz-meta-a", "b")]), DialectName::S3);
    assert_eq!(plain("localhost", &[("x-cos-meta-a", "b")]), DialectName::Cos);
    assert_eq!(plain("localhost", &[]), DialectName::Cos);
    assert_eq!(Scheme::find(&http::HeaderMap::new(), None), Scheme::Anonymous);
}

/// Signs by having the server say what it would have signed.
fn aws_signed(ask: Ask, signed: &str) -> Ask {
    let authorization = |signature: &str| {
        format!(
            "AWS4-HMAC-SHA256 Credential={AWS_ID}/20130524/r/s3/aws4_request, SignedHeaders={signed}, Signature={signature}"
        )
    };
    let ask = ask.set("x-amz-date", "20130524T000000Z").set("authorization", &authorization("0"));
    let error = ask.decode().outcome.unwrap_err();
    let text = &error.details.iter().find(|(name, _)| *name == "StringToSign").unwrap().1;
    ask.set("authorization", &authorization(&super::sigv4::sign(AWS_KEY, "20130524", "r", text)))
}

fn aws_two(method: &'static str, uri: &str, date: &str, signature: &str) -> Ask {
    let authorization = format!("AWS {AWS_ID}:{signature}");
    let headers = [("host", "johnsmith.s3.amazonaws.com"), ("date", date), ("authorization", &authorization)];
    Ask::new(method, uri, MAR_27, &headers)
}

/// Tue, 27 Mar 2007 19:36:42.
const MAR_27: u64 = 1_175_024_202;

/// The examples of "Signing and authenticating REST requests" in S3's guide.
#[test]
fn aws_version_two() {
    let get = || {
        let date = "Tue, 27 Mar 2007 19:36:42 +0000";
        aws_two("GET", "/photos/puppy.jpg", date, "bWq2s1WEIj+Ydj0vQ697zp+IXMU=")
    };
    get().is_from(AWS_ID);
    let date = "Tue, 27 Mar 2007 19:42:41 +0000";
    aws_two("GET", "/?prefix=photos&max-keys=50&marker=puppy", date, "htDYFYduRNen8P9ZfE/s9SuKy0U=")
        .is_from(AWS_ID);
    aws_two("GET", "/?acl", "Tue, 27 Mar 2007 19:44:46 +0000", "c2WLPFtWHVgbEmeEG93a4cG37dM=")
        .is_from(AWS_ID);
    // Whatever the host: the resource alone is signed.
    let mut moved = get().set("host", "127.0.0.1:9000");
    moved.uri = "/johnsmith/photos/puppy.jpg".into();
    moved.is_from(AWS_ID);
    Ask { strict: true, ..moved }.is_from(AWS_ID);

    use ErrorCode::*;
    let late = |by| Ask { now: Timestamp::from_secs(MAR_27 + by), ..get() }.code();
    assert_eq!((late(900), late(901)), (None, Some(RequestTimeTooSkewed)));
    assert_eq!(get().set("x-amz-acl", "private").code(), Some(SignatureDoesNotMatch));
    assert_eq!(get().set("content-type", "a/b").code(), Some(SignatureDoesNotMatch));
    assert_eq!(get().set("date", "yesterday").code(), Some(AccessDenied));
    assert_eq!(get().set("date", "").code(), Some(AccessDenied));
    assert_eq!(get().set("authorization", "AWS nobody:x").code(), Some(InvalidAccessKeyId));
    assert_eq!(get().set("authorization", "AWS nobody").code(), Some(InvalidArgument));
    assert_eq!(Ask { token: Some("t"), ..get() }.code(), Some(InvalidAccessKeyId));

    let uri = format!(
        "/photos/puppy.jpg?AWSAccessKeyId={AWS_ID}&Expires=1175139620&Signature=NpgCjnDzrM%2BWFzoENXmpNDUsSn8%3D"
    );
    let url = |uri: &str| Ask::new("GET", uri, MAR_27, &[("host", "johnsmith.s3.amazonaws.com")]);
    url(&uri).is_from(AWS_ID);
    let at = |now| Ask { now: Timestamp::from_secs(now), ..url(&uri) }.code();
    assert_eq!((at(1_175_139_620), at(1_175_139_621)), (None, Some(RequestExpired)));
    assert_eq!(url(&uri.replace("puppy", "kitty")).code(), Some(SignatureDoesNotMatch));
    // What it does not sign cannot be added to it.
    for added in ["&retention", "&symlink", "&x-cos-acl=public-read", "&X-Cos-Copy-Source=b/k"] {
        assert_eq!(url(&format!("{uri}{added}")).code(), Some(AccessDenied), "{added}");
    }
    assert_eq!(url(&uri).set("x-cos-acl", "public-read").code(), Some(AccessDenied));
    assert_eq!(url(&uri.replace("Expires=1", "Expires=x")).code(), Some(AccessDenied));
}

/// cos-api 2.12: COS wants Content-MD5 of S3 clients too; lenient mode takes their checksum.
#[test]
fn aws_multi_delete_on_a_cos_host() {
    let body = "<Delete><Object><Key>a</Key></Object></Delete>";
    let crc = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32IsoHdlc, body.as_bytes());
    let crc =
        base64::Engine::encode(&base64::prelude::BASE64_STANDARD, u32::try_from(crc).unwrap().to_be_bytes());
    let headers = [
        ("host", HOST),
        ("content-length", "46"),
        ("x-amz-content-sha256", "UNSIGNED-PAYLOAD"),
        ("x-amz-checksum-crc32", &crc),
    ];
    let mut ask = Ask::new("POST", "/?delete", MAY_24, &headers);
    ask.body = body.into();
    let ask = aws_signed(ask, "host;x-amz-checksum-crc32;x-amz-content-sha256;x-amz-date");
    ask.is_from(AWS_ID);
    assert!(ask.decode().asked.notes.iter().any(|n| n.starts_with("lenient: multi-delete")));
    assert_eq!(Ask { strict: true, ..ask }.code(), Some(ErrorCode::InvalidRequest));
}

/// A document whose signed hash is another's is not even read.
#[test]
fn aws_document_with_another_hash() {
    let mut ask = Ask::new("POST", "/bucket/k?uploadId=u", MAY_24, &[("host", "s3.amazonaws.com")])
        .set("x-amz-content-sha256", EMPTY);
    ask.body = b"<CompleteMultipartUpload/>".to_vec();
    let ask = aws_signed(ask, "host;x-amz-content-sha256;x-amz-date");
    assert_eq!(ask.code(), Some(ErrorCode::ContentSha256Mismatch));
}
