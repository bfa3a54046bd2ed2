"""What is refused, with which status and code, in both dialects; and what comes first when more is wrong.

A row is asked in both dialects: `x-@-` stands for the dialect's prefix. A status alone means that the request is
taken. The facts are those of both services' documentation; where COS documents none, the code is the one it has
for such a thing.
"""

import base64
import datetime
import hashlib
import hmac
import time
import urllib.parse

import pytest

from support import raw
from support.clients import s3_client
from support.instance import Instance

MIB = 1 << 20
GIB = 1 << 30
B = "limits-1250000000"
THEIRS = "theirs-1252222222"
NOBODYS = "nobodys-1250000000"
PREFIX = {"s3": "x-amz-", "cos": "x-cos-"}


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    where = tmp_path_factory.mktemp("limits")
    second = "AKIDSECOND:second secret:1252222222:100000000002:second"
    with Instance(None, "--account", second, log=where / "log") as server:
        s3 = s3_client(server)
        s3.create_bucket(Bucket=B)
        s3_client(server, secret_id="AKIDSECOND", secret_key="second secret").create_bucket(Bucket=THEIRS)
        s3.put_object(Bucket=B, Key="ten", Body=b"0123456789")
        s3.put_object(Bucket=B, Key="cold", Body=b"cold", StorageClass="GLACIER")
        server.upload = s3.create_multipart_upload(Bucket=B, Key="parts")["UploadId"]
        server.tag = s3.head_object(Bucket=B, Key="ten")["ETag"]
        for number, size in ((1, MIB), (2, 1)):
            s3.upload_part(
                Bucket=B, Key="parts", UploadId=server.upload, PartNumber=number, Body=b"p" * size
            )
        yield server
        assert "panicked" not in server.log_text()


def ask(server, dialect, method, key=None, bucket=B, query=None, headers=None, body=None, **signer):
    """One request in the dialect, `@upload` and `@tag` filled in."""
    known = {"@upload": getattr(server, "upload", ""), "@tag": getattr(server, "tag", "")}
    query = {name: known.get(value, value) for name, value in (query or {}).items()}
    headers = {
        name.replace("x-@-", PREFIX[dialect]): known.get(value, value) for name, value in (headers or {}).items()
    }
    if body is not None and "delete" in query:
        headers.setdefault("Content-MD5", raw.base64_md5(body))
    if dialect == "cos":
        return raw.cos(server, method, bucket, key, query, headers, body, **signer)
    if "Content-Length" in headers:
        signer["payload"] = raw.UNSIGNED
    return raw.s3(server, method, raw.path_of(bucket, key), query, headers, body, **signer)


def holds(answer, expected):
    """A status alone, or a status with a code; HEAD has no code to show."""
    status, code = expected if isinstance(expected, tuple) else (expected, None)
    return answer.status == status and answer.code == code


def both(dialects, rows):
    """One case for each row and dialect that the row has an answer for."""
    return [
        pytest.param(dialect, asked, expected, id=f"{name}-{dialect}")
        for name, asked, *answers in rows
        for dialect, expected in zip(dialects, answers, strict=True)
        if expected is not None
    ]


def table(*rows):
    return pytest.mark.parametrize("dialect, asked, expected", both(("s3", "cos"), rows))


def put(key, **more):
    return {"method": "PUT", "key": key, "body": b"x", **more}


def get(key, **more):
    return {"method": "GET", "key": key, **more}


def documents(sub, body, key=None, **more):
    return {"method": "PUT" if sub != "delete" else "POST", "key": key, "query": {sub: ""}, "body": body, **more}


# Names


@table(
    ("short", "ab", (400, "InvalidBucketName"), (400, "InvalidBucketName")),
    ("long", "a" * 64, (400, "InvalidBucketName"), (400, "InvalidBucketName")),
    ("underscore", "a_b-1250000000", (400, "InvalidBucketName"), (400, "InvalidBucketName")),
    ("upper case", "Upper", (400, "InvalidBucketName"), None),
    ("dash beside a dot", "ab-.cd", (400, "InvalidBucketName"), (400, "InvalidBucketName")),
    ("dash first", "-ab-1250000000", (400, "InvalidBucketName"), (400, "InvalidBucketName")),
    ("two dots", "a..b", (400, "InvalidBucketName"), None),
    ("an address", "192.168.5.4", (400, "InvalidBucketName"), None),
    ("a dot", "a.b-1250000000", 200, (400, "InvalidBucketName")),
)
def test_names_of_buckets(own, dialect, asked, expected):
    answer = ask(own, dialect, "PUT", bucket=asked, headers={"Content-Length": "0"})
    assert holds(answer, expected), answer
    if answer.status == 200:
        assert ask(own, dialect, "DELETE", bucket=asked).status == 204


