"""Origins that fail, stand by, break off or lead in a circle; and what becomes of half an object."""

import concurrent.futures
import os
import ssl
import threading

import pytest

from support import raw
from support.clients import cos_client
from support.instance import ROOT, Instance, cosette
from support.origin import Origin, error, put_rules, read, rule

MIB = 1 << 20


def test_what_origins_answer(server, cos, bucket, origin):
    origin.serve("/moved", b"", 302, Location="/there%20is?x=1")
    origin.serve("/there is", b"moved")
    origin.serve("/there%20is", b"moved")
    origin.serve("/stop/moved", b"", 302, Location="http://elsewhere.example.com/x")
    origin.serve("/circle", b"", 301, Location="circle")
    for path in ["/broken", "/clear/broken"]:
        origin.serve(path, b"secret words", 500)
    for path in ["/denied", "/clear/denied"]:
        origin.serve(path, b"secret words", 403)
    origin.serve("/part", b"p", 206, Content_Range="bytes 0-0/9")
    put_rules(
        cos,
        bucket,
        rule(origin, priority=1, condition={"Prefix": "clear/"}, TransparentErrorCode="true"),
        rule(origin, priority=2, condition={"Prefix": "stop/"}, FollowRedirection="false"),
        rule("169.254.169.254", priority=3, condition={"Prefix": "machine/"}),
        rule("127.0.0.1:1", priority=4, condition={"Prefix": "nobody/"}),
        rule(origin, priority=9),
    )
    get = cos.get_object
    assert read(cos, bucket, "moved") == b"moved"
    assert origin.paths() == ["/moved", "/there%20is?x=1"]
    got = raw.cos(server, "GET", bucket, "stop/moved")
    assert (got.status, got.header("location")) == (302, "http://elsewhere.example.com/x")
    assert error(get, Bucket=bucket, Key="missing") == (404, "NoSuchKey")
    for key, wanted in [
        ("broken", 424),
        ("denied", 424),
        ("part", 424),
        ("circle", 424),
        ("nobody/k", 424),
        ("clear/broken", 500),
        ("clear/denied", 403),
    ]:
        assert error(get, Bucket=bucket, Key=key) == (wanted, "FailedDependency"), key
    refused = raw.cos(server, "GET", bucket, "machine/k")
    assert refused.status == 424 and "169.254.169.254" in refused.xml().findtext("Message")
    assert [row["Key"] for row in cos.list_objects(Bucket=bucket)["Contents"]] == ["moved"]


def test_the_admin_api_is_no_origin(server, cos, bucket, origin):
    """It answers who is on this machine; by an origin it would answer whoever may read the bucket."""
    own = server.url.removeprefix("http://")
    put_rules(cos, bucket, rule(own, priority=1, condition={"Prefix": "_cosette/"}), rule(origin, priority=2))
    assert error(cos.get_object, Bucket=bucket, Key="_cosette/deliveries") == (424, "FailedDependency")
    origin.serve("/led", b"", 302, Location=f"{server.url}/_cosette/deliveries")
    assert error(cos.get_object, Bucket=bucket, Key="led") == (424, "FailedDependency")


def test_hosts_that_stand_by(cos, bucket, origin):
    broken, denied = Origin(), Origin()
    for key in "ab":
        broken.serve(f"/{key}", b"", 503)
        denied.serve(f"/{key}", b"", 403)
        origin.serve(f"/{key}", key.encode())
    standby = ["127.0.0.1:1", broken.host, denied.host, origin.host]
    put_rules(
        cos,
        bucket,
        rule(broken, priority=1, condition={"Prefix": "a"}, standby=standby, codes=["403"]),
        rule(broken, priority=2, condition={"Prefix": "b"}, standby=standby),
    )
    assert read(cos, bucket, "a") == b"a"
    assert error(cos.get_object, Bucket=bucket, Key="b") == (424, "FailedDependency")
    assert [len(one.asked) for one in (broken, denied, origin)] == [4, 2, 1]
    broken.close()
    denied.close()


