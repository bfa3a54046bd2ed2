"""Queries on objects, through boto3 and the COS Python SDK."""

import bz2
import gzip
import json
import pathlib

import pytest
from botocore.exceptions import ClientError, EventStreamError
from qcloud_cos import CosServiceError

from support import raw

PEOPLE = "name,age,city\nAnn,31,Oslo\nBob,7,Rome\nCyd,44,Lima\n"
EVENTS = [{"kind": "a", "n": 1.5, "tags": ["x", "y"]}, {"kind": "b", "n": 2, "tags": []}]
CSV = {"CSV": {"FileHeaderInfo": "USE"}}
# With Snappy; the file that crates/select/src/tests/columnar.rs makes.
PARQUET = (pathlib.Path(__file__).parent / "people.parquet").read_bytes()


def select(s3, bucket, key, expression, source=CSV, into=None, **more):
    return s3.select_object_content(
        Bucket=bucket,
        Key=key,
        Expression=expression,
        ExpressionType="SQL",
        InputSerialization=source,
        OutputSerialization=into or {"CSV": {}},
        **more,
    )


def records(answer):
    """What was answered, which must have come to its end."""
    events = list(answer["Payload"])
    assert "End" in events[-1]
    return b"".join(event["Records"]["Payload"] for event in events if "Records" in event).decode()


def refused(call):
    with pytest.raises(ClientError) as caught:
        call()
    error = caught.value.response
    return error["Error"]["Code"], error["ResponseMetadata"]["HTTPStatusCode"]


def test_csv_through_boto3(s3, bucket):
    s3.put_object(Bucket=bucket, Key="people.csv", Body=PEOPLE)
    query = "SELECT s.name FROM S3Object s WHERE CAST(s.age AS INT) > 30"
    assert records(select(s3, bucket, "people.csv", query)) == "Ann\nCyd\n"
    answer = select(s3, bucket, "people.csv", "SELECT COUNT(*), AVG(CAST(age AS INT)) FROM S3Object")
    count, average = records(answer).split(",")
    assert int(count) == 3 and abs(float(average) - 82 / 3) < 1e-9
    into = {"JSON": {"RecordDelimiter": ","}}
    answer = select(s3, bucket, "people.csv", "SELECT * FROM S3Object LIMIT 2", into=into)
    found = json.loads("[" + records(answer).rstrip(",") + "]")
    assert found == [
        {"name": "Ann", "age": "31", "city": "Oslo"},
        {"name": "Bob", "age": "7", "city": "Rome"},
    ]


def test_forms_of_csv_through_boto3(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body="a;'b;|c'|;x|")
    source = {
        "CSV": {
            "RecordDelimiter": "|",
            "FieldDelimiter": ";",
            "QuoteCharacter": "'",
            "AllowQuotedRecordDelimiter": True,
        }
    }
    into = {"CSV": {"QuoteFields": "ALWAYS", "FieldDelimiter": "\t", "RecordDelimiter": ".\n"}}
    answer = select(s3, bucket, "k", "SELECT _2, _1 FROM S3Object", source, into)
    assert records(answer) == '"b;|c"\t"a".\n"x"\t"".\n'


def test_json_through_boto3(s3, bucket):
    s3.put_object(Bucket=bucket, Key="lines", Body="\n".join(map(json.dumps, EVENTS)))
    lines = {"JSON": {"Type": "LINES"}}
    into = {"JSON": {}}
    answer = select(s3, bucket, "lines", "SELECT s.kind FROM S3Object s WHERE s.n < 2", lines, into)
    assert records(answer) == '{"kind":"a"}\n'
    s3.put_object(Bucket=bucket, Key="document", Body=json.dumps({"events": EVENTS}, indent=2))
    document = {"JSON": {"Type": "DOCUMENT"}}
    query = "SELECT e.kind, e.tags[1] AS other FROM S3Object[*].events[*] e"
    answer = select(s3, bucket, "document", query, document, into)
    assert records(answer) == '{"kind":"a","other":"y"}\n{"kind":"b"}\n'


@pytest.mark.parametrize("name, pack", [("GZIP", gzip.compress), ("BZIP2", bz2.compress)])
def test_compressed_through_boto3(s3, bucket, name, pack):
    packed = pack(PEOPLE.encode())
    s3.put_object(Bucket=bucket, Key="k", Body=packed)
    source = {**CSV, "CompressionType": name}
    answer = select(s3, bucket, "k", "SELECT city FROM S3Object", source, RequestProgress={"Enabled": True})
    events = list(answer["Payload"])
    assert [next(iter(event)) for event in events] == ["Records", "Progress", "Stats", "End"]
    details = {"BytesScanned": len(packed), "BytesProcessed": len(PEOPLE), "BytesReturned": 15}
    assert events[1]["Progress"]["Details"] == details
    assert events[2]["Stats"]["Details"] == details


