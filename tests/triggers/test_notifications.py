"""S3's bucket notifications: configurations become rules, and targets are sent S3's records.

The form of the records is that of the Amazon S3 User Guide ("Event message structure", "EventBridge event message
structure")."""

import json
import re

import pytest
from botocore.exceptions import ClientError

from support import functions
from support.clients import s3_client
from support.instance import Instance
from support.receiver import Receiver

ECHO = {"index.py": "import json\ndef main_handler(event, context):\n    return json.dumps(event)\n"}


@pytest.fixture(scope="module")
def receiver():
    with Receiver() as receiver:
        yield receiver


@pytest.fixture(scope="module")
def server(receiver):
    queues = [f"--queue={name}={receiver.url}/{name}" for name in ("orders", "news")]
    with Instance(None, *queues, f"--event-bridge={receiver.url}/bus") as server:
        yield server


@pytest.fixture
def s3(server):
    return s3_client(server)


@pytest.fixture
def bucket(s3, unique, receiver):
    name = unique("notified")
    s3.create_bucket(Bucket=name)
    receiver.answers.clear()
    yield name
    for name in ("orders", "news", "bus"):
        receiver.all(name)


def arn(service, resource, account="100000000001"):
    return f"arn:aws:{service}:us-east-1:{account}:{resource}"


def queue(events, id="q", name="orders", **more):
    return {"Id": id, "QueueArn": arn("sqs", name), "Events": events, **more}


def put(s3, bucket, **configurations):
    s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration=configurations)


def shown(s3, bucket):
    answer = s3.get_bucket_notification_configuration(Bucket=bucket)
    del answer["ResponseMetadata"]
    return answer


def refused(s3, bucket, **configurations):
    with pytest.raises(ClientError) as caught:
        put(s3, bucket, **configurations)
    return caught.value.response["Error"]


def filtered(**rules):
    return {"Key": {"FilterRules": [{"Name": name.title(), "Value": value} for name, value in rules.items()]}}


def record_of(post):
    [record] = post.message["Records"]
    return record


def records_of(receiver, name):
    """In the order of what happened; the test message is left out."""
    records = [record_of(post) for post in receiver.all(name) if "Records" in post.message]
    return sorted(records, key=lambda record: record["s3"]["object"].get("sequencer", ""))


def test_a_queue_is_told_and_sent_the_whole_record(server, s3, bucket, receiver):
    asked = {"QueueConfigurations": [queue(["s3:ObjectCreated:*"], Filter=filtered(prefix="in/", suffix=".txt"))]}
    done = s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration=asked)
    assert shown(s3, bucket) == asked
    test = receiver.next("orders").message
    request_id = done["ResponseMetadata"]["HTTPHeaders"]["x-amz-request-id"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", test.pop("Time"))
    assert test == {
        "Service": "Amazon S3",
        "Event": "s3:TestEvent",
        "Bucket": bucket,
        "RequestId": request_id,
        "HostId": done["ResponseMetadata"]["HTTPHeaders"]["x-amz-id-2"],
    }
    s3.put_object(Bucket=bucket, Key="out/a.txt", Body=b"hello")
    s3.put_object(Bucket=bucket, Key="in/a.bin", Body=b"hello")
    put_headers = s3.put_object(Bucket=bucket, Key="in/red flower+\u00fc.txt", Body=b"hello")["ResponseMetadata"]["HTTPHeaders"]
    server.wait()
    [post] = receiver.all("orders")
    record = record_of(post)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", record.pop("eventTime"))
    sequencer = record["s3"]["object"].pop("sequencer")
    assert re.fullmatch(r"[0-9A-F]{16}", sequencer)
    assert record == {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": server.region,
        "eventName": "ObjectCreated:Put",
        "userIdentity": {"principalId": f"AWS:{server.secret_id}"},
        "requestParameters": {"sourceIPAddress": "127.0.0.1"},
        "responseElements": {
            "x-amz-request-id": put_headers["x-amz-request-id"],
            "x-amz-id-2": put_headers["x-amz-id-2"],
        },
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": "q",
            "bucket": {
                "name": bucket,
                "ownerIdentity": {"principalId": server.uin},
                "arn": f"arn:aws:s3:::{bucket}",
            },
            "object": {
                "key": "in/red+flower%2B%C3%BC.txt",
                "size": 5,
                "eTag": "5d41402abc4b2a76b9719d911017c592",
            },
        },
    }
    assert post.headers["x-cosette-event"] == "s3:ObjectCreated:Put"


