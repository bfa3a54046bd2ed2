"""Every event, from the real operation through an official client to a function: the records that docs/events.md
shows, and the service's own decoders take them."""

import json
import os
import re
import shutil
import subprocess

import pytest
import requests
from support import functions
from support.clients import cos_client
from support.forms import cos_fields
from support.functions import FUNCTIONS, bind, call, deploy, description, domain, events_of
from support.instance import ROOT, Instance
from support.origin import Origin, put_rules, read, rule

PAGE = ROOT / "docs/events.md"
BUCKET, VERSIONED, REPLICAS = "examplebucket-1250000000", "versions-1250000000", "replicas-1250000000"
ELSEWHERE = "ap-shanghai"
MIB = 1 << 20
#: What differs from run to run, as the page shows it.
TIME = 1700000000
REQUEST = "NjU1M2YxMDBfMWM0YTBiMDlfMTVmNF8zYjZhMWUy"
SIGNED = (
    "q-sign-algorithm=sha1&q-ak=AKIDCosetteLocalDevelopment0000000000&q-sign-time=1699999940;1700000000"
    "&q-key-time=1699999940;1700000000&q-header-list=host&q-url-param-list=&q-signature=" + 40 * "0"
)
VERSION = "MTg0NDUxNTc1NjIzMTQ1MDAwODg"


def restored(client, server, key):
    """An archived object's restore, begun and completed."""
    client.put_object(Bucket=BUCKET, Key=key, Body=b"hello", StorageClass="ARCHIVE", ContentType="text/plain")
    client.restore_object(Bucket=BUCKET, Key=key, RestoreRequest={"Days": "2", "CASJobParameters": {"Tier": "Expedited"}})
    assert server.admin("POST", "clock", {"advance": "1h"})["settled"]


def form(server, key):
    host = {"Host": f"{BUCKET}.cos.{server.region}.myqcloud.com"}
    fields = cos_fields(server, BUCKET, key=key, **{"Content-Type": "text/plain"})
    parts = [(name, (None, value)) for name, value in fields.items()] + [("file", ("a.txt", b"hello"))]
    assert requests.post(server.url, files=parts, headers=host, timeout=60).status_code == 204


def in_parts(client, key):
    upload = client.create_multipart_upload(Bucket=BUCKET, Key=key, ContentType="application/zip")["UploadId"]
    parts = []
    for number, body in enumerate((b"p" * MIB, b"end"), 1):
        etag = client.upload_part(Bucket=BUCKET, Key=key, Body=body, PartNumber=number, UploadId=upload)["ETag"]
        parts.append({"PartNumber": number, "ETag": etag})
    client.complete_multipart_upload(Bucket=BUCKET, Key=key, UploadId=upload, MultipartUpload={"Part": parts})


def replicated(server, client):
    """What a function in another region is given of a copy there."""
    elsewhere, scf = cos_client(server, Region=ELSEWHERE), functions.client(server, region=ELSEWHERE)
    elsewhere.create_bucket(Bucket=REPLICAS)
    elsewhere.put_bucket_versioning(Bucket=REPLICAS, Status="Enabled")
    deploy(scf, "copies", FUNCTIONS / "echo-python")
    what = description("cos:ObjectCreated:*")
    bound = {"FunctionName": "copies", "Type": "cos", "Qualifier": "$DEFAULT", "Enable": "OPEN"}
    call(scf, "CreateTrigger", TriggerName=domain(REPLICAS, ELSEWHERE), TriggerDesc=what, **bound)
    to = {"ID": "r", "Status": "Enabled", "Prefix": "", "Destination": {"Bucket": f"qcs::cos:{ELSEWHERE}::{REPLICAS}"}}
    role = f"qcs::cam::uin/{server.uin}:uin/{server.uin}"
    client.put_bucket_replication(Bucket=VERSIONED, ReplicationConfiguration={"Role": role, "Rule": [to]})
    client.put_object(Bucket=VERSIONED, Key="copied.txt", Body=b"hello", ContentType="text/plain")
    server.wait()
    return events_of(scf, "copies")


def fetched(client):
    """An object that a client asks for, and that an origin has."""
    origin = Origin()
    try:
        origin.serve("/far.txt", b"hello", Content_Type="text/plain")
        put_rules(client, BUCKET, rule(origin))
        assert read(client, BUCKET, "far.txt") == b"hello"
    finally:
        origin.close()