@table(
    ("850 bytes", "k" * 850, 200, 200),
    ("851 bytes", "k" * 851, 200, (400, "KeyTooLong")),
    ("1024 bytes", "k" * 1024, 200, (400, "KeyTooLong")),
    ("1025 bytes", "k" * 1025, (400, "KeyTooLongError"), (400, "KeyTooLong")),
    ("849 bytes of characters", "照" * 283, 200, 200),
    ("852 bytes of characters", "照" * 284, 200, (400, "KeyTooLong")),
    ("1026 bytes of characters", "照" * 342, (400, "KeyTooLongError"), (400, "KeyTooLong")),
    ("a control character", "a\x1ab", 200, (400, "InvalidObjectName")),
    ("another", "a\x17b", 200, 200),
)
def test_names_of_objects(own, dialect, asked, expected):
    answer = ask(own, dialect, "PUT", asked, body=b"x")
    assert holds(answer, expected), answer
    if answer.status == 200:
        assert ask(own, dialect, "GET", asked).body == b"x"


@pytest.mark.parametrize("path", ["/%ff", "/%", "/%4", "/%zz"])
@pytest.mark.parametrize("host", [f"{B}.cos.ap-guangzhou.myqcloud.com", f"{B}.s3.amazonaws.com"])
def test_a_path_that_cannot_be_decoded(own, host, path):
    assert holds(raw.send(own, "GET", path, {"Host": host}), (400, "InvalidURI"))


# What is stored with an object


@table(
    ("metadata of 2048 bytes", put("m", headers={"x-@-meta-n": "v" * 2047}), 200, 200),
    *(
        (f"metadata of {name}", put("m", headers=headers), (400, "MetadataTooLarge"), (400, "MetadataTooLarge"))
        for name, headers in (
            ("2049 bytes", {"x-@-meta-n": "v" * 2048}),
            ("2049 bytes in all", {"x-@-meta-a": "v" * 1024, "x-@-meta-b": "v" * 1023}),
        )
    ),
    ("metadata with _", put("m", headers={"x-@-meta-a_b": "v"}), 200, 200),
    (
        "storage class",
        put("m", headers={"x-@-storage-class": "MARBLE"}),
        (400, "InvalidStorageClass"),
        (400, "NotSupportedStorageClass"),
    ),
    ("tags twice", put("m", headers={"x-@-tagging": "a=1&a=2"}), (400, "InvalidTag"), (400, "InvalidTag")),
    ("tag key of 128", put("m", headers={"x-@-tagging": "k" * 128 + "=1"}), 200, 200),
    ("tag key of 129", put("m", headers={"x-@-tagging": "k" * 129 + "=1"}), (400, "InvalidTag"), (400, "InvalidTag")),
    ("tag value of 256", put("m", headers={"x-@-tagging": "k=" + "v" * 256}), 200, 200),
    ("tag value of 257", put("m", headers={"x-@-tagging": "k=" + "v" * 257}), (400, "InvalidTag"), (400, "InvalidTag")),
    ("tag with &", put("m", headers={"x-@-tagging": "k%26=v"}), (400, "InvalidTag"), (400, "InvalidTag")),
    ("canned acl", put("m", headers={"x-@-acl": "mine"}), (400, "InvalidArgument"), (400, "InvalidArgument")),
    ("ten tags", put("m", headers={"x-@-tagging": "&".join(f"{n}=" for n in range(10))}), 200, 200),
)
def test_what_goes_with_an_object(own, dialect, asked, expected):
    answer = ask(own, dialect, **asked)
    assert holds(answer, expected), answer


# Digests of bodies

HELLO = b"hello"


@table(
    ("right", {"Content-MD5": raw.base64_md5(HELLO)}, 200, 200),
    ("of another", {"Content-MD5": raw.base64_md5(b"bye")}, (400, "BadDigest"), (400, "BadDigest")),
    ("short", {"Content-MD5": "c2hvcnQ="}, (400, "InvalidDigest"), (400, "InvalidDigest")),
    ("in hex", {"Content-MD5": hashlib.md5(HELLO).hexdigest()}, (400, "InvalidDigest"), (400, "InvalidDigest")),
    ("empty", {"Content-MD5": ""}, (400, "InvalidDigest"), 200),
    ("crc32", {"x-amz-checksum-crc32": raw.base64_crc32(HELLO)}, 200, 200),
    ("crc32 of another", {"x-amz-checksum-crc32": raw.base64_crc32(b"bye")}, (400, "BadDigest"), (400, "BadDigest")),
    ("crc32 malformed", {"x-amz-checksum-crc32": "AAAA"}, (400, "InvalidRequest"), (400, "InvalidRequest")),
    ("sha1 of another", {"x-cos-content-sha1": "0" * 40}, None, (400, "InvalidSHA1Digest")),
)
def test_digests(own, dialect, asked, expected):
    answer = ask(own, dialect, "PUT", "digest", headers=asked, body=HELLO)
    assert holds(answer, expected), answer


