"""What runs on SCF, as it is: the official SDKs, the services' own host names, and the keys of the environment."""
import http.client
import json
import os
import ssl

from qcloud_cos import CosConfig, CosS3Client
from tencentcloud.common import credential
from tencentcloud.scf.v20180416 import models as scf_models, scf_client
from tencentcloud.sts.v20180813 import models as sts_models, sts_client

REGION = os.environ["TENCENTCLOUD_REGION"]
KEYS = [os.environ["TENCENTCLOUD_" + name] for name in ("SECRETID", "SECRETKEY", "SESSIONTOKEN")]


def main_handler(event, context):
    cos = CosS3Client(CosConfig(Region=REGION, SecretId=KEYS[0], SecretKey=KEYS[1], Token=KEYS[2]))
    record = event["Records"][0]["cos"]
    bucket = "{name}-{appid}".format(**record["cosBucket"])
    key = record["cosObject"]["key"].split("/", 3)[3]
    body = cos.get_object(Bucket=bucket, Key=key)["Body"].get_raw_stream().read().decode()
    keys = credential.Credential(*KEYS)
    invoke = scf_models.InvokeFunctionRequest()
    invoke.FunctionName = os.environ["OTHER"]
    invoke.Event = json.dumps(body)
    invoked = scf_client.ScfClient(keys, REGION).InvokeFunction(invoke)
    caller = sts_client.StsClient(keys, REGION).GetCallerIdentity(sts_models.GetCallerIdentityRequest())
    # A client that knows no proxy, by a name and certificates of its own choice.
    bare = http.client.HTTPSConnection(f"{bucket}.cos.{REGION}.myqcloud.com", context=ssl.create_default_context())
    bare.request("GET", "/")
    answer = {
        "body": body.upper(),
        "other": json.loads(invoked.Result.RetMsg),
        "caller": [caller.Type, caller.AccountId],
        "bare": bare.getresponse().status,
    }
    cos.put_object(Bucket=os.environ["TARGET"], Key=key, Body=json.dumps(answer).encode())