def test_each_event_under_its_name(server, s3, bucket, receiver):
    events = ["s3:ObjectCreated:*", "s3:ObjectRemoved:*", "s3:ObjectRestore:*"]
    put(s3, bucket, QueueConfigurations=[queue(events)])
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    version = s3.put_object(Bucket=bucket, Key="k", Body=b"1")["VersionId"]
    s3.copy_object(Bucket=bucket, Key="k", CopySource={"Bucket": bucket, "Key": "k"}, MetadataDirective="REPLACE")
    upload = s3.create_multipart_upload(Bucket=bucket, Key="k")["UploadId"]
    etag = s3.upload_part(Bucket=bucket, Key="k", UploadId=upload, PartNumber=1, Body=b"x")["ETag"]
    parts = {"Parts": [{"PartNumber": 1, "ETag": etag}]}
    s3.complete_multipart_upload(Bucket=bucket, Key="k", UploadId=upload, MultipartUpload=parts)
    marker = s3.delete_object(Bucket=bucket, Key="k")["VersionId"]
    s3.delete_object(Bucket=bucket, Key="k", VersionId=version)
    server.wait()
    records = records_of(receiver, "orders")
    assert [record["eventName"] for record in records] == [
        "ObjectCreated:Put",
        "ObjectCreated:Copy",
        "ObjectCreated:CompleteMultipartUpload",
        "ObjectRemoved:DeleteMarkerCreated",
        "ObjectRemoved:Delete",
    ]
    objects = [record["s3"]["object"] for record in records]
    assert objects[0]["versionId"] == version and objects[2]["eTag"].endswith("-1")
    for found in objects:
        del found["sequencer"]
    assert objects[3] == {"key": "k", "eTag": "d41d8cd98f00b204e9800998ecf8427e", "versionId": marker}
    assert objects[4] == {"key": "k", "versionId": version}


def test_restores_and_lifecycle_rules(server, s3, bucket, receiver):
    s3.put_object(Bucket=bucket, Key="old", Body=b"1", StorageClass="GLACIER")
    s3.put_object(Bucket=bucket, Key="tmp/a", Body=b"1")
    events = ["s3:ObjectRestore:*", "s3:LifecycleExpiration:*", "s3:LifecycleTransition"]
    put(s3, bucket, QueueConfigurations=[queue(events)])
    receiver.next("orders")
    s3.restore_object(Bucket=bucket, Key="old", RestoreRequest={"Days": 2, "GlacierJobParameters": {"Tier": "Standard"}})
    rule = {"ID": "r", "Status": "Enabled", "Filter": {"Prefix": "tmp/"}, "Expiration": {"Days": 1}}
    s3.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": [rule]})
    server.admin("POST", "clock", {"advance": "3d"})
    server.wait()
    records = {record["eventName"]: record for record in records_of(receiver, "orders")}
    assert set(records) == {"ObjectRestore:Post", "ObjectRestore:Completed", "LifecycleExpiration:Delete"}
    data = records["ObjectRestore:Completed"]["glacierEventData"]["restoreEventData"]
    assert data["lifecycleRestoreStorageClass"] == "GLACIER"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", data["lifecycleRestorationExpiryTime"])
    assert "glacierEventData" not in records["ObjectRestore:Post"]
    expired = records["LifecycleExpiration:Delete"]
    assert expired["eventVersion"] == "2.3" and expired["userIdentity"] == {"principalId": "s3.amazonaws.com"}


def test_tags_and_access_lists(server, s3, bucket, receiver):
    s3.put_object(Bucket=bucket, Key="k", Body=b"1")
    put(s3, bucket, QueueConfigurations=[queue(["s3:ObjectTagging:*", "s3:ObjectAcl:Put"])])
    s3.put_object_tagging(Bucket=bucket, Key="k", Tagging={"TagSet": [{"Key": "a", "Value": "b"}]})
    s3.delete_object_tagging(Bucket=bucket, Key="k")
    s3.put_object_acl(Bucket=bucket, Key="k", ACL="public-read")
    s3.put_object_acl(Bucket=bucket, Key="k", ACL="public-read")
    server.wait()
    records = records_of(receiver, "orders")
    names = sorted(record["eventName"] for record in records)
    assert names == ["ObjectAcl:Put", "ObjectTagging:Delete", "ObjectTagging:Put"]
    assert {record["eventVersion"] for record in records} == {"2.3"}


