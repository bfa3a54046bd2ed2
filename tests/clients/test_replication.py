"""Copies in other buckets, as replication rules ask for: what is copied, with what, what is not, and that it goes
on after a kill."""

import pytest
from botocore.exceptions import ClientError

from support.clients import cos_client, s3_client
from support.instance import Instance

MIB = 1 << 20
COS_STATUS = "x-cos-replication-status"


@pytest.fixture
def shanghai(server):
    return cos_client(server, Region="ap-shanghai")


@pytest.fixture
def pair(cos, shanghai, new_bucket):
    """A bucket in Guangzhou and one in Shanghai, both with versions."""
    source, target = new_bucket("from"), new_bucket("to")
    for client, bucket in ((cos, source), (shanghai, target)):
        client.create_bucket(Bucket=bucket)
        client.put_bucket_versioning(Bucket=bucket, Status="Enabled")
    return source, target


def cos_rule(client, server, source, target, region="ap-shanghai", **more):
    rule = {"ID": "r", "Status": "Enabled", "Prefix": "", **more}
    rule["Destination"] = {"Bucket": f"qcs::cos:{region}::{target}", **rule.get("Destination", {})}
    role = f"qcs::cam::uin/{server.uin}:uin/{server.uin}"
    client.put_bucket_replication(Bucket=source, ReplicationConfiguration={"Role": role, "Rule": [rule]})


def s3_rule(target, number=1, markers="Disabled", **more):
    destination = {"Bucket": f"arn:aws:s3:::{target}", **more.pop("Destination", {})}
    rule = {"ID": f"r{number}", "Priority": number, "Filter": {"Prefix": ""}, "Status": "Enabled"}
    return {**rule, "DeleteMarkerReplication": {"Status": markers}, "Destination": destination, **more}


def s3_rules(server, s3, source, *rules):
    role = f"arn:aws:iam::{server.uin}:role/copy"
    asked = {"Role": role, "Rules": list(rules)}
    s3.put_bucket_replication(Bucket=source, ReplicationConfiguration=asked)


@pytest.fixture
def buckets(s3, new_bucket):
    """Makes buckets with versions."""

    def make(*words):
        names = [new_bucket(word) for word in words]
        for name in names:
            s3.create_bucket(Bucket=name)
            s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
        return names

    return make


def versions(s3, bucket):
    """(key, version, is a marker, is the latest), newest first."""
    page = s3.list_object_versions(Bucket=bucket)
    rows = [(v, False) for v in page.get("Versions", [])] + [(m, True) for m in page.get("DeleteMarkers", [])]
    found = [(row["Key"], row["VersionId"], marker, row["IsLatest"]) for row, marker in rows]
    return sorted(found, key=lambda row: row[:2])


def keys(s3, bucket):
    return [row["Key"] for row in s3.list_objects_v2(Bucket=bucket).get("Contents", [])]


def test_what_cos_writes_after_the_rule_is_copied(cos, shanghai, server, pair):
    source, target = pair
    cos.put_object(Bucket=source, Key="before", Body=b"old")
    cos_rule(cos, server, source, target)
    about = {"ContentType": "text/plain", "CacheControl": "no-cache", "Metadata": {"x-cos-meta-who": "me"}}
    put = cos.put_object(Bucket=source, Key="报告/a b.txt", Body=b"hello", StorageClass="STANDARD_IA", **about)
    server.wait(put["x-cos-request-id"])
    copy = shanghai.get_object(Bucket=target, Key="报告/a b.txt")
    assert copy["Body"].get_raw_stream().read() == b"hello"
    original = cos.head_object(Bucket=source, Key="报告/a b.txt")
    same = "x-cos-version-id", "ETag", "Last-Modified", "Content-Type", "Cache-Control", "x-cos-meta-who"
    for name in (*same, "x-cos-storage-class", "x-cos-hash-crc64ecma"):
        assert copy[name] == original[name], name
    assert (original[COS_STATUS], copy[COS_STATUS]) == ("Complete", "Replica")
    assert COS_STATUS not in cos.head_object(Bucket=source, Key="before")
    again = cos.put_object(Bucket=source, Key="报告/a b.txt", Body=b"hello again")
    server.wait()
    assert shanghai.head_object(Bucket=target, Key="报告/a b.txt")["x-cos-version-id"] == again["x-cos-version-id"]
    listed = shanghai.list_objects_versions(Bucket=target)["Version"]
    assert [(v["Key"], v["IsLatest"]) for v in listed] == [("报告/a b.txt", "true"), ("报告/a b.txt", "false")]
    kinds = [(c["kind"], c["key"], c["rule"]) for c in server.changes(bucket=target) if c["key"]]
    assert kinds == [("cos:ObjectCreated:Replication", "报告/a b.txt", "r")] * 2


