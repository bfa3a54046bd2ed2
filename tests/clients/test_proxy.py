"""Real `myqcloud.com` host names through the server as an HTTP proxy: one setting, no name resolution."""

import subprocess

from support.clients import cos_client, s3_client
from support.instance import clean_environment


def test_the_python_sdk_with_real_host_names(server, new_bucket):
    name = new_bucket()
    client = cos_client(server, "proxy")
    assert client.get_conf().uri(bucket=name, path="k") == f"http://{name}.cos.ap-guangzhou.myqcloud.com/k"
    client.create_bucket(Bucket=name)
    client.put_object(Bucket=name, Key="目录/a b+c.txt", Body=b"through the proxy")
    got = client.get_object(Bucket=name, Key="目录/a b+c.txt")
    assert got["Body"].get_raw_stream().read() == b"through the proxy"
    assert [b["Name"] for b in client.list_buckets()["Buckets"]["Bucket"] if b["Name"] == name] == [name]


def test_the_host_names_region_is_the_buckets(server, new_bucket):
    name = new_bucket()
    client = cos_client(server, "proxy", Region="ap-shanghai")
    client.create_bucket(Bucket=name)
    assert client.head_bucket(Bucket=name)["x-cos-bucket-region"] == "ap-shanghai"
    listed = client.list_buckets()["Buckets"]["Bucket"]
    assert [b["Location"] for b in listed if b["Name"] == name] == ["ap-shanghai"]


def test_the_new_domain_suffix(server, new_bucket):
    name = new_bucket()
    client = cos_client(server, "proxy", EnableOldDomain=False, EnableInternalDomain=False)
    assert "tencentcos.cn" in client.get_conf().uri(bucket=name)
    client.create_bucket(Bucket=name)
    client.put_object(Bucket=name, Key="k", Body=b"x")
    assert client.list_objects(Bucket=name)["Contents"][0]["Key"] == "k"


def test_boto3_with_a_real_host_name(server, bucket):
    client = s3_client(
        server, "virtual", endpoint="http://cos.ap-guangzhou.myqcloud.com", proxies={"http": server.url}
    )
    client.put_object(Bucket=bucket, Key="a b", Body=b"x")
    assert client.get_object(Bucket=bucket, Key="a b")["Body"].read() == b"x"
    assert [row["Key"] for row in client.list_objects_v2(Bucket=bucket)["Contents"]] == ["a b"]


def test_a_program_that_reads_the_proxy_from_its_environment(server, bucket):
    cos_client(server, "proxy").put_object(Bucket=bucket, Key="k.txt", Body=b"curl")
    url = cos_client(server, "proxy").get_presigned_download_url(Bucket=bucket, Key="k.txt")
    code = "import sys, urllib.request as u; sys.stdout.write(u.urlopen(sys.argv[1]).read().decode())"
    done = subprocess.run(
        ["python3", "-c", code, url],
        capture_output=True,
        text=True,
        timeout=60,
        env=clean_environment(http_proxy=server.url),
    )
    assert done.stdout == "curl", done.stderr


def test_the_node_sdk_with_real_host_names(server, node, new_bucket):
    name = new_bucket()
    for sdk in ("cos-nodejs-sdk-v5", "cos-nodejs-sdk-v5-2"):
        seen = node(
            "proxy.cjs",
            {"sdk": sdk, "bucket": name, "proxy": server.url, "id": server.secret_id, "key": server.secret_key},
        )
        assert seen["host"] == f"{name}.cos.ap-guangzhou.myqcloud.com"
        assert seen["body"] == "through the proxy"
        assert name in seen["buckets"]
