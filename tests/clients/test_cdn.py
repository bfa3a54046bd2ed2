"""The CDN: its API through the Python SDK and tccli, and what its edge answers to curl-like clients."""

import concurrent.futures
import json
import threading

import pytest
import requests
from tencentcloud.cdn.v20180606 import cdn_client, models
from tencentcloud.common.credential import Credential
from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException
from tencentcloud.common.profile.client_profile import ClientProfile
from tencentcloud.common.profile.http_profile import HttpProfile

from support import functions
from support.clients import cos_client
from support.instance import Instance
from support.origin import Origin, put_rules, rule


class Cdn:
    """The Python SDK; an action is a call."""

    def __init__(self, server, secret_id=None, secret_key=None, token=None):
        keys = Credential(secret_id or server.secret_id, secret_key or server.secret_key, token)
        http = HttpProfile(protocol="http", endpoint=server.host)
        self.client = cdn_client.CdnClient(keys, "", ClientProfile(httpProfile=http))

    def __getattr__(self, action):
        def call(**parameters):
            request = getattr(models, f"{action}Request")()
            request.from_json_string(json.dumps(parameters))
            return json.loads(getattr(self.client, action)(request).to_json_string())

        return call


class Edge:
    """Asks for things of one domain, by the name in `Host`."""

    def __init__(self, server, domain):
        self.server = server
        self.domain = domain

    def __call__(self, path, method="GET", host=None, **headers):
        headers = {"Host": host or self.domain, "Accept-Encoding": "identity", **headers}
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        return requests.request(method, f"{self.server.url}{path}", headers=headers, allow_redirects=False, timeout=30)

    def shown(self, path, **more):
        answer = self(path, **more)
        return answer.status_code, answer.headers["X-Cache-Lookup"], answer.text


@pytest.fixture
def cdn(server):
    return Cdn(server)


@pytest.fixture
def new_domain(server, cdn, unique):
    made = []

    def new(bucket, private=True, **more):
        name = f"{unique('img')}.example.com"
        origin = {
            "Origins": [functions.domain(bucket)],
            "OriginType": "cos",
            "ServerName": functions.domain(bucket),
            "CosPrivateAccess": "on" if private else "off",
        }
        cdn.AddCdnDomain(**{"Domain": name, "ServiceType": "web", "Origin": origin, **more})
        made.append(name)
        return Edge(server, name)

    yield new
    for row in cdn.DescribeDomains()["Domains"]:
        if row["Domain"] in made:
            if row["Status"] == "online":
                cdn.StopCdnDomain(Domain=row["Domain"])
            cdn.DeleteCdnDomain(Domain=row["Domain"])


def code(call, **parameters):
    with pytest.raises(TencentCloudSDKException) as caught:
        call(**parameters)
    return caught.value.get_code()


def test_the_edge_keeps_what_it_has_until_it_is_purged(cos, bucket, cdn, new_domain):
    edge = new_domain(bucket)
    put = lambda body: cos.put_object(Bucket=bucket, Key="a b/\u4f60.txt", Body=body)
    path = "/a%20b/%E4%BD%A0.txt"
    put(b"one")
    assert edge.shown(path) == (200, "Cache Miss", "one")
    put(b"two")
    assert edge.shown(path) == (200, "Cache Hit", "one")
    assert edge.shown(path, host=f"{edge.domain}.cdn.dnsv1.com") == (200, "Cache Hit", "one")
    assert edge.shown(path, host=f"{edge.domain}.cdn.localhost") == (200, "Cache Hit", "one")
    assert edge.shown(path + "?v=1") == (200, "Cache Miss", "two")
    task = cdn.PurgeUrlsCache(Urls=[f"https://{edge.domain}/a%20b/\u4f60.txt"], UrlEncode=True)["TaskId"]
    assert edge.shown(path) == (200, "Cache Miss", "two")
    assert edge.shown(path) == (200, "Cache Hit", "two")
    log = cdn.DescribePurgeTasks(TaskId=task)
    assert log["TotalCount"] == 1
    told = log["PurgeLogs"][0]
    assert (told["Status"], told["PurgeType"], told["FlushType"]) == ("done", "url", "flush")
    assert told["Url"].endswith("\u4f60.txt")


