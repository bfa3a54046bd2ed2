"""Replication, origins and notification: their rules come back as they went, and what the services refuse is
refused. What they do is in test_replication.py, test_origin.py and tests/triggers/test_notifications.py."""

from clients.test_settings import code
from support.clients import cos_client


def enable(s3, name):
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})


def test_replication_of_s3(s3, server, bucket, new_bucket):
    put, get = s3.put_bucket_replication, s3.get_bucket_replication
    assert code(get, Bucket=bucket) == ("ReplicationConfigurationNotFoundError", 404)
    target = new_bucket()
    rule = {
        "ID": "r",
        "Priority": 1,
        "Filter": {"Prefix": "a/"},
        "Status": "Enabled",
        "Destination": {"Bucket": f"arn:aws:s3:::{target}", "StorageClass": "STANDARD_IA"},
        "DeleteMarkerReplication": {"Status": "Disabled"},
    }
    asked = {"Role": f"arn:aws:iam::{server.uin}:role/copy", "Rules": [rule]}
    refused = ("InvalidRequest", 400)
    assert code(put, Bucket=bucket, ReplicationConfiguration=asked) == refused  # no target
    s3.create_bucket(Bucket=target)
    assert code(put, Bucket=bucket, ReplicationConfiguration=asked) == refused  # the target has no versions
    enable(s3, target)
    assert code(put, Bucket=bucket, ReplicationConfiguration=asked) == refused  # the source has none
    enable(s3, bucket)
    put(Bucket=bucket, ReplicationConfiguration=asked)
    assert get(Bucket=bucket)["ReplicationConfiguration"] == asked
    suspend = {"Bucket": bucket, "VersioningConfiguration": {"Status": "Suspended"}}
    assert code(s3.put_bucket_versioning, **suspend) == ("InvalidBucketState", 409)
    for more in ({"ExistingObjectReplication": {"Status": "Enabled"}}, {"SourceSelectionCriteria": {"ReplicaModifications": {"Status": "Enabled"}}}):
        bad = {**asked, "Rules": [{**rule, **more}]}
        assert code(put, Bucket=bucket, ReplicationConfiguration=bad) == ("NotImplemented", 501)
    missing = {name: value for name, value in rule.items() if name != "Priority"}
    bad = {**asked, "Rules": [missing]}
    assert code(put, Bucket=bucket, ReplicationConfiguration=bad) == refused
    assert s3.delete_bucket_replication(Bucket=bucket)["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert code(get, Bucket=bucket) == ("ReplicationConfigurationNotFoundError", 404)
    s3.put_bucket_versioning(**suspend)


def test_replication_of_cos(cos, s3, server, bucket, new_bucket):
    # The Node.js SDK looks for exactly this spelling.
    assert code(cos.get_bucket_replication, Bucket=bucket) == ("ReplicationConfigurationnotFoundError", 404)
    target = new_bucket()
    there = cos_client(server, Region="ap-shanghai")
    there.create_bucket(Bucket=target)
    rule = {
        "ID": "123",
        "Status": "Enabled",
        "Prefix": "中文",
        "Destination": {"Bucket": f"qcs::cos:ap-shanghai::{target}", "StorageClass": "STANDARD"},
    }
    asked = {"Role": f"qcs::cam::uin/{server.uin}:uin/{server.uin}", "Rule": [rule]}
    put = cos.put_bucket_replication
    assert code(put, Bucket=bucket, ReplicationConfiguration=asked) == ("BucketVersionNotOpen", 400)
    there.put_bucket_versioning(Bucket=target, Status="Enabled")
    assert code(put, Bucket=bucket, ReplicationConfiguration=asked) == ("BucketVersionNotOpen", 400)
    cos.put_bucket_versioning(Bucket=bucket, Status="Enabled")
    put(Bucket=bucket, ReplicationConfiguration=asked)
    assert cos.get_bucket_replication(Bucket=bucket) == asked
    elsewhere = {**rule, "Destination": {"Bucket": f"qcs::cos:ap-beijing::{target}"}}
    bad = {**asked, "Rule": [elsewhere]}
    assert code(put, Bucket=bucket, ReplicationConfiguration=bad) == ("TargetBucketNameInvalid", 400)
    assert code(cos.put_bucket_versioning, Bucket=bucket, Status="Suspended") == ("InvalidBucketState", 409)
    cos.delete_bucket_replication(Bucket=bucket)
    cos.delete_bucket_replication(Bucket=bucket)
    assert code(cos.get_bucket_replication, Bucket=bucket) == ("ReplicationConfigurationnotFoundError", 404)


def test_origins(cos, bucket):
    get, put = cos.get_bucket_origin, cos.put_bucket_origin
    assert code(get, Bucket=bucket) == ("OriginConfigurationNotFoundError", 404)
    rule = {
        "RulePriority": "1",
        "OriginType": "Mirror",
        "OriginCondition": {"HTTPStatusCode": "404", "Prefix": "x/"},
        "OriginParameter": {"Protocol": "HTTP", "FollowQueryString": "false"},
        "OriginInfo": {"HostInfo": {"HostName": "example.com:8080"}},
    }
    put(Bucket=bucket, OriginConfiguration={"OriginRule": [rule]})
    shown = get(Bucket=bucket)["OriginRule"]
    assert shown in (rule, [rule])
    for change in [
        {"OriginCondition": {"HTTPStatusCode": "500"}},
        {"OriginParameter": {"HttpRedirectCode": "302"}},
        {"OriginInfo": {"HostInfo": {"HostName": "http://example.com/"}}},
    ]:
        bad = {"OriginRule": [{**rule, **change}]}
        assert code(put, Bucket=bucket, OriginConfiguration=bad) == ("InvalidArgument", 400), change
    cos.delete_bucket_origin(Bucket=bucket)
    assert code(get, Bucket=bucket) == ("OriginConfigurationNotFoundError", 404)


def test_notification(s3, bucket):
    put, get = s3.put_bucket_notification_configuration, s3.get_bucket_notification_configuration

    def shown():
        answer = get(Bucket=bucket)
        del answer["ResponseMetadata"]
        return answer

    assert shown() == {}
    function = {
        "Id": "f",
        "LambdaFunctionArn": "arn:aws:lambda:us-east-1:100000000001:function:f",
        "Events": ["s3:ObjectCreated:*"],
        "Filter": {"Key": {"FilterRules": [{"Name": "Prefix", "Value": "a/"}, {"Name": "Suffix", "Value": ".jpg"}]}},
    }
    queue = {"Id": "q", "QueueArn": "arn:aws:sqs:us-east-1:100000000001:q", "Events": ["s3:ObjectRemoved:Delete"]}
    asked = {"LambdaFunctionConfigurations": [function], "QueueConfigurations": [queue], "EventBridgeConfiguration": {}}
    assert code(put, Bucket=bucket, NotificationConfiguration=asked) == ("InvalidArgument", 400)  # no such targets
    put(Bucket=bucket, NotificationConfiguration=asked, SkipDestinationValidation=True)
    assert shown() == asked
    for change in [{"Events": ["s3:ObjectLost"]}, {"QueueArn": "arn:aws:sns:us-east-1:1:q"}]:
        bad = {"QueueConfigurations": [{**queue, **change}]}
        assert code(put, Bucket=bucket, NotificationConfiguration=bad) == ("InvalidArgument", 400), change
    both = {"QueueConfigurations": [queue, {**queue, "Id": "other", "Events": ["s3:ObjectRemoved:*"]}]}
    assert code(put, Bucket=bucket, NotificationConfiguration=both) == ("InvalidArgument", 400)
    put(Bucket=bucket, NotificationConfiguration={})
    assert shown() == {}
