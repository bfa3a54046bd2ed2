"""Writes objects with the keys that the instance has, in each way a write can be signed; or calls a function.

The variables say what to do: HOW, and ENDPOINT, BUCKET, and for a call TARGET. The new object is `<HOW>/<key>`.
"""

import logging
import os
import urllib.parse
import urllib.request

ENDPOINT, BUCKET = os.environ["ENDPOINT"], os.environ.get("BUCKET")
HOST = urllib.parse.urlsplit(ENDPOINT).netloc
REGION = os.environ["TENCENTCLOUD_REGION"]
# The SDKs tell the root logger everything, and that is the function's log. Each is loaded only where it is used.
logging.getLogger().setLevel(logging.WARNING)


def own_keys():
    names = ("TENCENTCLOUD_SECRETID", "TENCENTCLOUD_SECRETKEY", "TENCENTCLOUD_SESSIONTOKEN")
    return [os.environ[name] for name in names]


def s3(keys=None):
    import boto3
    from botocore.config import Config

    key, secret, token = keys or own_keys()
    config = Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1})
    return boto3.client(
        "s3",
        endpoint_url=ENDPOINT,
        region_name=REGION,
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        aws_session_token=token,
        config=config,
    )


def cloud(client):
    from tencentcloud.common import credential
    from tencentcloud.common.profile.client_profile import ClientProfile
    from tencentcloud.common.profile.http_profile import HttpProfile

    http = HttpProfile(protocol="http", endpoint=HOST)
    return client(credential.Credential(*own_keys()), REGION, ClientProfile(httpProfile=http))


def boto(key):
    s3().put_object(Bucket=BUCKET, Key=key, Body=b"x")


def cos(key):
    from qcloud_cos import CosConfig, CosS3Client

    secret_id, secret_key, token = own_keys()
    config = CosConfig(
        Region=REGION, SecretId=secret_id, SecretKey=secret_key, Token=token, Scheme="http", Proxies={"http": ENDPOINT}
    )
    CosS3Client(config, retry=0).put_object(Bucket=BUCKET, Key=key, Body=b"x")


def presigned(key):
    url = s3().generate_presigned_url("put_object", Params={"Bucket": BUCKET, "Key": key})
    urllib.request.urlopen(urllib.request.Request(url, data=b"x", method="PUT", headers={"Content-Type": ""})).close()


def form(key):
    post = s3().generate_presigned_post(BUCKET, key)
    edge = "----edge"
    parts = [f'--{edge}\r\nContent-Disposition: form-data; name="{n}"\r\n\r\n{v}\r\n' for n, v in post["fields"].items()]
    parts.append(f'--{edge}\r\nContent-Disposition: form-data; name="file"; filename="x"\r\n\r\nx\r\n--{edge}--\r\n')
    about = {"Content-Type": f"multipart/form-data; boundary={edge}"}
    urllib.request.urlopen(urllib.request.Request(post["url"], "".join(parts).encode(), about)).close()


def assumed(key):
    """By keys that were asked for with the instance's own."""
    from tencentcloud.sts.v20180813 import models, sts_client

    request = models.AssumeRoleRequest()
    request.RoleArn = f"qcs::cam::uin/{os.environ['TENCENTCLOUD_UIN']}:roleName/any"
    request.RoleSessionName = "chain"
    given = cloud(sts_client.StsClient).AssumeRole(request).Credentials
    s3([given.TmpSecretId, given.TmpSecretKey, given.Token]).put_object(Bucket=BUCKET, Key=key, Body=b"x")


def invoke(key, kind):
    from tencentcloud.scf.v20180416 import models, scf_client

    request = models.InvokeRequest()
    request.FunctionName, request.InvocationType = os.environ["TARGET"], kind
    request.ClientContext = f'{{"key": "{key}"}}'
    cloud(scf_client.ScfClient).Invoke(request)


def call(key):
    invoke(key, "RequestResponse")


def call_later(key):
    invoke(key, "Event")


def main_handler(event, context):
    if "Records" in event:
        key = event["Records"][0]["cos"]["cosObject"]["key"].split("/", 3)[3]
    else:
        key = event["key"]
    how = os.environ["HOW"]
    globals()[how](f"{how}/{key}")
    print("wrote for", key)