def test_the_payload_hash_of_s3(own):
    path = raw.path_of(B, "digest")
    other = raw.s3(own, "PUT", path, body=HELLO, payload=hashlib.sha256(b"bye").hexdigest())
    assert holds(other, (400, "XAmzContentSHA256Mismatch"))
    nonsense = raw.s3(own, "PUT", path, body=HELLO, payload="nonsense")
    assert holds(nonsense, (400, "InvalidArgument"))


# Sizes

WAITS = {"Expect": "100-continue"}
PART = {"partNumber": "1", "uploadId": "@upload"}
TOO_LARGE = {"Content-Length": str(5 * GIB + 1), **WAITS}


@table(
    ("put", put("large", headers=TOO_LARGE, body=None), (400, "EntityTooLarge"), (400, "EntityTooLarge")),
    (
        "part",
        put("parts", query=PART, headers=TOO_LARGE, body=None),
        (400, "EntityTooLarge"),
        (400, "EntityTooLarge"),
    ),
    (
        "append",
        {"method": "POST", "key": "log", "query": {"append": "", "position": "0"}, "headers": TOO_LARGE},
        None,
        (400, "EntityTooLarge"),
    ),
    (
        "document",
        documents("versioning", None, headers={"Content-Length": str(4 * MIB + 1), **WAITS}),
        (400, "MaxMessageLengthExceeded"),
        (400, "XMLSizeLimit"),
    ),
    (
        "cors document",
        documents("cors", None, headers={"Content-Length": str(64 * 1024 + 1), **WAITS}),
        (400, "MaxMessageLengthExceeded"),
        (400, "XMLSizeLimit"),
    ),
    (
        "website document",
        documents("website", None, headers={"Content-Length": str(64 * 1024 + 1), **WAITS}),
        (400, "MaxMessageLengthExceeded"),
        (400, "XMLSizeLimit"),
    ),
)
def test_too_large_is_said_before_the_body(own, dialect, asked, expected):
    """The client never gets to send it."""
    answer = ask(own, dialect, **asked)
    assert holds(answer, expected), answer


def test_chunks_of_more_than_may_be(own):
    headers = {"x-amz-decoded-content-length": str(5 * GIB + 1), "Content-Length": str(6 * GIB), **WAITS}
    answer = raw.s3(own, "PUT", raw.path_of(B, "large"), headers=headers, payload="STREAMING-UNSIGNED-PAYLOAD-TRAILER")
    assert holds(answer, (400, "EntityTooLarge"))


@table(
    ("put", put("no-length", body=None), (411, "MissingContentLength"), (411, "MissingContentLength")),
    ("part", put("parts", query=PART, body=None), (411, "MissingContentLength"), (411, "MissingContentLength")),
    (
        "append",
        {"method": "POST", "key": "log", "query": {"append": "", "position": "0"}},
        None,
        (411, "MissingContentLength"),
    ),
)
def test_no_length(own, dialect, asked, expected):
    answer = ask(own, dialect, **asked)
    assert holds(answer, expected), answer


# Parts


def complete(*parts):
    rows = "".join(f"<Part><PartNumber>{n}</PartNumber><ETag>{tag}</ETag></Part>" for n, tag in parts)
    body = f"<CompleteMultipartUpload>{rows}</CompleteMultipartUpload>".encode()
    return {"method": "POST", "key": "parts", "query": {"uploadId": "@upload"}, "body": body}


ONE, TWO = raw.md5(b"p" * MIB), raw.md5(b"p")
BAD = (400, "InvalidArgument")


@table(
    *((f"number {n}", put("parts", query={**PART, "partNumber": n}), BAD, BAD) for n in ("0", "10001", "-1", "+1", "x", "")),
    (
        "no such upload",
        put("parts", query={**PART, "uploadId": "none"}),
        (404, "NoSuchUpload"),
        (404, "NoSuchUpload"),
    ),
    (
        "a wrong number of no upload",
        put("parts", query={"partNumber": "0", "uploadId": "none"}),
        (400, "InvalidArgument"),
        (400, "InvalidArgument"),
    ),
    (
        "list without id",
        get("parts", query={"uploadId": ""}),
        (400, "InvalidArgument"),
        (400, "ListPartUploadIdIsEmpty"),
    ),
    ("list by -1", get("parts", query={"uploadId": "@upload", "max-parts": "-1"}), BAD, BAD),
    ("list from x", get("parts", query={"uploadId": "@upload", "part-number-marker": "x"}), BAD, BAD),
    ("complete nothing", complete(), (400, "MalformedXML"), (400, "MalformedXML")),
    ("complete 0", complete((0, ONE)), BAD, BAD),
    ("complete 10001", complete((10001, ONE)), BAD, BAD),
    ("complete x", complete(("x", ONE)), (400, "MalformedXML"), (400, "MalformedXML")),
    ("complete another", complete((1, TWO)), (400, "InvalidPart"), (400, "InvalidPart")),
    ("complete what is not there", complete((3, ONE)), (400, "InvalidPart"), (400, "InvalidPart")),
    ("complete backwards", complete((2, TWO), (1, ONE)), (400, "InvalidPartOrder"), (400, "InvalidPartOrder")),
    ("complete twice the same", complete((1, ONE), (1, ONE)), (400, "InvalidPartOrder"), (400, "InvalidPartOrder")),
    (
        "complete too many",
        complete(*((number % 10000 + 1, ONE) for number in range(10001))),
        (400, "MalformedXML"),
        (400, "MalformedXML"),
    ),
)
def test_parts(own, dialect, asked, expected):
    answer = ask(own, dialect, **asked)
    assert holds(answer, expected), answer


