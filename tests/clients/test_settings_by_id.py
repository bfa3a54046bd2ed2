"""Settings of which a bucket has several, each under an id: set, read, listed by pages, removed."""

from clients.test_settings import code


def s3_inventory(bucket, identifier, **change):
    return {
        "Id": identifier,
        "IsEnabled": False,
        "IncludedObjectVersions": "Current",
        "Schedule": {"Frequency": "Daily"},
        "Destination": {"S3BucketDestination": {"Bucket": f"arn:aws:s3:::{bucket}", "Format": "CSV", "Prefix": "p"}},
        **change,
    }


def cos_inventory(server, bucket, **change):
    return {
        "IsEnabled": "false",
        "IncludedObjectVersions": "All",
        "Filter": {"And": {"Prefix": "a/", "Tag": {"Key": "k", "Value": "v"}, "StorageClass": "STANDARD_IA"}},
        "OptionalFields": {"Field": ["Size", "Crc64", "x-cos-meta-*"]},
        "Schedule": {"Frequency": "Weekly"},
        "Destination": {
            "COSBucketDestination": {
                "Bucket": f"qcs::cos:{server.region}::{bucket}",
                "Format": "CSV",
                "Prefix": "list1",
                "AccountId": server.uin,
            }
        },
        **change,
    }