def test_folders_are_flushed_or_deleted(cos, bucket, cdn, new_domain):
    edge = new_domain(bucket)
    for key in ("d/same", "d/new", "e/other"):
        cos.put_object(Bucket=bucket, Key=key, Body=b"1")
        assert edge.shown(f"/{key}")[1] == "Cache Miss"
    cos.put_object(Bucket=bucket, Key="d/new", Body=b"2")
    cdn.PurgePathCache(Paths=[f"http://{edge.domain}/d/"], FlushType="flush")
    # The first is checked and is what it was; the second is not.
    assert edge.shown("/d/same") == (200, "Cache Hit", "1")
    assert edge.shown("/d/new") == (200, "Cache Miss", "2")
    cdn.PurgePathCache(Paths=[f"http://{edge.domain}/d/"], FlushType="delete")
    assert edge.shown("/d/same") == (200, "Cache Miss", "1")
    assert edge.shown("/e/other") == (200, "Cache Hit", "1")
    assert code(cdn.PurgePathCache, Paths=[f"http://{edge.domain}/d"], FlushType="flush") == "InvalidParameter.CdnParamError"


def test_prefetched_things_are_there(server, cos, bucket, cdn, new_domain):
    edge = new_domain(bucket)
    cos.put_object(Bucket=bucket, Key="p", Body=b"p")
    urls = [f"http://{edge.domain}/p", f"http://{edge.domain}/none"]
    task = cdn.PushUrlsCache(Urls=urls)["TaskId"]
    assert task.isdigit()
    for _ in range(1000):
        logs = {row["Url"]: row["Status"] for row in cdn.DescribePushTasks(TaskId=task)["PushLogs"]}
        if "process" not in logs.values():
            break
    assert logs == {urls[0]: "done", urls[1]: "invalid"}
    assert edge.shown("/p") == (200, "Cache Hit", "p")


@pytest.fixture
def behind():
    """What a bucket fetches from by a rule that stores nothing: each GET of the bucket is one of it."""
    served = Origin()
    yield served
    served.close()


def test_a_hundred_clients_are_one_fetch(cos, bucket, behind, new_domain):
    all_ask = threading.Event()

    def answer(handler):
        assert all_ask.wait(60)
        Origin.answer(handler, 200, {}, b"from the bucket")

    behind.serve("/k", answer)
    cos.put_bucket_acl(Bucket=bucket, ACL="public-read")
    put_rules(cos, bucket, rule(behind, CopyOriginData="false"))
    edge = new_domain(bucket, private=False)
    asking = threading.Semaphore(0)

    def client(_):
        asking.release()
        return edge.shown("/k")

    with concurrent.futures.ThreadPoolExecutor(100) as pool:
        done = [pool.submit(client, number) for number in range(100)]
        for _ in done:
            asking.acquire()
        all_ask.set()
        answers = [one.result() for one in done]
    assert {(status, body) for status, _, body in answers} == {(200, "from the bucket")}
    assert [lookup for _, lookup, _ in answers].count("Cache Miss") == 1
    assert behind.paths() == ["/k"]


def test_a_prefetch_that_was_cut_off_goes_on(tmp_path, behind):
    bucket, asked = "old-1250000000", threading.Event()
    url = "http://img.example.com/k"

    def never(handler):
        asked.set()
        handler.connection.recv(1)

    behind.serve("/k", never)
    with Instance(tmp_path / "data", log=tmp_path / "log") as server:
        cos, cdn = cos_client(server), Cdn(server)
        cos.create_bucket(Bucket=bucket)
        cos.put_bucket_acl(Bucket=bucket, ACL="public-read")
        put_rules(cos, bucket, rule(behind, CopyOriginData="false"))
        origin = {"Origins": [functions.domain(bucket)], "OriginType": "cos"}
        cdn.AddCdnDomain(Domain="img.example.com", ServiceType="web", Origin=origin)
        task = cdn.PushUrlsCache(Urls=[url])["TaskId"]
        assert asked.wait(60)
        assert cdn.DescribePushTasks(TaskId=task)["PushLogs"][0]["Status"] == "process"
        server.kill()
    fetched = threading.Event()

    def answer(handler):
        Origin.answer(handler, 200, {}, b"k")
        fetched.set()

    behind.serve("/k", answer)
    with Instance(tmp_path / "data", log=tmp_path / "log2") as server:
        cdn, edge = Cdn(server), Edge(server, "img.example.com")
        assert fetched.wait(60), "nobody has asked for it since the start"
        # Joins the prefetch if that is not over.
        assert edge.shown("/k") == (200, "Cache Hit", "k")
        assert behind.paths() == ["/k", "/k"]
        for _ in range(1000):
            if cdn.DescribePushTasks(TaskId=task)["PushLogs"][0]["Status"] == "done":
                break
        else:
            pytest.fail("the prefetch has not ended")