@table(("1 MiB and 1 byte", None, (400, "EntityTooSmall"), 200))
def test_the_smallest_part_but_the_last(own, dialect, asked, expected):
    key = f"smallest-{dialect}"
    upload = ask(own, dialect, "POST", key, query={"uploads": ""}, headers={"Content-Length": "0"})
    upload = upload.xml().findtext("UploadId")
    for number, body in ((1, b"p" * MIB), (2, b"p")):
        ask(own, dialect, "PUT", key, query={"partNumber": str(number), "uploadId": upload}, body=body)
    answer = ask(own, dialect, "POST", key, query={"uploadId": upload}, body=complete((1, ONE), (2, TWO))["body"])
    assert holds(answer, expected), answer


# Documents

KEY = b"<Object><Key>k</Key></Object>"
MALFORMED = (400, "MalformedXML")


@table(
    *(
        (name, documents("delete", body), MALFORMED, MALFORMED)
        for name, body in (
            ("not XML", b"{}"),
            ("not closed", b"<Delete>" + KEY),
            ("another root", b"<Remove>" + KEY + b"</Remove>"),
            ("a document type", b"<!DOCTYPE Delete><Delete>" + KEY + b"</Delete>"),
            ("an entity", b'<!DOCTYPE d [<!ENTITY e "k">]><Delete><Object><Key>&e;</Key></Object></Delete>'),
            ("no UTF-8", b"<Delete><Object><Key>\xff</Key></Object></Delete>"),
            ("too deep", b"<Delete>" + b"<a>" * 40 + b"</a>" * 40 + b"</Delete>"),
            ("no key", b"<Delete><Object/></Delete>"),
            ("two keys in one", b"<Delete><Object><Key>a</Key><Key>b</Key></Object></Delete>"),
            ("nothing", b"<Delete/>"),
            ("1001 keys", b"<Delete>" + KEY * 1001 + b"</Delete>"),
            ("quiet or not", b"<Delete><Quiet>perhaps</Quiet>" + KEY + b"</Delete>"),
        )
    ),
    ("1000 keys", documents("delete", b"<Delete>" + KEY * 1000 + b"</Delete>"), 200, 200),
    ("elements of the future", documents("delete", b"<Delete><New/>" + KEY + b"</Delete>"), 200, 200),
    (
        "versioning of some kind",
        documents("versioning", b"<VersioningConfiguration><Status>On</Status></VersioningConfiguration>"),
        MALFORMED,
        MALFORMED,
    ),
    ("tagging of nothing", documents("tagging", b"", "ten"), MALFORMED, MALFORMED),
    ("an acl of nothing", documents("acl", b"<AccessControlPolicy/>", "ten"), (400, "MalformedACLError"), MALFORMED),
    ("restore of nothing", {"method": "POST", "key": "cold", "query": {"restore": ""}, "body": b"<X/>"}, MALFORMED, MALFORMED),
)
def test_documents(own, dialect, asked, expected):
    answer = ask(own, dialect, **asked)
    assert holds(answer, expected), answer


def test_a_multi_delete_tells_of_each_key(own):
    long = "k" * 1025
    body = f"<Delete><Object><Key>gone</Key></Object><Object><Key>{long}</Key></Object></Delete>".encode()
    for dialect, code in (("s3", "KeyTooLongError"), ("cos", "KeyTooLong")):
        tree = ask(own, dialect, **documents("delete", body)).xml()
        assert [row.findtext("Key") for row in tree.iter("Deleted")] == ["gone"]
        assert [row.findtext("Code") for row in tree.iter("Error")] == [code]


@pytest.mark.parametrize("dialect", ["s3", "cos"])
def test_a_multi_delete_needs_a_digest(own, dialect):
    body = b"<Delete>" + KEY + b"</Delete>"
    if dialect == "s3":
        answer = raw.s3(own, "POST", raw.path_of(B), {"delete": ""}, body=body)
    else:
        answer = raw.cos(own, "POST", B, query={"delete": ""}, body=body)
    assert holds(answer, (400, "InvalidRequest")), answer
    assert answer.xml().findtext("Message") == "Missing required header for this request: Content-MD5"


# Parameters