def test_inventories_of_s3(s3, bucket, new_bucket):
    put, get = s3.put_bucket_inventory_configuration, s3.get_bucket_inventory_configuration
    assert code(get, Bucket=bucket, Id="none") == ("NoSuchConfiguration", 404)
    whole = s3_inventory(
        bucket,
        "whole",
        Filter={"Prefix": "a/"},
        OptionalFields=["Size", "ChecksumAlgorithm"],
        IncludedObjectVersions="All",
    )
    put(Bucket=bucket, Id="whole", InventoryConfiguration=whole)
    assert get(Bucket=bucket, Id="whole")["InventoryConfiguration"] == whole
    for number in range(120):
        put(Bucket=bucket, Id=f"n{number}", InventoryConfiguration=s3_inventory(bucket, f"n{number}"))
    # Set again, it keeps its place.
    put(Bucket=bucket, Id="whole", InventoryConfiguration=whole)
    listed, token = [], {}
    while True:
        page = s3.list_bucket_inventory_configurations(Bucket=bucket, **token)
        assert page.get("ContinuationToken") == token.get("ContinuationToken")
        listed += [one["Id"] for one in page["InventoryConfigurationList"]]
        if not page["IsTruncated"]:
            break
        assert len(page["InventoryConfigurationList"]) == 100
        token = {"ContinuationToken": page["NextContinuationToken"]}
    assert listed == ["whole", *(f"n{number}" for number in range(120))]
    for change, refusal in [
        ({"Id": "other"}, ("InvalidArgument", 400)),
        ({"Schedule": {"Frequency": "Hourly"}}, ("MalformedXML", 400)),
        ({"OptionalFields": ["Crc64"]}, ("MalformedXML", 400)),
    ]:
        bad = s3_inventory(bucket, "bad", **change)
        assert code(put, Bucket=bucket, Id="bad", InventoryConfiguration=bad) == refusal, change
    for target, format, refusal in [
        (bucket, "Parquet", ("NotImplemented", 501)),
        (bucket, "ORC", ("NotImplemented", 501)),
        (new_bucket(), "CSV", ("InvalidArgument", 400)),
    ]:
        to = {"S3BucketDestination": {"Bucket": f"arn:aws:s3:::{target}", "Format": format}}
        bad = s3_inventory(bucket, "bad", Destination=to)
        assert code(put, Bucket=bucket, Id="bad", InventoryConfiguration=bad) == refusal, (target, format)
    remove = s3.delete_bucket_inventory_configuration
    assert remove(Bucket=bucket, Id="whole")["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert code(remove, Bucket=bucket, Id="whole") == ("NoSuchConfiguration", 404)
    assert code(get, Bucket=bucket, Id="whole") == ("NoSuchConfiguration", 404)


def test_inventories_of_cos(cos, server, bucket, new_bucket):
    get, put = cos.get_bucket_inventory, cos.put_bucket_inventory
    assert code(get, Bucket=bucket, Id="list1") == ("InventoryConfigurationNotFoundError", 404)
    assert "InventoryConfiguration" not in cos.list_bucket_inventory_configurations(Bucket=bucket)
    asked = cos_inventory(server, bucket)
    put(Bucket=bucket, Id="list1", InventoryConfiguration=dict(asked))
    shown = get(Bucket=bucket, Id="list1")
    assert shown == {**asked, "Id": "list1"}
    put(Bucket=bucket, Id="list2", InventoryConfiguration=dict(asked))
    listed = cos.list_bucket_inventory_configurations(Bucket=bucket)
    assert [one["Id"] for one in listed["InventoryConfiguration"]] == ["list1", "list2"]
    assert listed["IsTruncated"] == "false"
    elsewhere = cos_inventory(server, new_bucket())
    assert code(put, Bucket=bucket, Id="x", InventoryConfiguration=elsewhere) == ("InvalidArgument", 400)
    for change in [{"Schedule": {"Frequency": "Hourly"}}, {"OptionalFields": {"Field": ["BucketKeyStatus"]}}]:
        bad = cos_inventory(server, bucket, **change)
        assert code(put, Bucket=bucket, Id="x", InventoryConfiguration=bad) == ("MalformedXML", 400)
    cos.delete_bucket_inventory(Bucket=bucket, Id="list1")
    cos.delete_bucket_inventory(Bucket=bucket, Id="list1")
    assert code(get, Bucket=bucket, Id="list1") == ("InventoryConfigurationNotFoundError", 404)


def test_intelligent_tiering_of_s3(s3, bucket):
    put = s3.put_bucket_intelligent_tiering_configuration
    get = s3.get_bucket_intelligent_tiering_configuration
    assert code(get, Bucket=bucket, Id="r") == ("NoSuchConfiguration", 404)
    tiers = [{"AccessTier": "ARCHIVE_ACCESS", "Days": 90}, {"AccessTier": "DEEP_ARCHIVE_ACCESS", "Days": 180}]
    rule = {"Id": "r", "Status": "Enabled", "Filter": {"Tag": {"Key": "k", "Value": "v"}}, "Tierings": tiers}
    put(Bucket=bucket, Id="r", IntelligentTieringConfiguration=rule)
    assert get(Bucket=bucket, Id="r")["IntelligentTieringConfiguration"] == rule
    listed = s3.list_bucket_intelligent_tiering_configurations(Bucket=bucket)
    assert listed["IntelligentTieringConfigurationList"] == [rule] and not listed["IsTruncated"]
    soon = {**rule, "Tierings": [{"AccessTier": "ARCHIVE_ACCESS", "Days": 30}]}
    assert code(put, Bucket=bucket, Id="r", IntelligentTieringConfiguration=soon) == ("InvalidArgument", 400)
    s3.delete_bucket_intelligent_tiering_configuration(Bucket=bucket, Id="r")
    assert code(get, Bucket=bucket, Id="r") == ("NoSuchConfiguration", 404)


def test_intelligent_tiering_of_cos(cos, bucket):
    assert "Status" not in cos.get_bucket_intelligenttiering(Bucket=bucket)
    first = {"Status": "Enabled", "Transition": {"Days": "60", "RequestFrequent": "1"}}
    put = cos.put_bucket_intelligenttiering
    wrong = {**first, "Transition": {"Days": "45"}}
    assert code(put, Bucket=bucket, IntelligentTieringConfiguration=wrong) == ("InvalidArgument", 400)
    put(Bucket=bucket, IntelligentTieringConfiguration=first)
    assert cos.get_bucket_intelligenttiering(Bucket=bucket) == first
    # It is the default rule of the newer form, and stays as it is.
    rule = {
        "Id": "default",
        "Status": "Enabled",
        "Tiering": {"AccessTier": "INFREQUENT", "Days": "60", "RequestFrequent": "1"},
    }
    shown = cos.get_bucket_intelligenttiering_v2(Bucket=bucket, Id="default")
    assert shown == rule
    refused = ("InvalidArgument", 400)
    assert code(put, Bucket=bucket, IntelligentTieringConfiguration=first) == refused
    put_v2 = cos.put_bucket_intelligenttiering_v2
    assert code(put_v2, Bucket=bucket, Id="default", IntelligentTieringConfiguration=rule) == refused
    archive = {
        "Id": "cold",
        "Status": "Enabled",
        "Filter": {"Prefix": "cold/"},
        "Tiering": [{"AccessTier": "ARCHIVE_ACCESS", "Days": "91"}],
    }
    put_v2(Bucket=bucket, Id="cold", IntelligentTieringConfiguration=archive)
    put_v2(Bucket=bucket, Id="cold", IntelligentTieringConfiguration={**archive, "Status": "Disabled"})
    listed = cos.list_bucket_intelligenttiering_configurations(Bucket=bucket)
    assert [(one["Id"], one["Status"]) for one in listed["IntelligentTieringConfiguration"]] == [
        ("default", "Enabled"),
        ("cold", "Disabled"),
    ]


def test_analyses(s3, bucket):
    put, get = s3.put_bucket_analytics_configuration, s3.get_bucket_analytics_configuration
    to = {"Format": "CSV", "Bucket": f"arn:aws:s3:::{bucket}", "Prefix": "p", "BucketAccountId": "123456789012"}
    export = {"OutputSchemaVersion": "V_1", "Destination": {"S3BucketDestination": to}}
    tags = [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}]
    asked = {
        "Id": "a",
        "Filter": {"And": {"Prefix": "x", "Tags": tags}},
        "StorageClassAnalysis": {"DataExport": export},
    }
    put(Bucket=bucket, Id="a", AnalyticsConfiguration=asked)
    assert get(Bucket=bucket, Id="a")["AnalyticsConfiguration"] == asked
    listed = s3.list_bucket_analytics_configurations(Bucket=bucket)
    assert listed["AnalyticsConfigurationList"] == [asked]
    twice = {**asked, "Filter": {"And": {"Prefix": "x", "Tags": tags[:1] * 2}}}
    assert code(put, Bucket=bucket, Id="a", AnalyticsConfiguration=twice) == ("InvalidRequest", 400)
    s3.delete_bucket_analytics_configuration(Bucket=bucket, Id="a")
    assert code(get, Bucket=bucket, Id="a") == ("NoSuchConfiguration", 404)


def test_request_metrics(s3, bucket):
    put, get = s3.put_bucket_metrics_configuration, s3.get_bucket_metrics_configuration
    asked = {"Id": "m", "Filter": {"Prefix": "docs/"}}
    put(Bucket=bucket, Id="m", MetricsConfiguration=asked)
    put(Bucket=bucket, Id="all", MetricsConfiguration={"Id": "all"})
    assert get(Bucket=bucket, Id="m")["MetricsConfiguration"] == asked
    listed = s3.list_bucket_metrics_configurations(Bucket=bucket)
    assert listed["MetricsConfigurationList"] == [asked, {"Id": "all"}]
    assert code(put, Bucket=bucket, Id="a b", MetricsConfiguration={"Id": "a b"}) == ("InvalidArgument", 400)
    s3.delete_bucket_metrics_configuration(Bucket=bucket, Id="m")
    assert code(get, Bucket=bucket, Id="m") == ("NoSuchConfiguration", 404)