def test_a_rule_of_cos_ends_with_its_removal(cos, shanghai, server, pair):
    source, target = pair
    cos_rule(cos, server, source, target, Prefix="a/", Destination={"StorageClass": "ARCHIVE"})
    cos.put_object(Bucket=source, Key="a/1", Body=b"x")
    cos.put_object(Bucket=source, Key="b/1", Body=b"x")
    cos.delete_bucket_replication(Bucket=source)
    cos.put_object(Bucket=source, Key="a/2", Body=b"x")
    server.wait()
    assert [row["Key"] for row in shanghai.list_objects(Bucket=target)["Contents"]] == ["a/1"]
    assert shanghai.head_object(Bucket=target, Key="a/1")["x-cos-storage-class"] == "ARCHIVE"
    assert "x-cos-storage-class" not in cos.head_object(Bucket=source, Key="a/1")
    assert COS_STATUS not in cos.head_object(Bucket=source, Key="a/2")


def test_everything_that_makes_an_object_is_copied(cos, shanghai, s3, server, pair):
    source, target = pair
    cos_rule(cos, server, source, target)
    upload = cos.create_multipart_upload(Bucket=source, Key="parts")["UploadId"]
    parts = [b"p" * MIB, b"end"]
    tags = [cos.upload_part(source, "parts", body, n, upload)["ETag"] for n, body in enumerate(parts, 1)]
    listed = [{"PartNumber": n, "ETag": tag} for n, tag in enumerate(tags, 1)]
    cos.complete_multipart_upload(source, "parts", upload, {"Part": listed})
    cos.put_object(Bucket=source, Key="empty", Body=b"")
    cos.put_object(Bucket=source, Key="large", Body=b"l" * (MIB // 2))
    cos.copy_object(source, "copied", {"Bucket": source, "Key": "large", "Region": "ap-guangzhou"})
    server.wait()
    assert keys(s3, target) == keys(s3, source) == ["copied", "empty", "large", "parts"]
    whole = shanghai.get_object(Bucket=target, Key="parts")
    assert whole["Body"].get_raw_stream().read() == b"".join(parts)
    assert whole["ETag"].endswith('-2"') and whole[COS_STATUS] == "Replica"
    assert s3.get_object(Bucket=target, Key="parts", PartNumber=2)["Body"].read() == b"end"
    # The copies have bytes of their own, as far as anybody can tell.
    for key in keys(s3, source):
        s3.delete_object(Bucket=source, Key=key, VersionId=s3.head_object(Bucket=source, Key=key)["VersionId"])
    assert keys(s3, source) == []
    assert s3.get_object(Bucket=target, Key="parts")["Body"].read() == b"".join(parts)
    assert s3.get_object(Bucket=target, Key="copied")["Body"].read() == b"l" * (MIB // 2)


@pytest.mark.parametrize("said, copied", [(None, True), ("Enabled", True), ("Disabled", False)])
def test_delete_markers_of_cos(cos, s3, server, pair, said, copied):
    source, target = pair
    more = {} if said is None else {"DeleteMarkerReplication": {"Status": said}}
    cos_rule(cos, server, source, target, **more)
    cos.put_object(Bucket=source, Key="k", Body=b"x")
    cos.delete_object(Bucket=source, Key="k")
    server.wait()
    assert (versions(s3, target) == versions(s3, source)) == copied
    assert keys(s3, target) == ([] if copied else ["k"])
    kinds = [c["kind"] for c in server.changes(bucket=target) if c["key"]]
    assert kinds == ["cos:ObjectCreated:Replication", "Replication:DeleteMarkerCreated"][: 1 + copied]


def test_s3_copies_by_prefix_and_tag_into_several_buckets(s3, server, buckets):
    source, first, second = buckets("from", "one", "two")
    tagged = {"And": {"Prefix": "a/", "Tags": [{"Key": "k", "Value": "v"}, {"Key": "l", "Value": "w"}]}}
    cold = {"StorageClass": "GLACIER"}
    s3_rules(
        server,
        s3,
        source,
        s3_rule(first, 1, Filter={"Prefix": "a/"}),
        # Of two rules for one bucket the one with the greater number counts.
        s3_rule(first, 2, Filter={"Prefix": "a/b/"}, Destination=cold),
        s3_rule(second, 3, Filter=tagged),
        s3_rule(second, 4, Filter={"Prefix": ""}, Status="Disabled"),
    )
    s3.put_object(Bucket=source, Key="a/1", Body=b"1", Tagging="k=v&l=w")
    s3.put_object(Bucket=source, Key="a/b/2", Body=b"2", Tagging="k=v")
    s3.put_object(Bucket=source, Key="c/3", Body=b"3", Tagging="k=v&l=w")
    server.wait()
    assert keys(s3, first) == ["a/1", "a/b/2"]
    assert keys(s3, second) == ["a/1"]
    assert s3.get_object_tagging(Bucket=first, Key="a/1")["TagSet"] == tagged["And"]["Tags"]
    assert s3.head_object(Bucket=first, Key="a/b/2")["StorageClass"] == "GLACIER"
    assert s3.head_object(Bucket=first, Key="a/1")["ReplicationStatus"] == "REPLICA"
    for key in ("a/1", "a/b/2"):
        assert s3.head_object(Bucket=source, Key=key)["ReplicationStatus"] == "COMPLETED"
    assert "ReplicationStatus" not in s3.head_object(Bucket=source, Key="c/3")


def test_s3_deletes(s3, server, buckets):
    source, kept, marked = buckets("from", "kept", "marked")
    s3_rules(server, s3, source, s3_rule(kept, 1), s3_rule(marked, 2, "Enabled"))
    version = s3.put_object(Bucket=source, Key="k", Body=b"x")["VersionId"]
    s3.delete_object(Bucket=source, Key="k")
    server.wait()
    assert versions(s3, marked) == versions(s3, source)
    assert versions(s3, kept) == [("k", version, False, True)]
    # A version that goes for good goes here alone.
    s3.delete_object(Bucket=source, Key="k", VersionId=version)
    server.wait()
    assert version in [row[1] for row in versions(s3, marked)]
    assert version not in [row[1] for row in versions(s3, source)]


def test_two_ways_and_a_chain_do_not_loop(s3, server, buckets):
    one, other, third = buckets("one", "other", "third")
    s3_rules(server, s3, one, s3_rule(other, 1, "Enabled"))
    s3_rules(server, s3, other, s3_rule(one, 1, "Enabled"), s3_rule(third, 2, "Enabled"))
    s3.put_object(Bucket=one, Key="a", Body=b"a")
    s3.put_object(Bucket=other, Key="b", Body=b"b")
    s3.put_object(Bucket=one, Key="c", Body=b"c")
    s3.delete_object(Bucket=one, Key="c")
    server.wait()
    assert versions(s3, one) == versions(s3, other)
    assert len(versions(s3, one)) == 4
    assert keys(s3, third) == ["b"], "what is a copy itself is not copied on"
    assert s3.head_object(Bucket=one, Key="b")["ReplicationStatus"] == "REPLICA"
    made = [c for b in (one, other, third) for c in server.changes(bucket=b) if "Replication" in c["kind"]]
    assert len(made) == 5


def test_what_cannot_be_copied_has_failed_and_holds_nothing_up(s3, server, buckets):
    source, gone, plain, good = buckets("from", "gone", "plain", "good")
    s3_rules(server, s3, source, s3_rule(gone, 1), s3_rule(plain, 2), s3_rule(good, 3))
    s3.delete_bucket(Bucket=gone)
    s3.put_bucket_versioning(Bucket=plain, VersioningConfiguration={"Status": "Suspended"})
    s3.put_object(Bucket=source, Key="k", Body=b"x")
    server.wait()
    assert s3.head_object(Bucket=source, Key="k")["ReplicationStatus"] == "FAILED"
    assert keys(s3, plain) == [] and keys(s3, good) == ["k"]
    told = [line for line in server.log_text().splitlines() if "not replicated" in line and source in line]
    assert len(told) == 2 and "does not exist" in told[0] and "no versioning" in told[1]
    s3_rules(server, s3, source, s3_rule(good, 3))
    s3.put_object(Bucket=source, Key="k", Body=b"x")
    server.wait()
    assert s3.head_object(Bucket=source, Key="k")["ReplicationStatus"] == "COMPLETED"


def test_locks_come_along(s3, server, new_bucket, buckets):
    locked = [new_bucket("from"), new_bucket("to")]
    (open_bucket,) = buckets("open")
    for name in locked:
        s3.create_bucket(Bucket=name, ObjectLockEnabledForBucket=True)
    source, target = locked
    s3_rules(server, s3, source, s3_rule(target, 1), s3_rule(open_bucket, 2))
    made = s3.put_object(Bucket=source, Key="k", Body=b"x", ObjectLockLegalHoldStatus="ON")
    server.wait()
    copy = {"Bucket": target, "Key": "k", "VersionId": made["VersionId"]}
    assert s3.get_object_legal_hold(**copy)["LegalHold"] == {"Status": "ON"}
    assert keys(s3, open_bucket) == [], "it cannot be held there"
    assert s3.head_object(Bucket=source, Key="k")["ReplicationStatus"] == "FAILED"
    with pytest.raises(ClientError):
        s3.delete_object(**copy)
    for name in locked:
        s3.put_object_legal_hold(**{**copy, "Bucket": name}, LegalHold={"Status": "OFF"})


def test_what_is_encrypted(s3, server, buckets):
    source, target, kms = buckets("from", "to", "kms")
    key = "11111111-2222-3333-4444-555555555555"
    selected = {"SourceSelectionCriteria": {"SseKmsEncryptedObjects": {"Status": "Enabled"}}}
    under = {"EncryptionConfiguration": {"ReplicaKmsKeyID": key}}
    s3_rules(server, s3, source, s3_rule(target, 1), s3_rule(kms, 2, Destination=under, **selected))
    body = b"secret" * 10_000
    mine = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": b"k" * 32}
    s3.put_object(Bucket=source, Key="service", Body=body, ServerSideEncryption="AES256")
    s3.put_object(Bucket=source, Key="kms", Body=body, ServerSideEncryption="aws:kms")
    s3.put_object(Bucket=source, Key="mine", Body=body, **mine)
    server.wait()
    assert keys(s3, target) == ["mine", "service"]
    assert keys(s3, kms) == ["kms", "mine", "service"]
    for bucket in (target, kms):
        got = s3.get_object(Bucket=bucket, Key="service")
        assert (got["Body"].read(), got["ServerSideEncryption"]) == (body, "AES256")
        assert s3.get_object(Bucket=bucket, Key="mine", **mine)["Body"].read() == body
    got = s3.get_object(Bucket=kms, Key="kms")
    assert (got["Body"].read(), got["ServerSideEncryption"]) == (body, "aws:kms")
    assert got["SSEKMSKeyId"].endswith(key)
    assert got["ETag"] == s3.head_object(Bucket=source, Key="kms")["ETag"]


def test_older_versions_come_in_below_newer_ones(s3, server, buckets):
    """The copies of two buckets' writes meet in one, whatever the order in which they are made."""
    one, other, target = buckets("one", "other", "target")
    for source in (one, other):
        s3_rules(server, s3, source, s3_rule(target, 1, "Enabled"))
    made = [s3.put_object(Bucket=(one, other)[n % 2], Key="k", Body=b"%d" % n)["VersionId"] for n in range(10)]
    server.wait()
    page = s3.list_object_versions(Bucket=target)["Versions"]
    assert [row["VersionId"] for row in page] == made[::-1]
    assert [row["IsLatest"] for row in page] == [True] + [False] * 9
    assert s3.get_object(Bucket=target, Key="k")["Body"].read() == b"9"


def test_copying_goes_on_after_kills(tmp_path):
    """Each write that was answered is copied, once, wherever the server was killed."""
    data, written = tmp_path / "data", {}
    for turn in range(4):
        with Instance(data, log=tmp_path / "log") as server:
            s3 = s3_client(server)
            if turn == 0:
                for name in ("source", "target"):
                    s3.create_bucket(Bucket=name)
                    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
                s3_rules(server, s3, "source", s3_rule("target", 1, "Enabled"))
            for n in range(40):
                key = f"k{n % 8}"
                written[s3.put_object(Bucket="source", Key=key, Body=b"x")["VersionId"]] = key
            s3.delete_object(Bucket="source", Key="k0")
            if turn < 3:
                server.kill()
                continue
            server.wait()
            assert versions(s3, "target") == versions(s3, "source")
            assert set(written) < {row[1] for row in versions(s3, "target")}
            copied = [c["versionId"] for c in server.changes(bucket="target") if "Replication" in c["kind"]]
            assert len(copied) == len(set(copied)) == 4 * 41
            status = {s3.head_object(Bucket="source", Key=k, VersionId=v)["ReplicationStatus"] for v, k in written.items()}
            assert status == {"COMPLETED"}
    done = server.cli("verify", str(data))
    assert done.returncode == 0