def lists(**query):
    return {"method": "GET", "query": {name.replace("_", "-"): value for name, value in query.items()}}


@table(
    ("unknown", lists(colour="blue"), 200, 200),
    ("unknown on an object", get("ten", query={"colour": "blue", "x-id": "GetObject"}), 200, 200),
    ("sub-resource of later", lists(live=""), (501, "NotImplemented"), (501, "NotImplemented")),
    ("sub-resource of an object", get("ten", query={"torrent": ""}), (501, "NotImplemented"), (501, "NotImplemented")),
    ("of a bucket on an object", get("ten", query={"cors": ""}), (501, "NotImplemented"), (501, "NotImplemented")),
    ("two sub-resources", lists(acl="", cors=""), BAD, BAD),
    (
        "a method it has not",
        {"method": "DELETE", "query": {"versioning": ""}},
        (405, "MethodNotAllowed"),
        (405, "MethodNotAllowed"),
    ),
    ("a method nobody has", {"method": "PATCH", "key": "ten"}, (405, "MethodNotAllowed"), (405, "MethodNotAllowed")),
    *((f"max-keys {n}", lists(max_keys=n), BAD, BAD) for n in ("-1", "many", "1.5", "99999999999999999999")),
    *((f"max-keys {n}", lists(max_keys=n), 200, 200) for n in ("", "0", "1001", "2147483647")),
    ("max-uploads", lists(uploads="", max_uploads="x"), BAD, BAD),
    ("encoding-type", lists(encoding_type="rot13"), BAD, BAD),
    ("no encoding-type", lists(encoding_type=""), 200, 200),
    ("token", lists(list_type="2", continuation_token="!"), BAD, BAD),
    ("empty token", lists(list_type="2", continuation_token=""), BAD, BAD),
    ("a marker that is no key", lists(marker="\x01"), 200, 200),
    ("long delimiter", lists(delimiter="ab"), 200, (400, "InvalidDelimiter")),
    ("version marker alone", lists(versions="", version_id_marker="null"), BAD, BAD),
    ("version of no form", get("ten", query={"versionId": "test"}), BAD, (404, "NoSuchVersion")),
    ("no version", get("ten", query={"versionId": ""}), BAD, 200),
    ("position", {"method": "POST", "key": "log", "query": {"append": "", "position": "x"}, "body": b""}, None, BAD),
    ("no position", {"method": "POST", "key": "log", "query": {"append": ""}, "body": b""}, None, BAD),
    ("traffic limit", get("ten", headers={"x-@-traffic-limit": "1"}), BAD, BAD),
)
def test_parameters(own, dialect, asked, expected):
    answer = ask(own, dialect, **asked)
    assert holds(answer, expected), answer


# Ranges and conditions

PAST, FUTURE = "Sun, 06 Nov 1994 08:49:37 GMT", "Sat, 06 Nov 2094 08:49:37 GMT"
UNSATISFIABLE = (416, "InvalidRange")
FAILED = (412, "PreconditionFailed")


def same(rows):
    """Rows whose answer is the same in both dialects."""
    return [(str(headers), get("ten", headers=headers), expected, expected) for headers, expected in rows]


@table(
    *same(
        (
            ({"Range": "bytes=2-4"}, 206),
            ({"Range": "bytes=8-99"}, 206),
            ({"Range": "bytes=9-"}, 206),
            ({"Range": "bytes=-3"}, 206),
            ({"Range": "bytes=-99"}, 206),
            ({"Range": "bytes=10-"}, UNSATISFIABLE),
            ({"Range": "bytes=10-10"}, UNSATISFIABLE),
            ({"Range": "bytes=-0"}, UNSATISFIABLE),
            ({"Range": "bytes=5-2"}, 200),
            ({"Range": "bytes=0-1,3-4"}, 200),
            ({"Range": "bytes=a-b"}, 200),
            ({"Range": "lines=0-1"}, 200),
            ({"Range": ""}, 200),
            ({"If-Modified-Since": PAST}, 200),
            ({"If-Modified-Since": FUTURE}, 304),
            ({"If-Modified-Since": "yesterday"}, 200),
            ({"If-Modified-Since": "1994-11-06T08:49:37Z"}, 200),
            ({"If-Unmodified-Since": FUTURE}, 200),
            ({"If-Unmodified-Since": PAST}, FAILED),
            ({"If-Unmodified-Since": "yesterday"}, 200),
            ({"If-Match": "@tag"}, 200),
            ({"If-Match": "*"}, 200),
            ({"If-Match": '"other"'}, FAILED),
            ({"If-None-Match": "@tag"}, 304),
            ({"If-None-Match": "*"}, 304),
            ({"If-None-Match": '"other"'}, 200),
            ({"If-Match": "@tag", "If-Unmodified-Since": PAST}, 200),
            ({"If-None-Match": '"other"', "If-Modified-Since": FUTURE}, 200),
            ({"If-Match": '"other"', "If-None-Match": "@tag"}, FAILED),
            ({"If-Match": '"other"', "Range": "bytes=10-"}, FAILED),
            ({"If-None-Match": "@tag", "Range": "bytes=10-"}, 304),
        )
    )
)
def test_ranges_and_conditions(own, dialect, asked, expected):
    answer = ask(own, dialect, **asked)
    assert holds(answer, expected), answer


