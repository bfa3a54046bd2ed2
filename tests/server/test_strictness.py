"""Each row of docs/strictness.md, on a lenient and on a strict server."""

import base64
import re

import pytest

from support import raw
from support.instance import ROOT, Instance

B = "lenient-1250000000"
COS = f"{B}.cos.{raw.REGION}.myqcloud.com"
REGIONAL = f"cos.{raw.REGION}.myqcloud.com"


@pytest.fixture(scope="module")
def servers(tmp_path_factory):
    where = tmp_path_factory.mktemp("strictness")
    env = {"COSETTE_LOG": "debug"}
    with (
        Instance(None, log=where / "lenient", env=env) as lenient,
        Instance(None, "--strict", log=where / "strict", env=env) as strict,
    ):
        for server in (lenient, strict):
            assert raw.cos(server, "PUT", B, headers={"Content-Length": "0"}).status == 200
            assert raw.cos(server, "PUT", B, "k", body=b"x").status == 200
        yield lenient, strict


def cos_signed(server, method, path, host, body=None, signed_host=None, headers=None):
    """A COS request whose signature may be for another host than it is sent to."""
    headers = headers or {}
    signed = raw.cos_authorization(server, method, path, (), {"Host": signed_host or host, **headers})
    if body is not None:
        headers = {**headers, "Content-Length": str(len(body))}
    return raw.send(server, method, raw.quote(path, "/"), {"Host": host, **headers, "Authorization": signed}, body)


def create(server, bucket):
    return raw.cos(server, "PUT", bucket, headers={"Content-Length": "0"})


def path_style(server):
    return cos_signed(server, "GET", f"/{B}/k", REGIONAL)


def path_style_of_s3_on_a_cos_host(server):
    return raw.s3(server, "GET", f"/{B}/k", headers={"Host": REGIONAL})


def without_appid(server):
    return create(server, "short")


def long_host(server):
    return create(server, "a" * 20 + "-1250000000")


def many_buckets(server):
    for number in range(200):
        last = create(server, f"many{number}-1250000000")
    return last


def rooted_key(server):
    return raw.cos(server, "PUT", B, "/rooted", body=b"x")


def rooted_key_the_other_way(server):
    return raw.cos(server, "PUT", B, "\\rooted", body=b"x")


def signed_for_another_name(server):
    return cos_signed(server, "GET", "/k", f"{B}.localhost:{server.port}", signed_host=COS)


def trailer(server):
    crc = raw.base64_crc32(b"hello")
    body = f"5\r\nhello\r\n0\r\nx-amz-checksum-crc32:{crc}\r\n\r\n".encode()
    headers = {
        "Host": COS,
        "x-amz-decoded-content-length": "5",
        "x-amz-trailer": "x-amz-checksum-crc32",
    }
    return raw.s3(server, "PUT", "/k", headers=headers, body=body, payload="STREAMING-UNSIGNED-PAYLOAD-TRAILER")


DELETE = b"<Delete><Object><Key>none</Key></Object></Delete>"


def multi_delete_with_a_checksum(server):
    headers = {"Host": COS, "x-amz-checksum-crc32": raw.base64_crc32(DELETE)}
    return raw.s3(server, "POST", "/", {"delete": ""}, headers, DELETE)


def class_of_many_zones(server):
    return raw.cos(server, "PUT", B, "k", headers={"x-cos-storage-class": "MAZ_STANDARD"}, body=b"x")


def metadata_with_underscore(server):
    return raw.cos(server, "PUT", B, "k", headers={"x-cos-meta-a_b": "v"}, body=b"x")


def no_length(server):
    return raw.cos(server, "POST", B, "parts", {"uploads": ""})


def customers_key(server):
    key = b"k" * 32
    words = {"algorithm": "AES256", "key": base64.b64encode(key).decode(), "key-MD5": raw.base64_md5(key)}
    headers = {f"x-cos-server-side-encryption-customer-{name}": value for name, value in words.items()}
    return raw.cos(server, "PUT", B, "customers", headers=headers, body=b"x")


def customers_key_of_s3(server):
    key = b"k" * 32
    words = {"algorithm": "AES256", "key": base64.b64encode(key).decode(), "key-MD5": raw.base64_md5(key)}
    headers = {f"x-amz-server-side-encryption-customer-{name}": value for name, value in words.items()}
    return raw.s3(server, "PUT", f"/{B}/customers", headers=headers, body=b"x")


