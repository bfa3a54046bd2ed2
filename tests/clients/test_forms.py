"""POST form uploads: boto3's presigned posts, COS's own forms, and what a browser makes of them."""

import hashlib

import pytest
import requests

from support.clients import s3_client
from support.forms import cos_fields


def send(url, fields, file=("a.txt", b"hello"), after=None):
    parts = [(name, (None, value)) for name, value in fields.items()]
    if file is not None:
        parts.append(("file", file))
    parts += [(name, (None, value)) for name, value in (after or {}).items()]
    return requests.post(url, files=parts, allow_redirects=False, timeout=60)


def code(answer):
    return answer.status_code, answer.text.split("<Code>")[-1].split("</Code>")[0]


# S3


@pytest.mark.parametrize("version", ["s3v4", "s3"])
@pytest.mark.parametrize("style", ["path", "virtual"])
def test_presigned_post(server, bucket, s3, localhost_names, version, style):
    endpoint = server.url if style == "path" else f"http://localhost:{server.port}"
    client = s3_client(server, style=style, endpoint=endpoint, signature_version=version)
    post = client.generate_presigned_post(
        bucket,
        "up/${filename}",
        Fields={"Content-Type": "text/plain", "x-amz-meta-note": "of ${filename}", "success_action_status": "201"},
        Conditions=[
            ["starts-with", "$Content-Type", "text/"],
            ["starts-with", "$x-amz-meta-note", ""],
            {"success_action_status": "201"},
            ["content-length-range", 1, 10],
        ],
    )
    answer = send(post["url"], post["fields"], after={"submit": "Send"})
    assert answer.status_code == 201, answer.text
    assert answer.headers["ETag"] == f'"{hashlib.md5(b"hello").hexdigest()}"'
    assert "<PostResponse><Location>" in answer.text and "<Key>up/a.txt</Key>" in answer.text
    assert requests.get(answer.headers["Location"], timeout=60).status_code == 403
    got = s3.get_object(Bucket=bucket, Key="up/a.txt")
    assert (got["Body"].read(), got["ContentType"]) == (b"hello", "text/plain")
    assert got["Metadata"] == {"note": "of a.txt"}

    for body, refusal in [(b"", "EntityTooSmall"), (b"x" * 11, "EntityTooLarge")]:
        assert code(send(post["url"], post["fields"], ("b.txt", body))) == (400, refusal)
    wrong = {**post["fields"], "Content-Type": "image/png"}
    assert code(send(post["url"], wrong)) == (403, "AccessDenied")
    more = {**post["fields"], "x-amz-meta-more": "1"}
    assert code(send(post["url"], more)) == (403, "AccessDenied")
    other = {**post["fields"], "key": "elsewhere/a"}
    assert code(send(post["url"], other)) == (403, "AccessDenied")
    field = "x-amz-signature" if version == "s3v4" else "signature"
    forged = {**post["fields"], field: "0" + post["fields"][field][1:]}
    forged[field] = forged[field] if forged[field] != post["fields"][field] else "1" + forged[field][1:]
    assert code(send(post["url"], forged)) == (403, "SignatureDoesNotMatch")
    unsigned = {name: value for name, value in post["fields"].items() if name != field}
    assert code(send(post["url"], unsigned)) == (400, "InvalidArgument")
    assert code(send(post["url"], post["fields"], file=None)) == (400, "InvalidArgument")
    keys = [row["Key"] for row in s3.list_objects_v2(Bucket=bucket)["Contents"]]
    assert keys == ["up/a.txt"]


def test_where_a_page_goes_on(server, bucket, s3):
    to = "http://example.com/done?x=1"
    post = s3_client(server).generate_presigned_post(
        bucket, "a b", Fields={"success_action_redirect": to}, Conditions=[{"success_action_redirect": to}]
    )
    answer = send(post["url"], post["fields"])
    etag = hashlib.md5(b"hello").hexdigest()
    assert answer.status_code == 303
    assert answer.headers["Location"] == f"{to}&bucket={bucket}&key=a%20b&etag=%22{etag}%22"


def test_what_is_no_form(server, bucket):
    url = f"{server.url}/{bucket}"
    signed = {"x-amz-date": "20260101T000000Z"}
    assert code(requests.post(url, data=b"x", headers=signed, timeout=60)) == (412, "PreconditionFailed")
    assert code(requests.post(url, data=b"x", timeout=60)) == (400, "MalformedPOSTRequest")
    kind = {"Content-Type": "multipart/form-data; boundary=b"}
    assert code(requests.post(url, data=b"x", headers=kind, timeout=60)) == (400, "MalformedPOSTRequest")
    assert code(send(url, {"key": "k"})) == (403, "AccessDenied")


def test_a_large_file_is_not_held(server, bucket, s3):
    body = bytes(range(256)) * (16 << 12)
    post = s3_client(server).generate_presigned_post(bucket, "large")
    assert send(post["url"], post["fields"], ("l", body)).status_code == 204
    assert s3.get_object(Bucket=bucket, Key="large")["Body"].read() == body


# COS


def test_a_form_of_cos(server, bucket, cos):
    url = f"http://127.0.0.1:{server.port}/"
    host = {"Host": f"{bucket}.cos.{server.region}.myqcloud.com"}

    def post(fields, file=("a.txt", b"hello")):
        parts = [(name, (None, value)) for name, value in fields.items()] + [("file", file)]
        return requests.post(url, files=parts, headers=host, timeout=60, allow_redirects=False)

    fields = cos_fields(
        server,
        bucket,
        [["starts-with", "$key", "up/"], ["content-length-range", 0, 10]],
        **{"key": "up/${filename}", "x-cos-meta-note": "n", "Cache-Control": "no-cache"},
    )
    answer = post(fields)
    assert answer.status_code == 204, answer.text
    assert answer.headers["ETag"] == f'"{hashlib.md5(b"hello").hexdigest()}"'
    assert answer.headers["Location"] == f"http://{host['Host']}/up/a.txt"
    assert answer.headers["x-cos-hash-crc64ecma"]
    head = cos.head_object(Bucket=bucket, Key="up/a.txt")
    assert (head["x-cos-meta-note"], head["Cache-Control"]) == ("n", "no-cache")

    assert code(post({**fields, "key": "down/a"})) == (403, "AccessDenied")
    assert "Condition key key doesn't match the value up/" in post({**fields, "key": "down/a"}).text
    assert code(post(fields, ("b", b"x" * 11))) == (400, "EntityTooLarge")
    forged = {**fields, "q-signature": "0" * 40}
    assert code(post(forged)) == (403, "SignatureDoesNotMatch")
    stranger = {**fields, "q-ak": "AKIDstranger"}
    assert code(post(stranger)) == (403, "InvalidAccessKeyId")
    late = cos_fields(server, bucket, expiration="2020-01-01T00:00:00Z", key="k")
    assert "You post object request has been expired" in post(late).text
    elsewhere = cos_fields(server, "other-1250000000", key="k")
    assert code(post(elsewhere)) == (403, "AccessDenied")
    text = post(cos_fields(server, bucket, key="k") | {"success_action_status": "200"})
    assert (text.status_code, text.text) == (200, "")
    two = [("file", ("a", b"1")), ("file", ("b", b"2"))]
    parts = [(name, (None, value)) for name, value in cos_fields(server, bucket, key="k2").items()]
    answer = requests.post(url, files=parts + two, headers=host, timeout=60)
    assert code(answer) == (400, "IncorrectNumberOfFilesInPostRequest")
    assert not cos.object_exists(Bucket=bucket, Key="k2")