def test_parquet_through_both(s3, cos, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=PARQUET)
    query = "SELECT s.name, s.tags[0] AS tag, s.debt FROM S3Object s WHERE s.age > 8 OR s.seen > `2017T`"
    answer = records(select(s3, bucket, "k", query, {"Parquet": {}}, {"JSON": {}}))
    assert [json.loads(line) for line in answer.splitlines()] == [
        {"name": "Ann", "tag": "x", "debt": -1.5},
        {"name": "Bob", "tag": "z", "debt": 0.01},
        {"name": "Dan", "tag": "q", "debt": 0.01},
    ]
    answer = cos_select(cos, bucket, "k", "SELECT COUNT(age), SUM(age) FROM COSObject", {"Parquet": {}})
    assert answer.get_select_result() == b"3,82\n"


def test_ranges_through_boto3(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=PEOPLE)
    plain = {"CSV": {}}
    first = select(s3, bucket, "k", "SELECT _1 FROM S3Object", plain, ScanRange={"Start": 0, "End": 20})
    second = select(s3, bucket, "k", "SELECT _1 FROM S3Object", plain, ScanRange={"Start": 21})
    assert records(first) == "name\nAnn\n"
    assert records(second) == "Bob\nCyd\n"


def test_an_object_of_many_pieces(s3, bucket):
    rows = 200_000
    body = "".join(f"{n},{'x' * 20}\n" for n in range(rows))
    s3.put_object(Bucket=bucket, Key="k", Body=body)
    assert records(select(s3, bucket, "k", "SELECT * FROM S3Object", {"CSV": {}})) == body
    query = "SELECT SUM(CAST(_1 AS INT)), MIN(CAST(_1 AS INT)), MAX(CAST(_1 AS INT)) FROM S3Object"
    total = records(select(s3, bucket, "k", query, {"CSV": {}}))
    assert total == f"{sum(range(rows))},0,{rows - 1}\n"
    # Who leaves in the middle holds nobody up.
    for _ in range(20):
        select(s3, bucket, "k", "SELECT * FROM S3Object", {"CSV": {}})["Payload"].close()
    assert records(select(s3, bucket, "k", "SELECT COUNT(*) FROM S3Object", {"CSV": {}})) == f"{rows}\n"


def test_refusals_through_boto3(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=PEOPLE)
    for expression, code in [
        ("SELECT nothing FROM S3Object", "MissingHeaders"),
        ("SELECT FROM S3Object", "ParseEmptySelect"),
        ("SELECT FOO(name) FROM S3Object", "UnsupportedFunction"),
        ("SELECT name FROM S3Object GROUP BY name", "UnsupportedSqlStructure"),
        ("SELECT CAST(name AS INT) FROM S3Object", "CastFailed"),
    ]:
        assert refused(lambda: select(s3, bucket, "k", expression)) == (code, 400), expression
    query = "SELECT * FROM S3Object"
    for source, code in [
        ({"CSV": {"FileHeaderInfo": "MAYBE"}}, "InvalidFileHeaderInfo"),
        ({"CSV": {}, "JSON": {"Type": "LINES"}}, "ObjectSerializationConflict"),
        ({"CSV": {}, "CompressionType": "GZIP"}, "InvalidCompressionFormat"),
        ({"Parquet": {}}, "ParquetParsingError"),
        ({"JSON": {"Type": "DOCUMENT"}}, "JSONParsingError"),
        ({}, "MissingRequiredParameter"),
    ]:
        assert refused(lambda: select(s3, bucket, "k", query, source)) == (code, 400), source
    assert refused(lambda: select(s3, bucket, "none", query)) == ("NoSuchKey", 404)
    s3.put_object(Bucket=bucket, Key="cold", Body=PEOPLE, StorageClass="GLACIER")
    assert refused(lambda: select(s3, bucket, "cold", query)) == ("InvalidObjectState", 403)


def test_a_failure_after_records_is_an_event(s3, bucket):
    body = "1\n" * 100_000 + "x\n"
    s3.put_object(Bucket=bucket, Key="k", Body=body)
    answer = select(s3, bucket, "k", "SELECT CAST(_1 AS INT) FROM S3Object", {"CSV": {}})
    seen = b""
    with pytest.raises(EventStreamError) as caught:
        for event in answer["Payload"]:
            seen += event["Records"]["Payload"]
    assert caught.value.response["Error"]["Code"] == "CastFailed"
    assert seen == body.encode()[:-2]