# Headers that come twice, or ask for something


def twice(server, dialect, method, key, name, values, body=None):
    """A header on several lines, signed in S3's way as one list; COS's need not be signed."""
    if dialect == "cos":
        host = {"Host": f"{B}.cos.{raw.REGION}.myqcloud.com"}
        headers = {**host, "Authorization": raw.cos_authorization(server, method, f"/{key}", (), host)}
        target = f"/{key}"
    else:
        target = raw.path_of(B, key)
        headers = {"Host": server.host, name: ",".join(values)}
        headers = raw.SigV4(server).headers(method, target, [], headers, raw.UNSIGNED)
        del headers[name]
    pairs = [*headers.items(), *((name, value) for value in values)]
    if body is not None:
        pairs.append(("Content-Length", str(len(body))))
    return raw.send(server, method, target, pairs, body)


@pytest.mark.parametrize("dialect", ["s3", "cos"])
def test_a_header_on_several_lines_is_one_list(own, dialect):
    assert twice(own, dialect, "GET", "ten", "If-Match", ['"other"', own.tag]).status == 200
    assert twice(own, dialect, "GET", "ten", "If-Match", ['"other"', '"one"']).status == 412
    digests = [raw.base64_md5(b"x"), raw.base64_md5(b"y")]
    assert holds(twice(own, dialect, "PUT", "twice", "Content-MD5", digests, b"x"), (400, "InvalidDigest"))
    lists = ["private", "public-read"]
    name = PREFIX[dialect] + "acl"
    assert holds(twice(own, dialect, "PUT", "twice", name, lists, b"x"), (400, "InvalidArgument"))
    name = PREFIX[dialect] + "meta-a"
    assert twice(own, dialect, "PUT", "twice", name, ["1", "2"], b"x").status == 200
    assert ask(own, dialect, "HEAD", "twice").header(name) in ("1,2", "1, 2")


def test_one_host(own):
    twice = [("Host", own.host), ("Host", "localhost")]
    assert holds(raw.send(own, "GET", f"/{B}/ten", twice), (400, "BadRequest"))


@pytest.mark.parametrize("dialect", ["s3", "cos"])
def test_an_expectation_nobody_has(own, dialect):
    """RFC 9110 lets a server pass over it, and S3 does."""
    assert ask(own, dialect, "PUT", "expect", headers={"Expect": "200-ok"}, body=b"x").status == 200


OWNER, OTHER = "100000000001", "100000000002"


@table(
    ("right", get("ten", headers={"x-amz-expected-bucket-owner": OWNER}), 200, 200),
    ("another", get("ten", headers={"x-amz-expected-bucket-owner": OTHER}), (403, "AccessDenied"), (403, "AccessDenied")),
    (
        "no account",
        get("ten", headers={"x-amz-expected-bucket-owner": "me"}),
        (400, "InvalidBucketOwnerAWSAccountID"),
        (400, "InvalidArgument"),
    ),
    (
        "another before a wrong header",
        put("own", headers={"x-amz-expected-bucket-owner": OTHER, "Content-MD5": "x"}),
        (403, "AccessDenied"),
        (403, "AccessDenied"),
    ),
    *(
        (
            f"source of {name}",
            put("copy", body=b"", headers={"x-@-copy-source": f"{B}/ten", "x-amz-source-expected-bucket-owner": owner}),
            s3,
            cos,
        )
        for name, owner, s3, cos in (
            ("the right one", OWNER, 200, 200),
            ("another", OTHER, (403, "AccessDenied"), (403, "AccessDenied")),
            ("no account", "me", (400, "InvalidBucketOwnerAWSAccountID"), (400, "InvalidArgument")),
        )
    ),
)
def test_whose_bucket_it_must_be(own, dialect, asked, expected):
    answer = ask(own, dialect, **asked)
    assert holds(answer, expected), answer


# Time


def at(dialect, seconds, lasts=600):
    """What signs a request so many seconds from now."""
    if dialect == "s3":
        return {"now": datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)}
    start = int(time.time()) + seconds
    return {"start": start, "end": start + lasts}


