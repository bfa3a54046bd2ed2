"""A function in Node.js that purges and prefetches with the official SDK for the CDN, run by an upload."""

import json

import requests
from tencentcloud.cdn.v20180606 import cdn_client, models
from tencentcloud.common.credential import Credential
from tencentcloud.common.profile.client_profile import ClientProfile
from tencentcloud.common.profile.http_profile import HttpProfile

from support import functions, web

DOMAIN = "node.example.com"


def call(cdn, action, **parameters):
    request = getattr(models, f"{action}Request")()
    request.from_json_string(json.dumps(parameters))
    return json.loads(getattr(cdn, action)(request).to_json_string())


def test_a_function_refreshes_the_cdn(server, cos, scf, bucket, new_function):
    profile = ClientProfile(httpProfile=HttpProfile(protocol="http", endpoint=server.host))
    cdn = cdn_client.CdnClient(Credential(server.secret_id, server.secret_key), "", profile)
    origin = {"Origins": [functions.domain(bucket)], "OriginType": "cos", "CosPrivateAccess": "on"}
    call(cdn, "AddCdnDomain", Domain=DOMAIN, ServiceType="web", Origin=origin)

    def edge():
        answer = requests.get(f"{server.url}/a%20b/1.txt", headers={"Host": DOMAIN}, timeout=30)
        return answer.headers["X-Cache-Lookup"], answer.text

    name = new_function()
    source = (functions.FUNCTIONS / "cdn-node/index.js").read_text()
    code = {"index.js": source, **web.node_modules("tencentcloud-sdk-nodejs-cdn")}
    functions.deploy(scf, name, code, runtime="Nodejs18.15", env={"cdnHosts_1": DOMAIN}, Timeout=30, MemorySize=256)
    cos.put_object(Bucket=bucket, Key="a b/1.txt", Body=b"old")
    assert [edge() for _ in range(2)] == [("Cache Miss", "old"), ("Cache Hit", "old")]
    functions.bind(scf, name, bucket)
    cos.put_object(Bucket=bucket, Key="a b/1.txt", Body=b"new")
    server.wait()
    assert [run["status"] for run in server.invocations(name)] == [200], server.invocations(name)
    url = f"https://{DOMAIN}/a%20b/1.txt"
    span = {"StartTime": "2000-01-01 00:00:00", "EndTime": "2100-01-01 00:00:00", "Keyword": url}
    assert call(cdn, "DescribePurgeTasks", **span)["TotalCount"] == 1
    for _ in range(1000):
        if call(cdn, "DescribePushTasks", **span)["PushLogs"][0]["Status"] == "done":
            break
    # It was fetched again before anybody asked.
    assert edge() == ("Cache Hit", "new")
    call(cdn, "StopCdnDomain", Domain=DOMAIN)
    call(cdn, "DeleteCdnDomain", Domain=DOMAIN)