@pytest.fixture(scope="module")
def events(tmp_path_factory):
    """What a function was given, by the event's name: one of each, in the order of the operations."""
    with Instance(None, log=tmp_path_factory.mktemp("events") / "log") as server:
        client, scf = cos_client(server), functions.client(server)
        deploy(scf, "myfunc", FUNCTIONS / "echo-python")
        for bucket in (BUCKET, VERSIONED):
            client.create_bucket(Bucket=bucket)
            for event in ("cos:ObjectCreated:*", "cos:ObjectRemove:*", "cos:ObjectRestore:Post", "cos:ObjectRestore:Completed"):
                bind(scf, "myfunc", bucket, event)
        client.put_bucket_versioning(Bucket=VERSIONED, Status="Enabled")

        about = {"ContentType": "text/plain", "Metadata": {"x-cos-meta-mykey": "myvalue"}}
        client.put_object(Bucket=BUCKET, Key="dir/a b.txt", Body=b"hello", **about)
        form(server, "form.txt")
        source = {"Bucket": BUCKET, "Key": "dir/a b.txt", "Region": server.region}
        client.copy_object(Bucket=BUCKET, Key="copy.txt", CopySource=source)
        in_parts(client, "big.zip")
        client.delete_object(Bucket=BUCKET, Key="dir/a b.txt")
        fetched(client)
        server.wait()
        client.put_object(Bucket=VERSIONED, Key="a.txt", Body=b"hello")
        client.delete_object(Bucket=VERSIONED, Key="a.txt")
        restored(client, server, "cold.txt")
        server.wait()
        found = {}
        for event in events_of(scf, "myfunc") + replicated(server, client):
            found.setdefault(event["Records"][0]["event"]["eventName"], event)
        return found


def as_shown(event):
    """With what differs from run to run as the page shows it."""
    event = json.loads(json.dumps(event))
    (record,) = event["Records"]
    about, thing = record["event"], record["cos"]["cosObject"]
    assert isinstance(about["eventTime"], int)
    about["eventTime"] = TIME
    assert re.fullmatch(r"[A-Za-z0-9+/]+=*", thing["meta"]["x-cos-request-id"])
    thing["meta"]["x-cos-request-id"] = REQUEST
    if thing["vid"]:
        thing["vid"] = VERSION
    sent = about["requestParameters"]["requestHeaders"]
    if sent["Authorization"]:
        assert re.search(r"q-sign-algorithm=sha1&q-ak=AKID\w+&.*q-signature=[0-9a-f]{40}", sent["Authorization"])
        sent["Authorization"] = SIGNED
    return event


def text(event):
    """As the page lays it out: the members of the three larger objects a line each."""

    def block(value, depth):
        pad = "  " * depth
        rows = [f"{pad}  {json.dumps(name)}: {line(name, one, depth + 1)}" for name, one in value.items()]
        return "{\n" + ",\n".join(rows) + f"\n{pad}}}"

    def line(name, value, depth):
        return block(value, depth) if name in ("cos", "cosObject", "event") else json.dumps(value, ensure_ascii=False)

    return '{"Records": [' + block(event["Records"][0], 0) + "]}"


def test_the_page_shows_what_functions_get(events):
    page = PAGE.read_text()
    blocks = re.findall(r"```json\n(.*?)\n```", page, re.DOTALL)
    wanted = {json.loads(block)["Records"][0]["event"]["eventName"]: block for block in blocks if "cosSchemaVersion" in block}
    if os.environ.get("COSETTE_UPDATE_DOCS"):
        for name, event in events.items():
            page = page.replace(wanted[name], text(as_shown(event)))
        PAGE.write_text(page)
        return
    assert len(events) == 10, "each concrete event"
    for name, event in events.items():
        assert text(as_shown(event)) == wanted.get(name), name
    assert set(wanted) == set(events)


def known_to_decoders(event):
    """Without the two members that are younger than the decoders."""
    event = json.loads(json.dumps(event))
    for name in ("cosRegion", "s3Region"):
        del event["Records"][0]["cos"]["cosBucket"][name]
    return event


def decoded(program, events):
    lines = "".join(json.dumps(event) + "\n" for event in events)
    done = subprocess.run(program, input=lines, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_the_go_librarys_decoder_takes_them(events, tmp_path):
    program = tmp_path / "decode"
    subprocess.run(["go", "build", "-o", program, "./decode"], cwd=ROOT / "tests/go", check=True, timeout=600)
    assert decoded([program], events.values()) == [known_to_decoders(event) for event in events.values()]
    broken = json.loads(json.dumps(events["cos:ObjectCreated:Put"]).replace('"size": 5', '"size": "5"'))
    with pytest.raises(AssertionError, match="cannot unmarshal string"):
        decoded([program], [broken])


@pytest.mark.skipif(shutil.which("mvn") is None, reason="Maven, which fetches the Java classes, is not installed")
def test_the_java_classes_take_them(events):
    program = ["java", "-cp", f"{ROOT}/target/java/*", ROOT / "tests/java/Decode.java"]
    assert decoded(program, events.values()) == [known_to_decoders(event) for event in events.values()]
    broken = json.loads(json.dumps(events["cos:ObjectCreated:Put"]).replace('"size": 5', '"size": "5"'))
    with pytest.raises(AssertionError, match="Cannot coerce String"):
        decoded(program, [broken])