@table(
    ("13 minutes ahead", 13 * 60, 200, 200),
    ("17 minutes ahead", 17 * 60, (403, "RequestTimeTooSkewed"), (403, "RequestTimeTooSkewed")),
    ("9 minutes behind", -9 * 60, 200, 200),
    ("17 minutes behind", -17 * 60, (403, "RequestTimeTooSkewed"), (403, "AccessDenied")),
)
def test_clocks_that_differ(own, dialect, asked, expected):
    answer = ask(own, dialect, "GET", "ten", **at(dialect, asked))
    assert holds(answer, expected), answer
    if answer.code == "AccessDenied":
        assert answer.xml().findtext("Message") == "Request has expired", "a client corrects its clock by it"
    if answer.status == 403:
        assert answer.header("Date") and answer.xml().findtext("ServerTime")


def presigned_s3(server, key, began, expires):
    """A URL that began so many seconds ago."""
    then = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(seconds=began)
    signer = raw.SigV4(server, now=then)
    query = sorted(
        {
            "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
            "X-Amz-Credential": f"{signer.secret_id}/{signer.scope}",
            "X-Amz-Date": signer.date,
            "X-Amz-Expires": str(expires),
            "X-Amz-SignedHeaders": "host",
        }.items()
    )
    text = "&".join(f"{raw.quote(name)}={raw.quote(value)}" for name, value in query)
    path = raw.path_of(B, key)
    canonical = "\n".join(["GET", path, text, f"host:{server.host}", "", "host", raw.UNSIGNED])
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    signature = signer.sign(f"AWS4-HMAC-SHA256\n{signer.date}\n{signer.scope}\n{digest}")
    return {"Host": server.host}, f"{path}?{text}&X-Amz-Signature={signature}"


def presigned_cos(server, key, began, expires, merged=False):
    host = {"Host": f"{B}.cos.{raw.REGION}.myqcloud.com"}
    start = int(time.time()) - began
    text = raw.cos_authorization(server, "GET", f"/{key}", (), host, start=start, end=start + expires)
    if merged:
        return host, f"/{key}?sign={urllib.parse.quote(text, safe='')}"
    pairs = (pair.partition("=") for pair in text.split("&"))
    return host, f"/{key}?" + "&".join(f"{name}={raw.quote(value)}" for name, _, value in pairs)


def presigned_s3_of_old(server, key, began, expires):
    """Version 2 knows the end alone."""
    end = int(time.time()) - began + expires
    text = f"GET\n\n\n{end}\n{raw.path_of(B, key)}"
    signature = base64.b64encode(hmac.new(server.secret_key.encode(), text.encode(), hashlib.sha1).digest())
    query = {"AWSAccessKeyId": server.secret_id, "Expires": end, "Signature": signature.decode()}
    return {"Host": server.host}, f"{raw.path_of(B, key)}?{urllib.parse.urlencode(query)}"


