"""Whose a host name is: it leads to one thing of one account, and what that is nobody else takes."""

import json
import uuid

import pytest
import requests
from qcloud_cos import CosServiceError
from tencentcloud.cdn.v20180606 import cdn_client, models
from tencentcloud.common.credential import Credential
from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException
from tencentcloud.common.profile.client_profile import ClientProfile
from tencentcloud.common.profile.http_profile import HttpProfile

from support import functions, web
from support.clients import cos_client
from support.functions import call, deploy
from support.instance import Instance

OTHER = ("AKIDother", "otherkey", "1260000000", "100000000002")
# Two that may be called by their names (one of them by any), and everybody.
AWAY, NEAR = "away.example.invalid", "near.example.invalid"

SHOWS = """
def main_handler(event, context):
    return {"statusCode": 200, "body": "home"}
"""

CALLS = """
import urllib.error, urllib.request

def main_handler(event, context):
    try:
        with urllib.request.urlopen(event, timeout=50) as answer:
            return answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code
"""


@pytest.fixture(scope="module")
def server():
    with Instance(None, f"--account={':'.join(OTHER)}", f"--allow-egress={AWAY},*", "--host-name=box.example.com") as instance:
        yield instance


class Account:
    """Takes names by all three ways; each says why not, or nothing."""

    def __init__(self, server, secret_id, secret_key, appid):
        self.scf = functions.client(server, secret_id, secret_key)
        self.cos = cos_client(server, SecretId=secret_id, SecretKey=secret_key)
        self.bucket = f"names-{uuid.uuid4().hex[:8]}-{appid}"
        self.cos.create_bucket(Bucket=self.bucket)
        deploy(self.scf, f"shows-{appid}", {"index.py": SHOWS})
        web.url(self.scf, f"shows-{appid}")
        self.routes = [{"FunctionName": f"shows-{appid}", "Qualifier": "$LATEST", "PathMatch": "/*"}]
        http = HttpProfile(protocol="http", endpoint=server.host)
        self.cdn = cdn_client.CdnClient(Credential(secret_id, secret_key), "", ClientProfile(httpProfile=http))

    def _sdk(self, act):
        try:
            act()
        except TencentCloudSDKException as error:
            return error.code
        except CosServiceError as error:
            return error.get_error_code()
        return None

    def _ask_cdn(self, action, **parameters):
        request = getattr(models, f"{action}Request")()
        request.from_json_string(json.dumps(parameters))
        getattr(self.cdn, action)(request)

    def function(self, name):
        return self._sdk(lambda: call(self.scf, "CreateCustomDomain", Domain=name, Protocol="HTTP", EndpointsConfig=self.routes))

    def edge(self, name):
        origin = {"Origins": [functions.domain(self.bucket)], "OriginType": "cos"}
        return self._sdk(lambda: self._ask_cdn("AddCdnDomain", Domain=name, ServiceType="web", Origin=origin))

    def bind(self, name, **more):
        rule = {"Status": "ENABLED", "Name": name, "Type": "REST", **more}
        return self._sdk(lambda: self.cos.put_bucket_domain(Bucket=self.bucket, DomainConfiguration={"DomainRule": [rule]}))

    def give_up(self, name):
        self._sdk(lambda: call(self.scf, "DeleteCustomDomain", Domain=name))
        self._sdk(lambda: self._ask_cdn("StopCdnDomain", Domain=name))
        self._sdk(lambda: self._ask_cdn("DeleteCdnDomain", Domain=name))
        self._sdk(lambda: self.cos.delete_bucket_domain(Bucket=self.bucket))


@pytest.fixture(scope="module")
def accounts(server):
    return Account(server, server.secret_id, server.secret_key, server.appid), Account(server, *OTHER[:3])


@pytest.fixture
def name(accounts):
    name = f"www.{uuid.uuid4().hex[:12]}.example.com"
    yield name
    for account in accounts:
        account.give_up(name)


@pytest.mark.parametrize("first", ["function", "edge", "bind"])
def test_a_name_has_one_owner(accounts, name, first):
    mine, theirs = accounts
    assert getattr(mine, first)(name.upper()) is None
    for account in accounts:
        assert account.function(name) == "ResourceInUse"
        is_theirs = first == "edge" and account is theirs
        assert account.edge(name) == ("UnauthorizedOperation.CdnHostIsUsedByOther" if is_theirs else "ResourceInUse.CdnHostExists")
        if first != "bind":
            assert account.bind(name) == account.bind(name, ForcedReplacement="CNAME") == "DomainConfigConflict"
    assert first != "bind" or theirs.bind(name) == "DomainConfigConflict"
    mine.give_up(name)
    for way in ("function", "edge", "bind"):
        assert getattr(theirs, way)(name) is None, way
        theirs.give_up(name)


@pytest.mark.parametrize("name", ["scf.tencentcloudapi.com", "b.cos.ap-guangzhou.myqcloud.com", "x.localhost", "box.example.com", "Box.Example.com"])
def test_names_of_the_services_and_of_the_server_are_nobodys(server, accounts, name):
    for account in accounts:
        assert account.function(name) == "InvalidParameterValue.Domain"
        assert account.edge(name) == "InvalidParameter.CdnHostInternalHost"
        assert account.bind(name) == "InvalidArgument"
    if name.lower() == "box.example.com":
        assert requests.get(f"{server.url}/_cosette/health", headers={"Host": name}, timeout=60).json()["status"] == "ok"


def test_a_path_of_a_domain_is_no_admin_api(server, accounts, name):
    mine, _ = accounts
    assert mine.bind(name) is None
    mine.cos.put_object(Bucket=mine.bucket, Key="_cosette/health", Body=b"mine", ACL="public-read")
    answer = requests.get(f"{server.url}/_cosette/health", headers={"Host": name}, timeout=60)
    assert answer.text == "mine"


def test_what_is_allowed_by_name_goes_out(accounts):
    mine, theirs = accounts
    deploy(mine.scf, "calls", {"index.py": CALLS}, Timeout=60)
    for name, said in ((AWAY, 502), (NEAR, "home")):
        assert theirs.function(name) is None
        result = call(mine.scf, "Invoke", FunctionName="calls", ClientContext=json.dumps(f"http://{name}/"))["Result"]
        assert json.loads(result["RetMsg"]) == said, name
        theirs.give_up(name)
