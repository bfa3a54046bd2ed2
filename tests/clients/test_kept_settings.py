"""Settings that are kept and shown: they come back as they went, and what cannot be is refused.

COS's acceleration is in `tests/node/operations.cjs`, as the Python SDK has no call for it."""

import datetime

from clients.test_settings import code

EXPIRE = {"ID": "expire", "Filter": {"Prefix": "logs/"}, "Status": "Enabled", "Expiration": {"Days": 30}}


def test_lifecycle_of_s3(s3, bucket):
    put = s3.put_bucket_lifecycle_configuration
    get = s3.get_bucket_lifecycle_configuration
    assert code(get, Bucket=bucket) == ("NoSuchLifecycleConfiguration", 404)
    midnight = datetime.datetime(2030, 1, 1, tzinfo=datetime.timezone.utc)
    rules = [
        EXPIRE,
        {
            "ID": "move",
            "Filter": {"And": {"Prefix": "a", "Tags": [{"Key": "k", "Value": "v"}], "ObjectSizeLessThan": 9}},
            "Status": "Disabled",
            "Transitions": [{"Date": midnight, "StorageClass": "GLACIER"}],
            "NoncurrentVersionExpiration": {"NoncurrentDays": 3, "NewerNoncurrentVersions": 2},
        },
        {
            "ID": "cut",
            "Filter": {"Prefix": "b/"},
            "Status": "Enabled",
            "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 5},
        },
        {"ID": "all", "Filter": {}, "Status": "Enabled", "Expiration": {"ExpiredObjectDeleteMarker": True}},
    ]
    put(Bucket=bucket, LifecycleConfiguration={"Rules": rules})
    assert get(Bucket=bucket)["Rules"] == rules
    old = {"ID": "old", "Prefix": "b/", "Status": "Enabled", "Expiration": {"Days": 1}}
    put(Bucket=bucket, LifecycleConfiguration={"Rules": [old]})
    assert get(Bucket=bucket)["Rules"] == [old]
    nameless = {name: value for name, value in EXPIRE.items() if name != "ID"}
    put(Bucket=bucket, LifecycleConfiguration={"Rules": [nameless]})
    assert get(Bucket=bucket)["Rules"][0]["ID"]
    for change, refusal in [
        ({"Expiration": {"Days": 0}}, "InvalidArgument"),
        ({"ID": "x" * 256}, "InvalidArgument"),
        ({"Status": "enabled"}, "MalformedXML"),
        ({"Expiration": {"Date": datetime.datetime(2030, 1, 1, 5)}}, "InvalidArgument"),
        ({"Transitions": [{"Days": 30, "StorageClass": "GLACIER"}]}, "InvalidArgument"),
    ]:
        bad = {"Rules": [{**EXPIRE, **change}]}
        assert code(put, Bucket=bucket, LifecycleConfiguration=bad) == (refusal, 400), change
    assert code(put, Bucket=bucket, LifecycleConfiguration={"Rules": [EXPIRE, EXPIRE]}) == ("InvalidArgument", 400)
    assert s3.delete_bucket_lifecycle(Bucket=bucket)["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert code(get, Bucket=bucket) == ("NoSuchLifecycleConfiguration", 404)


def test_lifecycle_of_cos(cos, bucket):
    assert code(cos.get_bucket_lifecycle, Bucket=bucket) == ("NoSuchLifecycleConfiguration", 404)
    rule = {
        "ID": "id",
        "Filter": {"Prefix": "a/"},
        "Status": "Enabled",
        "Transition": [{"Days": "30", "StorageClass": "ARCHIVE"}],
        "Expiration": {"Days": "365"},
    }
    cos.put_bucket_lifecycle(Bucket=bucket, LifecycleConfiguration={"Rule": [rule]})
    assert cos.get_bucket_lifecycle(Bucket=bucket)["Rule"] == [rule]
    bad = {"Rule": [{**rule, "Expiration": {"Days": "0"}}]}
    assert code(cos.put_bucket_lifecycle, Bucket=bucket, LifecycleConfiguration=bad) == ("InvalidArgument", 400)
    cos.delete_bucket_lifecycle(Bucket=bucket)
    assert code(cos.get_bucket_lifecycle, Bucket=bucket) == ("NoSuchLifecycleConfiguration", 404)


def test_accelerate_of_s3(s3, new_bucket):
    name = new_bucket()
    s3.create_bucket(Bucket=name)
    assert "Status" not in s3.get_bucket_accelerate_configuration(Bucket=name)
    s3.put_bucket_accelerate_configuration(Bucket=name, AccelerateConfiguration={"Status": "Enabled"})
    assert s3.get_bucket_accelerate_configuration(Bucket=name)["Status"] == "Enabled"
    bad = {"Status": "Disabled"}
    assert code(s3.put_bucket_accelerate_configuration, Bucket=name, AccelerateConfiguration=bad) == (
        "MalformedXML",
        400,
    )
    s3.put_bucket_accelerate_configuration(Bucket=name, AccelerateConfiguration={"Status": "Suspended"})
    assert s3.get_bucket_accelerate_configuration(Bucket=name)["Status"] == "Suspended"


def test_who_pays(s3, bucket):
    assert s3.get_bucket_request_payment(Bucket=bucket)["Payer"] == "BucketOwner"
    s3.put_bucket_request_payment(Bucket=bucket, RequestPaymentConfiguration={"Payer": "Requester"})
    assert s3.get_bucket_request_payment(Bucket=bucket)["Payer"] == "Requester"
    bad = {"Payer": "Nobody"}
    assert code(s3.put_bucket_request_payment, Bucket=bucket, RequestPaymentConfiguration=bad) == (
        "MalformedXML",
        400,
    )


def test_domains_of_cos(cos, bucket):
    assert code(cos.get_bucket_domain, Bucket=bucket) == ("DomainConfigNotFoundError", 404)
    rule = {"Name": "www.example.com", "Type": "REST", "Status": "ENABLED"}
    cos.put_bucket_domain(Bucket=bucket, DomainConfiguration={"DomainRule": [rule]})
    assert cos.get_bucket_domain(Bucket=bucket)["DomainRule"] == [rule]
    bad = {"DomainRule": [{**rule, "Name": "no dots"}]}
    assert code(cos.put_bucket_domain, Bucket=bucket, DomainConfiguration=bad) == ("InvalidArgument", 400)
    cos.delete_bucket_domain(Bucket=bucket)
    assert code(cos.get_bucket_domain, Bucket=bucket) == ("DomainConfigNotFoundError", 404)