#: Row of the table: requests, what a strict server answers, what a lenient one notes.
PASSES = {
    "Bucket in the path, in the COS dialect or on a COS host": (
        [path_style, path_style_of_s3_on_a_cos_host],
        (403, "PathStyleDomainForbidden"),
        "path style",
    ),
    "`PUT Bucket` of a name without `-<APPID>` in the COS dialect": (
        [without_appid],
        (400, "InvalidRequest"),
        "bucket name without appid",
    ),
    "`PUT Bucket` of a name whose host name on COS has more than 60 characters, in the COS dialect": (
        [long_host],
        (400, "BucketNameTooLong"),
        "bucket name too long for its host",
    ),
    "More than 200 buckets of one account, in the COS dialect": ([many_buckets], (400, "TooManyBuckets"), None),
    "A key that begins with `/` or `\\`, in the COS dialect": (
        [rooted_key, rooted_key_the_other_way],
        (400, "InvalidObjectName"),
        "key that begins with a slash",
    ),
    "Signature made for another name of this server (host or path form)": (
        [signed_for_another_name],
        (403, "SignatureDoesNotMatch"),
        "signed for another name of this server",
    ),
    "Body with trailing checksums (`STREAMING-...-TRAILER`), in the COS dialect or on a COS host": (
        [trailer],
        (501, "NotImplemented"),
        "body with trailing checksums",
    ),
    "Multi-delete without `Content-MD5` by an AWS-signed request on a COS host": (
        [multi_delete_with_a_checksum],
        (400, "InvalidRequest"),
        "multi-delete without Content-MD5",
    ),
    "A `MAZ_*` storage class (every bucket here is of one zone)": (
        [class_of_many_zones],
        (400, "MAZOperationNotSupportOnOAZBucket"),
        "MAZ_STANDARD in a bucket of one zone",
    ),
    "A customer's key (SSE-C) over plain http": (
        [customers_key, customers_key_of_s3],
        (400, "InvalidRequest"),
        "a customer's key over plain http",
    ),
    "User metadata with `_` in its name, in the COS dialect": (
        [metadata_with_underscore],
        (400, "InvalidArgument"),
        "metadata with _ in its name",
    ),
    "PUT or POST without `Content-Length`, in the COS dialect or on a COS host, where nothing is stored": (
        [no_length],
        (411, "MissingContentLength"),
        "no Content-Length",
    ),
}


def test_the_page_has_these_rows():
    page = (ROOT / "docs/strictness.md").read_text()
    rows = re.findall(r"^\| (.+?) \| .+ \| .+ \|$", page, re.M)
    assert set(rows[2:]) == set(PASSES), "a row without a test, or a test without a row"


@pytest.mark.parametrize("what", PASSES)
def test_lenient_takes_and_strict_refuses(servers, what):
    lenient, strict = servers
    requests, refusal, note = PASSES[what]
    for request in requests:
        seen = len(lenient.log_text())
        answer = request(lenient)
        assert answer.status in (200, 204), answer
        if note:
            assert f"lenient: {note}" in lenient.log_text()[seen:]
        refused = request(strict)
        assert (refused.status, refused.code) == refusal, refused


# The same in both modes


@pytest.fixture(params=["lenient", "strict"])
def either(request, servers):
    """Each server in turn, which must take no lenient pass."""
    server = servers[request.param == "strict"]
    seen = len(server.log_text())
    yield server
    assert "lenient: " not in server.log_text()[seen:]


def test_a_host_counts_with_and_without_its_port(either):
    port = f"{COS}:{either.port}"
    assert cos_signed(either, "GET", "/k", port, signed_host=COS).body == b"x"
    assert cos_signed(either, "GET", "/k", port, signed_host=port).body == b"x"


def test_the_region_of_a_scope_is_not_looked_at_but_its_date_is(either):
    host = {"Host": COS}
    assert raw.s3(either, "GET", "/k", headers=host, region="us-east-1").body == b"x"
    signed = raw.SigV4(either).headers("GET", "/k", [], host, raw.EMPTY_SHA256)
    date = signed["x-amz-date"][:8]
    signed["Authorization"] = signed["Authorization"].replace(f"/{date}/", "/20200101/")
    answer = raw.send(either, "GET", "/k", signed)
    assert (answer.status, answer.code) == (400, "AuthorizationHeaderMalformed")


def test_half_a_signature(either):
    """COS knows nobody by it, S3 says what is wrong."""
    for half in ("q-sign-algorithm=sha1&q-ak=AKID", "Bearer token"):
        answer = raw.send(either, "GET", "/k", {"Host": COS, "Authorization": half})
        assert (answer.status, answer.code) == (403, "AccessDenied"), answer
    half = {"Host": COS, "Authorization": "AWS4-HMAC-SHA256 Credential=AKID"}
    answer = raw.send(either, "GET", "/k", half)
    assert (answer.status, answer.code) == (400, "AuthorizationHeaderMalformed")
    other = {"Host": f"{B}.s3.{raw.REGION}.amazonaws.com", "Authorization": "Bearer token"}
    answer = raw.send(either, "GET", "/k", other)
    assert (answer.status, answer.code) == (400, "InvalidArgument")


def test_s3_has_path_style(either):
    assert raw.s3(either, "GET", f"/{B}/k").body == b"x"


def test_how_a_dialect_is_told(either):
    """By the signature, else the host, else the headers; else it is COS's."""

    def dialect(answer):
        names = [name.lower() for name in answer.names()]
        return "s3" if "x-amz-request-id" in names else "cos"

    s3_host, own = f"{B}.s3.{raw.REGION}.amazonaws.com", f"{B}.localhost"
    assert dialect(raw.s3(either, "GET", "/k", headers={"Host": COS})) == "s3"
    assert dialect(cos_signed(either, "GET", "/k", s3_host)) == "cos"
    assert dialect(raw.send(either, "GET", "/k", {"Host": COS, "x-amz-acl": "private"})) == "cos"
    assert dialect(raw.send(either, "GET", "/k", {"Host": s3_host, "x-cos-acl": "private"})) == "s3"
    assert dialect(raw.send(either, "GET", "/k", {"Host": own, "x-amz-acl": "private"})) == "s3"
    assert dialect(raw.send(either, "GET", "/k", {"Host": own, "x-cos-acl": "private", "x-amz-acl": ""})) == "cos"
    assert dialect(raw.send(either, "GET", "/k", {"Host": own})) == "cos"