def test_parts_conditions_heads_and_ages(server, cos, bucket, new_domain):
    edge = new_domain(bucket)
    cos.put_object(Bucket=bucket, Key="n", Body=b"0123456789", ContentType="text/plain", Metadata={"x-cos-meta-a": "b"})
    head = edge("/n", method="HEAD")
    assert (head.status_code, head.headers["Content-Length"], head.headers["X-Cache-Lookup"]) == (200, "10", "Cache Miss")
    first = edge("/n", Range="bytes=2-3")
    assert (first.status_code, first.text, first.headers["Content-Range"]) == (206, "23", "bytes 2-3/10")
    again = edge("/n", Range="bytes=-1")
    assert (again.status_code, again.text, again.headers["X-Cache-Lookup"]) == (206, "9", "Cache Hit")
    whole = edge("/n")
    assert (whole.headers["x-cos-meta-a"], whole.headers["Content-Type"]) == ("b", "text/plain")
    assert int(whole.headers["Age"]) >= 0
    assert edge("/n", If_None_Match=whole.headers["ETag"]).status_code == 304
    assert edge("/n", Range="bytes=10-").status_code == 416
    head = edge("/n", method="HEAD")
    assert (head.headers["Content-Length"], head.headers["X-Cache-Lookup"], head.text) == ("10", "Cache Hit", "")
    # Asked by the client to look anew: a CDN does not.
    assert edge("/n", Cache_Control="no-cache").headers["X-Cache-Lookup"] == "Cache Hit"
    assert edge("/n", method="PUT").status_code == 405


def test_what_is_not_kept(server, cos, bucket, new_domain):
    edge = new_domain(bucket)
    cos.put_object(Bucket=bucket, Key="no", Body=b"1", CacheControl="no-store")
    cos.put_object(Bucket=bucket, Key="page.php", Body=b"1")
    cos.put_object(Bucket=bucket, Key="large", Body=bytes(17 << 20))
    for path in ("/no", "/page.php", "/large", "/missing"):
        assert [edge(path).headers["X-Cache-Lookup"] for _ in range(2)] == ["Cache Miss"] * 2, path
    part = edge("/large", Range="bytes=5-6")
    assert (part.status_code, part.headers["Content-Length"]) == (206, "2")


def test_the_rules_of_a_domain(cos, bucket, cdn, new_domain):
    simple = {"CacheRules": [{"CacheType": "file", "CacheContents": ["txt"], "CacheTime": 0}], "FollowOrigin": "on"}
    edge = new_domain(bucket, Cache={"SimpleCache": simple}, CacheKey={"FullUrlCache": "off"})
    cos.put_object(Bucket=bucket, Key="a.txt", Body=b"1", CacheControl="max-age=100")
    cos.put_object(Bucket=bucket, Key="a.jpg", Body=b"1", CacheControl="max-age=100")
    cos.put_object(Bucket=bucket, Key="b.jpg", Body=b"1")
    seen = {path: [edge(path).headers["X-Cache-Lookup"][6:] for _ in range(2)] for path in ("/a.txt", "/a.jpg?1", "/b.jpg")}
    assert seen == {"/a.txt": ["Miss", "Miss"], "/a.jpg?1": ["Miss", "Hit"], "/b.jpg": ["Miss", "Miss"]}
    assert edge("/a.jpg?2").headers["X-Cache-Lookup"] == "Cache Hit"
    row = cdn.DescribeDomainsConfig(Filters=[{"Name": "domain", "Value": [edge.domain]}])["Domains"][0]
    assert row["Cache"]["SimpleCache"]["FollowOrigin"] == "on" and row["CacheKey"]["FullUrlCache"] == "off"
    cdn.UpdateDomainConfig(Domain=edge.domain, Cache={"SimpleCache": {"CacheRules": [{"CacheType": "all", "CacheContents": ["*"], "CacheTime": 5}]}})
    assert [edge("/b.jpg").headers["X-Cache-Lookup"] for _ in range(2)] == ["Cache Miss", "Cache Hit"]


def test_private_buckets_are_asked_in_the_owners_name(cos, bucket, new_domain):
    cos.put_object(Bucket=bucket, Key="secret", Body=b"s")
    assert new_domain(bucket, private=False)("/secret").status_code == 403
    edge = new_domain(bucket)
    assert edge("/secret").text == "s"
    # It reads objects and nothing else.
    assert edge("/").status_code == 403
    assert edge("/secret?acl").status_code == 403