def test_hosts_by_weight(cos, bucket):
    origins = [Origin(), Origin()]
    for one in origins:
        for number in range(8):
            one.serve(f"/{number}", b"x")
    made = rule(origins[0])
    hosts = [{"HostName": one.host, "Weight": str(weight)} for one, weight in zip(origins, (3, 1), strict=True)]
    made["OriginInfo"]["HostInfo"] = hosts
    put_rules(cos, bucket, made)
    for number in range(8):
        assert read(cos, bucket, str(number)) == b"x"
    assert [len(one.asked) for one in origins] == [6, 2]
    for one in origins:
        one.close()


@pytest.mark.parametrize("chunked", [False, True])
def test_half_an_object_is_never_stored(server, cos, bucket, origin, chunked):
    body = os.urandom(3 * MIB)

    def half(handler):
        handler.send_response(200)
        if chunked:
            handler.send_header("Transfer-Encoding", "chunked")
        else:
            handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write((f"{len(body):x}\r\n".encode() if chunked else b"") + body[: 2 * MIB])
        handler.close_connection = True

    origin.serve("/k", half)
    put_rules(cos, bucket, rule(origin))
    head = server.head()
    with pytest.raises(Exception) as broken:
        read(cos, bucket, "k")
    assert not isinstance(broken.value, AssertionError)
    assert error(cos.head_object, Bucket=bucket, Key="k")[0] == 404
    assert server.changes(head, bucket) == []
    origin.serve("/k", body)
    assert read(cos, bucket, "k") == body


def test_who_writes_meanwhile_wins(server, cos, bucket, origin):
    asked, go_on = threading.Event(), threading.Event()

    def answer(handler):
        asked.set()
        assert go_on.wait(60)
        Origin.answer(handler, 200, {}, b"old")

    origin.serve("/k", answer)
    put_rules(cos, bucket, rule(origin))
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        got = pool.submit(read, cos, bucket, "k")
        assert asked.wait(60)
        cos.put_object(Bucket=bucket, Key="k", Body=b"new")
        go_on.set()
        assert got.result() == b"new"
    assert read(cos, bucket, "k") == b"new"


def test_versions(cos, s3, bucket, origin):
    origin.serve("/k", b"k")
    put_rules(cos, bucket, rule(origin))
    cos.put_bucket_versioning(Bucket=bucket, Status="Enabled")
    first = cos.get_object(Bucket=bucket, Key="k")["x-cos-version-id"]
    assert first
    cos.delete_object(Bucket=bucket, Key="k")
    assert error(cos.get_object, Bucket=bucket, Key="k", VersionId="a" * 20)[0] == 404
    assert len(origin.asked) == 1, "a version is here or nowhere"
    assert read(cos, bucket, "k") == b"k"
    versions = s3.list_object_versions(Bucket=bucket)
    assert len(versions["Versions"]) == 2 and len(versions["DeleteMarkers"]) == 1
    assert len(origin.asked) == 2


def test_a_bucket_can_be_the_origin_of_another(server, cos, bucket, new_bucket, origin):
    middle = new_bucket("middle")
    cos.create_bucket(Bucket=middle, ACL="public-read")
    origin.serve("/k", b"k")
    put_rules(cos, middle, rule(origin))
    put_rules(cos, bucket, rule(server.host, file={"Prefix": middle}))
    assert read(cos, bucket, "k") == b"k"
    assert read(cos, middle, "k") == b"k"
    assert origin.paths() == ["/k"]


def test_a_bucket_that_is_its_own_origin_has_nothing(server, cos, bucket):
    cos.put_bucket_acl(Bucket=bucket, ACL="public-read")
    put_rules(cos, bucket, rule(server.host, file={"Prefix": bucket}))
    assert error(cos.get_object, Bucket=bucket, Key="k") == (404, "NoSuchKey")
    got = raw.cos(server, "GET", bucket, "k", headers={"Range": "bytes=0-1"})
    assert got.status == 404
    put_rules(cos, bucket, rule(server.host, file={"Prefix": bucket + "/deeper"}))
    assert error(cos.get_object, Bucket=bucket, Key="k") == (404, "NoSuchKey")