def test_a_function_and_a_topic(server, s3, bucket, receiver, unique):
    name = unique("told")
    functions.deploy(functions.client(server), name, ECHO)
    put(
        s3,
        bucket,
        LambdaFunctionConfigurations=[
            {"LambdaFunctionArn": arn("lambda", f"function:{name}"), "Events": ["s3:ObjectCreated:Put"]}
        ],
        TopicConfigurations=[
            {"TopicArn": arn("sns", "news", server.appid), "Events": ["s3:ObjectRemoved:Delete"]}
        ],
    )
    found = shown(s3, bucket)
    assert found["LambdaFunctionConfigurations"][0]["Id"] and found["TopicConfigurations"][0]["Id"]
    assert receiver.next("news").message["Event"] == "s3:TestEvent"
    s3.put_object(Bucket=bucket, Key="k", Body=b"1")
    s3.delete_object(Bucket=bucket, Key="k")
    server.wait()
    [invocation] = server.invocations(name)
    [record] = json.loads(json.loads(invocation["result"]))["Records"]
    assert record["eventName"] == "ObjectCreated:Put"
    assert record["s3"]["configurationId"] == found["LambdaFunctionConfigurations"][0]["Id"]
    [post] = receiver.all("news")
    assert record_of(post)["eventName"] == "ObjectRemoved:Delete"


def test_rules_begin_and_end_with_the_configuration(server, s3, bucket, receiver):
    s3.put_object(Bucket=bucket, Key="before", Body=b"1")
    put(s3, bucket, QueueConfigurations=[queue(["s3:ObjectCreated:*"])])
    s3.put_object(Bucket=bucket, Key="first", Body=b"1")
    put(s3, bucket, QueueConfigurations=[queue(["s3:ObjectCreated:*"], name="news")])
    s3.put_object(Bucket=bucket, Key="second", Body=b"1")
    put(s3, bucket)
    assert shown(s3, bucket) == {}
    s3.put_object(Bucket=bucket, Key="after", Body=b"1")
    server.wait()

    def keys(name):
        return [record["s3"]["object"]["key"] for record in records_of(receiver, name)]

    assert (keys("orders"), keys("news")) == (["first"], ["second"])


def test_a_deleted_bucket_takes_its_notification_with_it(server, s3, bucket, receiver):
    put(s3, bucket, QueueConfigurations=[queue(["s3:ObjectCreated:*"])])
    s3.delete_bucket(Bucket=bucket)
    s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="k", Body=b"1")
    server.wait()
    assert [post.message.get("Event") for post in receiver.all("orders")] == ["s3:TestEvent"]
    assert shown(s3, bucket) == {}


def test_unknown_targets_are_refused(server, s3, bucket, receiver):
    why = "Unable to validate the following destination configurations"
    for configurations in [
        {"QueueConfigurations": [queue(["s3:ObjectCreated:*"], name="nosuch")]},
        {"QueueConfigurations": [{"QueueArn": arn("sqs", "orders", "123456789012"), "Events": ["s3:ObjectCreated:*"]}]},
        {"TopicConfigurations": [{"TopicArn": arn("sns", "nosuch"), "Events": ["s3:ObjectCreated:*"]}]},
        {
            "LambdaFunctionConfigurations": [
                {"LambdaFunctionArn": arn("lambda", "function:nosuch"), "Events": ["s3:ObjectCreated:*"]}
            ]
        },
    ]:
        error = refused(s3, bucket, **configurations)
        assert (error["Code"], error["Message"]) == ("InvalidArgument", why), configurations
    assert shown(s3, bucket) == {}
    unchecked = {"QueueConfigurations": [queue(["s3:ObjectCreated:*"])]}
    s3.put_bucket_notification_configuration(
        Bucket=bucket, NotificationConfiguration=unchecked, SkipDestinationValidation=True
    )
    server.wait()
    assert receiver.all("orders") == []
    s3.put_object(Bucket=bucket, Key="k", Body=b"1")
    server.wait()
    assert len(receiver.all("orders")) == 1


def test_the_event_bus(server, s3, bucket, receiver):
    put(s3, bucket, EventBridgeConfiguration={})
    assert shown(s3, bucket) == {"EventBridgeConfiguration": {}}
    done = s3.put_object(Bucket=bucket, Key="a b", Body=b"hello")["ResponseMetadata"]["HTTPHeaders"]
    s3.delete_object(Bucket=bucket, Key="a b")
    server.wait()
    created, deleted = sorted(
        (post.message for post in receiver.all("bus")), key=lambda event: event["detail"]["object"]["sequencer"]
    )
    assert created.pop("id") and created.pop("time").endswith("Z")
    assert created["detail"]["object"].pop("sequencer")
    assert created == {
        "version": "0",
        "detail-type": "Object Created",
        "source": "aws.s3",
        "account": server.uin,
        "region": server.region,
        "resources": [f"arn:aws:s3:::{bucket}"],
        "detail": {
            "version": "0",
            "bucket": {"name": bucket},
            "object": {"key": "a b", "size": 5, "etag": "5d41402abc4b2a76b9719d911017c592"},
            "request-id": done["x-amz-request-id"],
            "requester": server.uin,
            "source-ip-address": "127.0.0.1",
            "reason": "PutObject",
        },
    }
    assert deleted["detail-type"] == "Object Deleted"
    assert deleted["detail"]["deletion-type"] == "Permanently Deleted"