def test_the_life_of_a_domain(server, cos, bucket, cdn, new_domain):
    edge = new_domain(bucket, Area="global", ProjectId=7)
    origin = {"Origins": [functions.domain(bucket)], "OriginType": "cos"}
    again = {"Domain": edge.domain, "ServiceType": "web", "Origin": origin}
    row = cdn.DescribeDomains(Filters=[{"Name": "domain", "Value": [edge.domain[:8]], "Fuzzy": True}, {"Name": "status", "Value": ["online"]}])
    names = [row["Domain"] for row in row["Domains"]]
    assert edge.domain in names and row["TotalNumber"] == len(names)
    row = next(one for one in row["Domains"] if one["Domain"] == edge.domain)
    assert (row["Cname"], row["Area"], row["ProjectId"]) == (f"{edge.domain}.cdn.dnsv1.com", "global", 7)
    assert (row["Origin"]["Origins"], row["Origin"]["CosPrivateAccess"]) == ([functions.domain(bucket)], "on")
    assert code(cdn.AddCdnDomain, **again) == "ResourceInUse.CdnHostExists"
    assert code(cdn.DeleteCdnDomain, Domain=edge.domain) == "ResourceUnavailable.CdnHostIsNotOffline"
    assert code(cdn.StartCdnDomain, Domain=edge.domain) == "ResourceUnavailable.CdnHostIsNotOffline"
    cos.put_object(Bucket=bucket, Key="k", Body=b"k")
    assert edge("/k").status_code == 200
    cdn.StopCdnDomain(Domain=edge.domain)
    assert edge("/k").status_code == 404
    assert code(cdn.PushUrlsCache, Urls=[f"http://{edge.domain}/k"]) == "ResourceUnavailable.CdnHostIsNotOnline"
    cdn.StartCdnDomain(Domain=edge.domain)
    assert edge("/k").status_code == 200
    cdn.StopCdnDomain(Domain=edge.domain)
    cdn.DeleteCdnDomain(Domain=edge.domain)
    assert "X-Cache-Lookup" not in edge("/k").headers


@pytest.mark.parametrize(
    "change, want",
    [
        ({"Domain": "photos.cos.ap-guangzhou.myqcloud.com"}, "InvalidParameter.CdnHostInternalHost"),
        ({"Domain": "nodot"}, "InvalidParameter.CdnParamError"),
        ({"Domain": "*.example.com"}, "UnsupportedOperation"),
        ({"ServiceType": "dynamic"}, "UnsupportedOperation"),
        ({"ServiceType": None}, "MissingParameter"),
        ({"Origin": {"Origins": ["1.2.3.4"], "OriginType": "ip"}}, "UnsupportedOperation"),
        ({"Origin": {"Origins": ["example.org"], "OriginType": "cos"}}, "InvalidParameter.CdnConfigInvalidHost"),
        ({"Https": {"Switch": "on"}}, "UnsupportedOperation"),
        ({"Cache": {"RuleCache": [{"RuleType": "all", "RulePaths": ["*"]}]}}, "UnsupportedOperation"),
    ],
)
def test_domains_that_are_refused(cdn, bucket, change, want):
    origin = {"Origins": [functions.domain(bucket)], "OriginType": "cos"}
    asked = {"Domain": "refused.example.com", "ServiceType": "web", "Origin": origin, **change}
    asked = {name: value for name, value in asked.items() if value is not None}
    assert code(cdn.AddCdnDomain, **asked) == want