def test_an_origin_that_is_only_asked(cos, bucket, origin):
    origin.serve("/k", b"k")
    put_rules(cos, bucket, rule(origin, CopyOriginData="false"))
    assert read(cos, bucket, "k") + read(cos, bucket, "k") == b"kk"
    assert error(cos.head_object, Bucket=bucket, Key="k")[0] == 404
    assert len(origin.asked) == 2


def test_rules_end_with_their_removal(cos, bucket, origin):
    origin.serve("/k", b"k")
    put_rules(cos, bucket, rule(origin))
    cos.delete_bucket_origin(Bucket=bucket)
    assert error(cos.get_object, Bucket=bucket, Key="k") == (404, "NoSuchKey")
    bad = rule(origin)
    bad["OriginCondition"]["FilterHost"] = {"ForbidHost": {"DomainList": {"Domain": "a"}}}
    assert error(put_rules, cos, bucket, bad) == (501, "NotImplemented")


def test_who_may_not_read_makes_nobody_fetch(server, cos, bucket, origin):
    origin.serve("/k", b"k")
    put_rules(cos, bucket, rule(origin))
    host = {"Host": f"{bucket}.cos.ap-guangzhou.myqcloud.com"}
    assert raw.send(server, "GET", "/k", host).status == 403
    assert origin.asked == []


def test_an_origin_that_does_not_answer(origin):
    stay = threading.Event()
    body = os.urandom(3 * MIB)

    def paused(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body[: 2 * MIB])
        stay.wait(60)

    origin.serve("/silent", lambda _: stay.wait(60))
    origin.serve("/paused", paused)
    with Instance(None, "--origin-timeout", "200ms") as server:
        cos = cos_client(server)
        bucket = f"slow-{server.appid}"
        cos.create_bucket(Bucket=bucket)
        put_rules(cos, bucket, rule(origin))
        assert error(cos.get_object, Bucket=bucket, Key="silent") == (424, "FailedDependency")
        with pytest.raises(Exception) as broken:
            read(cos, bucket, "paused")
        assert not isinstance(broken.value, AssertionError)
        assert error(cos.head_object, Bucket=bucket, Key="paused")[0] == 404
        stay.set()


def test_a_kill_leaves_nothing_half(tmp_path, origin):
    body, sent, stay = os.urandom(24 * MIB), threading.Event(), threading.Event()

    def paused(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body[: 20 * MIB])
        sent.set()
        stay.wait(60)

    origin.serve("/k", paused)
    with Instance(tmp_path / "data") as server:
        cos = cos_client(server)
        bucket = f"killed-{server.appid}"
        cos.create_bucket(Bucket=bucket)
        put_rules(cos, bucket, rule(origin))
        stream = cos.get_object(Bucket=bucket, Key="k")["Body"].get_raw_stream()
        assert stream.read(MIB) == body[:MIB]
        assert sent.wait(60)
        server.kill()
        stay.set()
    origin.serve("/k", body)
    with Instance(tmp_path / "data") as server:
        cos = cos_client(server)
        assert error(cos.head_object, Bucket=bucket, Key="k")[0] == 404
        assert read(cos, bucket, "k") == body
        created = [c["kind"] for c in server.changes(bucket=bucket) if "Created:" in c["kind"]]
        assert created == ["cos:ObjectCreated:Origin"]
        assert server.stop() == 0
    assert cosette("verify", tmp_path / "data").returncode == 0


def test_https(tmp_path, origin):
    """With a certificate of one's own authority, which the environment names."""
    here = ROOT / "crates/outgoing/src/tests"
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(here / "server.pem", here / "server.key")
    secure = Origin(wrap=lambda socket: context.wrap_socket(socket, server_side=True))
    secure.serve("/k", b"by tls")
    for trusted, wanted in [(here / "ca.pem", b"by tls"), (None, (424, "FailedDependency"))]:
        env = {"SSL_CERT_FILE": trusted} if trusted else {}
        with Instance(None, env=env) as server:
            cos = cos_client(server)
            bucket = f"secure-{server.appid}"
            cos.create_bucket(Bucket=bucket)
            put_rules(cos, bucket, rule(secure, Protocol="HTTPS"))
            if trusted:
                assert read(cos, bucket, "k") == wanted
            else:
                assert error(cos.get_object, Bucket=bucket, Key="k") == wanted
    secure.close()