def test_versions_and_permission(server, s3, bucket):
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    old = s3.put_object(Bucket=bucket, Key="k", Body="old\n")["VersionId"]
    s3.put_object(Bucket=bucket, Key="k", Body="new\n")
    document = (
        "<SelectRequest><Expression>SELECT * FROM S3Object</Expression><ExpressionType>SQL</ExpressionType>"
        "<InputSerialization><CSV/></InputSerialization><OutputSerialization><CSV/></OutputSerialization>"
        "</SelectRequest>"
    ).encode()
    path, query = f"/{bucket}/k", [("select", ""), ("select-type", "2")]
    target = f"{path}?select&select-type=2"
    assert b"new\n" in raw.s3(server, "POST", path, query, body=document).body
    answer = raw.s3(server, "POST", path, [*query, ("versionId", old)], body=document)
    assert b"old\n" in answer.body and answer.header("transfer-encoding") == "chunked"
    anonymous = raw.send(server, "POST", target, [("Content-Length", str(len(document)))], document)
    assert (anonymous.status, anonymous.code) == (403, "AccessDenied")
    policy = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{bucket}/*"}
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [policy]}))
    anonymous = raw.send(server, "POST", target, [("Content-Length", str(len(document)))], document)
    assert anonymous.status == 200 and b"new\n" in anonymous.body


def test_encrypted_objects(s3, cos, bucket):
    key = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": "k" * 32}
    s3.put_object(Bucket=bucket, Key="mine", Body=PEOPLE, **key)
    s3.put_object(Bucket=bucket, Key="theirs", Body=PEOPLE, ServerSideEncryption="AES256")
    query = "SELECT name FROM S3Object"
    assert records(select(s3, bucket, "mine", query, **key)) == "Ann\nBob\nCyd\n"
    assert records(select(s3, bucket, "theirs", query)) == "Ann\nBob\nCyd\n"
    assert refused(lambda: select(s3, bucket, "mine", query))[1] == 400
    other = {**key, "SSECustomerKey": "o" * 32}
    assert refused(lambda: select(s3, bucket, "mine", query, **other))[1] == 403
    answer = cos_select(cos, bucket, "theirs", query, {"CSV": {"FileHeaderInfo": "USE"}})
    assert answer.get_select_result() == b"Ann\nBob\nCyd\n"


def cos_select(cos, bucket, key, expression, source, into=None, **more):
    return cos.select_object_content(
        Bucket=bucket,
        Key=key,
        Expression=expression,
        ExpressionType="SQL",
        InputSerialization=source,
        OutputSerialization=into or {"CSV": {"RecordDelimiter": "\n"}},
        **more,
    )["Payload"]


def test_through_the_cos_sdk(cos, bucket, tmp_path):
    cos.put_object(Bucket=bucket, Key="people.csv", Body=PEOPLE)
    source = {"CompressionType": "NONE", "CSV": {"FileHeaderInfo": "USE", "RecordDelimiter": "\n"}}
    query = "Select s.name, s.city from COSObject s where s.age > 30"
    assert cos_select(cos, bucket, "people.csv", query, source).get_select_result() == b"Ann,Oslo\nCyd,Lima\n"
    file = tmp_path / "answer"
    cos_select(cos, bucket, "people.csv", query, source).get_select_result_to_file(str(file))
    assert file.read_bytes() == b"Ann,Oslo\nCyd,Lima\n"
    events = list(cos_select(cos, bucket, "people.csv", query, source, RequestProgress={"Enabled": "TRUE"}))
    assert [next(iter(event)) for event in events] == ["Records", "Progress", "Stats", "End"]
    assert events[2]["Stats"]["Details"] == {
        "BytesScanned": str(len(PEOPLE)),
        "BytesProcessed": str(len(PEOPLE)),
        "BytesReturned": "18",
    }
    cos.put_object(Bucket=bucket, Key="lines", Body="\n".join(map(json.dumps, EVENTS)))
    lines = {"CompressionType": "NONE", "JSON": {"Type": "LINES"}}
    answer = cos_select(cos, bucket, "lines", "Select * from COSObject", lines, {"JSON": {"RecordDelimiter": "\n"}})
    assert [json.loads(line) for line in answer.get_select_result().splitlines()] == EVENTS


def test_refusals_through_the_cos_sdk(cos, bucket):
    cos.put_object(Bucket=bucket, Key="k", Body=PEOPLE)
    cos.put_object(Bucket=bucket, Key="cold", Body=PEOPLE, StorageClass="ARCHIVE")
    source = {"CompressionType": "NONE", "CSV": {"FileHeaderInfo": "USE"}}
    for key, expression, want in [
        ("k", "SELECT nothing FROM COSObject", ("MissingHeaders", 400)),
        ("k", "SELECT * FROM COSObject JOIN COSObject", ("ParseMalformedJoin", 400)),
        ("none", "SELECT * FROM COSObject", ("NoSuchKey", 404)),
        ("cold", "SELECT * FROM COSObject", ("InvalidObjectState", 403)),
    ]:
        with pytest.raises(CosServiceError) as caught:
            cos_select(cos, bucket, key, expression, source)
        assert (caught.value.get_error_code(), caught.value.get_status_code()) == want
    cos.put_object(Bucket=bucket, Key="late", Body="1\n" * 100_000 + "x\n")
    with pytest.raises(CosServiceError) as caught:
        cos_select(cos, bucket, "late", "SELECT CAST(_1 AS INT) FROM COSObject", {"CSV": {}}).get_select_result()
    assert caught.value.get_error_code() == "CastFailed"