def test_tasks_are_found_and_bounded(server, bucket, cdn, new_domain):
    edge = new_domain(bucket)
    url = f"http://{edge.domain}/x"
    assert code(cdn.PurgeUrlsCache, Urls=["http://nobody.example.com/x"]) == "ResourceNotFound.CdnHostNotExists"
    assert code(cdn.PurgeUrlsCache, Urls=["http://*.example.com/x"]) == "InvalidParameter.CdnPurgeWildcardNotAllowed"
    assert code(cdn.PurgeUrlsCache, Urls=[edge.domain]) == "InvalidParameter.CdnParamError"
    assert code(cdn.PurgeUrlsCache, Urls=[url] * 1001) == "LimitExceeded.CdnPurgeUrlExceedBatchLimit"
    assert code(cdn.PurgePathCache, Paths=[url + "/"] * 21, FlushType="flush") == "LimitExceeded.CdnPurgePathExceedBatchLimit"
    assert code(cdn.PurgeUrlsCache, Urls=[url], Area="overseas") == "InvalidParameter.CdnParamError"
    assert code(cdn.DescribePurgeTasks) == "InvalidParameter.CdnParamError"
    left = lambda: {row["Area"]: row["Available"] for row in cdn.DescribePurgeQuota()["UrlPurge"]}
    before = left()
    task = cdn.PurgeUrlsCache(Urls=[f"{url}{number}" for number in range(3)])["TaskId"]
    assert left() == {"mainland": before["mainland"] - 3, "overseas": before["overseas"]}
    page = cdn.DescribePurgeTasks(TaskId=task, Offset=1, Limit=1)
    assert (page["TotalCount"], [row["Url"] for row in page["PurgeLogs"]]) == (3, [f"{url}1"])
    span = {"StartTime": "2000-01-01 00:00:00", "EndTime": "2100-01-01 00:00:00"}
    assert cdn.DescribePurgeTasks(**span, Keyword=edge.domain, PurgeType="url")["TotalCount"] == 3
    assert cdn.DescribePurgeTasks(**span, Keyword=f"{url}2")["TotalCount"] == 1
    assert cdn.DescribePurgeTasks(**span, Keyword=edge.domain, Status="fail")["TotalCount"] == 0
    assert code(cdn.DescribeTopData, **{**span, "Metric": "url", "Filter": "flux"}) == "UnsupportedOperation"


def test_tccli(tccli, bucket, new_domain):
    edge = new_domain(bucket)
    tccli.service = "cdn"
    task = tccli("PurgeUrlsCache", Urls=[f"http://{edge.domain}/x"])["TaskId"]
    assert tccli("DescribePurgeTasks", TaskId=task)["PurgeLogs"][0]["Status"] == "done"
    assert tccli("DescribePushQuota")["UrlPush"][0]["Batch"] == 500


def test_https_under_the_domains_own_name(server, cos, bucket, new_domain, tmp_path):
    edge = new_domain(bucket)
    cos.put_object(Bucket=bucket, Key="k", Body=b"k")
    authority = tmp_path / "ca.pem"
    authority.write_bytes(requests.get(f"{server.url}/_cosette/ca", timeout=30).content)
    answer = requests.get(f"https://{edge.domain}/k", proxies={"https": server.url}, verify=str(authority), timeout=30)
    assert (answer.text, answer.headers["X-Cache-Lookup"]) == ("k", "Cache Miss")
    assert edge("/k").headers["X-Cache-Lookup"] == "Cache Hit"


def test_domains_and_records_outlive_the_server_and_things_their_time(tmp_path):
    origin = {"Origins": [functions.domain("old-1250000000")], "OriginType": "cos", "CosPrivateAccess": "on"}
    with Instance(tmp_path / "data", log=tmp_path / "log") as server:
        cos = cos_client(server)
        cos.create_bucket(Bucket="old-1250000000")
        cos.put_object(Bucket="old-1250000000", Key="k", Body=b"1")
        cdn, edge = Cdn(server), Edge(server, "img.example.com")
        cdn.AddCdnDomain(Domain=edge.domain, ServiceType="web", Origin=origin)
        task = cdn.PurgeUrlsCache(Urls=["http://img.example.com/k"])["TaskId"]
        assert [edge.shown("/k")[1] for _ in range(2)] == ["Cache Miss", "Cache Hit"]
        assert server.stop() == 0
    with Instance(tmp_path / "data", log=tmp_path / "log2") as server:
        cos, cdn, edge = cos_client(server), Cdn(server), Edge(server, "img.example.com")
        assert cdn.DescribePurgeTasks(TaskId=task)["TotalCount"] == 1
        assert edge.shown("/k") == (200, "Cache Miss", "1")
        server.admin("POST", "clock", {"advance": "2d"})
        answer = edge("/k")
        assert (answer.headers["X-Cache-Lookup"], int(answer.headers["Age"]) // 86400) == ("Cache Hit", 2)
        # Checked, and what it was: it is young again.
        server.admin("POST", "clock", {"advance": "29d"})
        answer = edge("/k")
        assert (answer.headers["X-Cache-Lookup"], int(answer.headers["Age"]) // 86400) == ("Cache Hit", 0)
        cos.put_object(Bucket="old-1250000000", Key="k", Body=b"2")
        server.admin("POST", "clock", {"advance": "31d"})
        assert edge.shown("/k") == (200, "Cache Miss", "2")
        assert cdn.DescribePurgeTasks(TaskId=task)["TotalCount"] == 0
