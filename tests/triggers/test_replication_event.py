"""A copy that a replication rule makes, as its function is told of it, in the bucket that it is made in."""

import json
import time

from support import raw
from support.clients import cos_client
from support.functions import FUNCTIONS, call, client, deploy, description, domain, events_of


def test_a_copy_is_told_of_where_it_is_made(server, cos, new_bucket, unique):
    source, target, name = new_bucket("from"), new_bucket("to"), unique("copied")
    shanghai = cos_client(server, Region="ap-shanghai")
    for one, bucket in ((cos, source), (shanghai, target)):
        one.create_bucket(Bucket=bucket)
        one.put_bucket_versioning(Bucket=bucket, Status="Enabled")
    rule = {"ID": "r", "Status": "Enabled", "Prefix": "", "Destination": {"Bucket": f"qcs::cos:ap-shanghai::{target}"}}
    role = f"qcs::cam::uin/{server.uin}:uin/{server.uin}"
    cos.put_bucket_replication(Bucket=source, ReplicationConfiguration={"Role": role, "Rule": [rule]})
    scf = client(server, region="ap-shanghai")
    deploy(scf, name, FUNCTIONS / "echo-python")
    bound = {"Qualifier": "$DEFAULT", "Enable": "OPEN", "FunctionName": name, "Type": "cos"}
    event = "cos:ObjectCreated:Replication"
    call(
        scf,
        "CreateTrigger",
        **bound,
        TriggerName=domain(target, "ap-shanghai"),
        TriggerDesc=description(event, "dir/", ".txt"),
    )
    try:
        before, key = int(time.time()), "dir/报告 a+b.txt"
        put = cos.put_object(
            Bucket=source, Key=key, Body=b"hello", ContentType="text/plain", Metadata={"x-cos-meta-mykey": "myvalue"}
        )
        cos.put_object(Bucket=source, Key="elsewhere", Body=b"x")
        cos.delete_object(Bucket=source, Key=key)
        # The request that wrote the original is the one that all of this follows from.
        server.wait(put["x-cos-request-id"])
        (got,) = events_of(scf, name)
        short, when = target.rpartition("-")[0], got["Records"][0]["event"]["eventTime"]
        assert before <= when <= int(time.time())
        # scf.md 1.6 with the replacements for this event; 1.5: the version is the source's, and nobody has signed.
        cos_part = {
            "cosBucket": {
                "appid": "1250000000",
                "cosRegion": "ap-shanghai",
                "name": short,
                "region": "sh",
                "s3Region": "ap-shanghai",
            },
            "cosNotificationId": "unkown",
            "cosObject": {
                "key": f"/1250000000/{short}/{key}",
                "meta": {
                    "Content-Type": "text/plain",
                    "ETag": f'"{raw.md5(b"hello")}"',
                    "x-cos-meta-mykey": "myvalue",
                    "x-cos-request-id": put["x-cos-request-id"],
                    "x-cos-storage-class": "Standard",
                },
                "size": 5,
                "url": f"http://{target}.cos.ap-shanghai.myqcloud.com/{raw.quote(key, '/')}",
                "vid": put["x-cos-version-id"],
            },
            "cosSchemaVersion": "1.0",
        }
        event_part = {
            "eventName": event,
            "eventQueue": f"qcs:0:scf:ap-shanghai:appid/1250000000:default.{name}.$DEFAULT",
            "eventSource": "qcs::cos",
            "eventTime": when,
            "eventVersion": "1.0",
            "reqid": 0,
            "requestParameters": {"requestHeaders": {"Authorization": ""}, "requestSourceIP": "127.0.0.1"},
            "reservedInfo": "",
        }
        exact = {"Records": [{"cos": cos_part, "event": event_part}]}
        assert json.dumps(got) == json.dumps(exact, sort_keys=True)
        server.wait()
        assert len(events_of(scf, name)) == 1, "neither the other key nor the marker is for it"
    finally:
        call(scf, "DeleteFunction", FunctionName=name)