FORMS = {
    "Signature": presigned_s3_of_old,
    "X-Amz-Signature": presigned_s3,
    "q-signature": presigned_cos,
    "sign": lambda *asked: presigned_cos(*asked, merged=True),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_url_that_has_expired(own, form):
    headers, target = FORMS[form](own, "ten", 60, 120)
    assert raw.send(own, "GET", target, headers).body == b"0123456789"
    headers, target = FORMS[form](own, "ten", 60, 30)
    answer = raw.send(own, "GET", target, headers)
    assert holds(answer, (403, "AccessDenied")), answer
    assert answer.xml().findtext("Message") == "Request has expired"
    if form == "Signature":
        return
    headers, target = FORMS[form](own, "ten", -17 * 60, 60)
    assert holds(raw.send(own, "GET", target, headers), (403, "RequestTimeTooSkewed"))


@pytest.mark.parametrize("expires", ["604801", "-1", "x"])
def test_how_long_a_url_of_s3_may_live(own, expires):
    headers, target = presigned_s3(own, "ten", 60, expires)
    assert holds(raw.send(own, "GET", target, headers), (400, "AuthorizationQueryParametersError"))


# What comes first: target, signature, bucket, who asks, headers and document, object, conditions, state (cos-api 7.4)

WRONG = {"secret_key": "wrong"}
UNKNOWN = {"secret_id": "AKIDNOBODY"}
BAD_MD5 = {"Content-MD5": "x"}
XML = b"<X/>"


@table(
    ("bucket name before signature", {"method": "GET", "bucket": "a_b", "key": "k", **WRONG}, (400, "InvalidBucketName"), (400, "InvalidBucketName")),
    ("key before signature", get("k" * 1025, **WRONG), (400, "KeyTooLongError"), (400, "KeyTooLong")),
    ("secret id before bucket", get("k", bucket=NOBODYS, **UNKNOWN), (403, "InvalidAccessKeyId"), (403, "InvalidAccessKeyId")),
    ("signature before bucket", get("k", bucket=NOBODYS, **WRONG), (403, "SignatureDoesNotMatch"), (403, "SignatureDoesNotMatch")),
    ("signature before headers", put("k", headers=BAD_MD5, **WRONG), (403, "SignatureDoesNotMatch"), (403, "SignatureDoesNotMatch")),
    ("bucket before headers", put("k", bucket=NOBODYS, headers=BAD_MD5), (404, "NoSuchBucket"), (404, "NoSuchBucket")),
    ("what is no operation before bucket", lists(live="") | {"bucket": NOBODYS}, (501, "NotImplemented"), (501, "NotImplemented")),
    ("bucket before an operation of later", lists(analytics="") | {"bucket": NOBODYS}, (404, "NoSuchBucket"), (404, "NoSuchBucket")),
    ("bucket before length", put("k", bucket=NOBODYS, body=None), (404, "NoSuchBucket"), (404, "NoSuchBucket")),
    ("bucket before document", documents("versioning", XML, bucket=NOBODYS), (404, "NoSuchBucket"), (404, "NoSuchBucket")),
    ("bucket before keys", documents("delete", XML, bucket=NOBODYS), (404, "NoSuchBucket"), (404, "NoSuchBucket")),
    ("bucket before parameters", lists(max_keys="x") | {"bucket": NOBODYS}, (404, "NoSuchBucket"), (404, "NoSuchBucket")),
    ("right before headers", put("k", bucket=THEIRS, headers=BAD_MD5), (403, "AccessDenied"), (403, "AccessDenied")),
    ("right before document", documents("versioning", XML, bucket=THEIRS), (403, "AccessDenied"), (403, "AccessDenied")),
    ("right before parameters", lists(max_keys="x") | {"bucket": THEIRS}, (403, "AccessDenied"), (403, "AccessDenied")),
    ("right before object", get("none", bucket=THEIRS), (403, "AccessDenied"), (403, "AccessDenied")),
    ("headers before object", get("none", headers={"x-@-traffic-limit": "1"}), BAD, BAD),
    ("object before conditions", get("none", headers={"If-Match": "*"}), (404, "NoSuchKey"), (404, "NoSuchKey")),
    ("object before range", get("none", headers={"Range": "bytes=9-"}), (404, "NoSuchKey"), (404, "NoSuchKey")),
    ("conditions before state", get("cold", headers={"If-Match": '"other"'}), FAILED, FAILED),
    ("state", get("cold"), (403, "InvalidObjectState"), (403, "InvalidObjectState")),
    ("state before range", get("cold", headers={"Range": "bytes=99-"}), (403, "InvalidObjectState"), (403, "InvalidObjectState")),
    ("copy onto itself", put("ten", body=b"", headers={"x-@-copy-source": f"{B}/ten"}), (400, "InvalidRequest"), (400, "InvalidRequest")),
    ("copy of nothing", put("c", body=b"", headers={"x-@-copy-source": f"{B}/none"}), (404, "NoSuchKey"), (404, "NoSuchKey")),
    ("body before conditions", put("ten", headers={"If-None-Match": "*", "Content-MD5": raw.base64_md5(b"y")}), (400, "BadDigest"), (400, "BadDigest")),
)
def test_what_comes_first(own, dialect, asked, expected):
    if dialect == "s3" and asked.get("body", b"") is None:
        asked = {**asked, "payload": raw.UNSIGNED}
    answer = ask(own, dialect, **asked)
    assert holds(answer, expected), answer


@pytest.mark.parametrize("host", [f"cos.{raw.REGION}.myqcloud.com", f"s3.{raw.REGION}.amazonaws.com"])
def test_who_is_nobody_hears_that_first(own, host):
    """What is wrong with the rest is not told to whom the bucket is closed."""
    host = {"Host": f"{B}.{host}"}
    denied = (403, "AccessDenied")
    assert holds(raw.send(own, "GET", "/ten?response-expires=0", host), denied)
    assert holds(raw.send(own, "GET", "/?max-keys=x", host), denied)
    assert holds(raw.send(own, "PUT", "/k", {**host, "Content-MD5": "x", "Content-Length": "0"}), denied)
    s3_client(own).put_object_acl(Bucket=B, Key="ten", ACL="public-read")
    try:
        assert raw.send(own, "GET", "/ten", host).status == 200
        assert holds(raw.send(own, "GET", "/ten?response-expires=0", host), (400, "InvalidRequest"))
    finally:
        s3_client(own).put_object_acl(Bucket=B, Key="ten", ACL="private")


def test_what_a_wrong_signature_is_told(own):
    """Enough to compare with what the client has signed."""
    cos = ask(own, "cos", "GET", "ten", **WRONG).xml()
    assert cos.findtext("StringToSign").startswith("sha1\n")
    assert cos.findtext("FormatString") == f"get\n/ten\n\nhost={B}.cos.{raw.REGION}.myqcloud.com\n"
    s3 = ask(own, "s3", "GET", "ten", **WRONG).xml()
    assert s3.findtext("StringToSign").startswith("AWS4-HMAC-SHA256\n")
    assert s3.findtext("CanonicalRequest").startswith(f"GET\n/{B}/ten\n")
    assert s3.findtext("AWSAccessKeyId") == own.secret_id and s3.findtext("SignatureProvided")
