"""Objects that are at an origin: fetched, stored and streamed at once, or sent there."""

import concurrent.futures
import os
import threading

import pytest

from support import raw
from support.origin import Origin, error, put_rules, read, rule

MIB = 1 << 20


def test_a_missing_object_is_fetched_and_stays(cos, s3, bucket, origin):
    headers = {"Content_Type": "text/x-own", "Cache_Control": "max-age=5", "Expires": "0", "Content_Disposition": "inline"}
    origin.serve("/dir/%E7%85%A7%20a.txt", b"from the origin", **headers, x_cos_meta_colour="blue", x_other="no")
    put_rules(cos, bucket, rule(origin))
    key = "dir/照 a.txt"
    assert error(cos.head_object, Bucket=bucket, Key=key)[0] == 404, "a HEAD fetches nothing"
    assert origin.asked == []
    got = cos.get_object(Bucket=bucket, Key=key)
    assert b"".join(got["Body"].get_stream()) == b"from the origin"
    for name, value in [*((n.replace("_", "-"), v) for n, v in headers.items()), ("x-cos-meta-colour", "blue")]:
        assert got[name] == value
    assert got["ETag"] == f'"{raw.md5(b"from the origin")}"'
    assert read(cos, bucket, key) == b"from the origin"
    assert s3.head_object(Bucket=bucket, Key=key)["ContentType"] == "text/x-own"
    assert origin.paths() == ["/dir/%E7%85%A7%20a.txt"]
    assert "x-other" not in cos.head_object(Bucket=bucket, Key=key)


@pytest.mark.parametrize("sdk", ["cos-nodejs-sdk-v5", "cos-nodejs-sdk-v5-2"])
def test_node_reads_through(server, cos, bucket, origin, node, sdk):
    origin.serve("/k", b"from the origin", Content_Type="text/x-own")
    told = {
        "sdk": sdk,
        "way": "proxy",
        "server": server.host,
        "proxy": server.url,
        "id": server.secret_id,
        "key": server.secret_key,
        "bucket": bucket,
        "origin": origin.host,
    }
    done = node("origin.cjs", told)
    assert done == {"bodies": ["from the origin"] * 2, "type": "text/x-own", "missing": [404, "NoSuchKey"]}
    assert origin.paths() == ["/k", "/missing"]


def test_a_large_object_streams_while_it_is_stored(cos, bucket, origin):
    body = os.urandom(24 * MIB)
    seen = threading.Event()

    def slowly(handler):
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        for at in range(0, len(body), MIB):
            piece = body[at : at + MIB]
            handler.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
            if at == 8 * MIB:
                assert seen.wait(60), "the client has not seen the beginning while the end was still to come"
        handler.wfile.write(b"0\r\n\r\n")

    origin.serve("/big", slowly)
    put_rules(cos, bucket, rule(origin))
    stream = cos.get_object(Bucket=bucket, Key="big")["Body"].get_raw_stream()
    got = stream.read(MIB)
    assert got == body[:MIB]
    assert error(cos.head_object, Bucket=bucket, Key="big")[0] == 404
    seen.set()
    while piece := stream.read(MIB):
        got += piece
    assert got == body
    assert cos.head_object(Bucket=bucket, Key="big")["ETag"] == f'"{raw.md5(body)}"', "stored by the time it has ended"
    assert read(cos, bucket, "big") == body
    assert origin.paths() == ["/big"]


@pytest.mark.parametrize("size", [10, 6 * MIB])
def test_a_hundred_clients_are_one_fetch(server, cos, bucket, origin, size):
    body, all_ask = os.urandom(size), threading.Event()

    def answer(handler):
        assert all_ask.wait(60)
        Origin.answer(handler, 200, {}, body)

    origin.serve("/k", answer)
    put_rules(cos, bucket, rule(origin))
    waiting = threading.Semaphore(0)

    def client(_):
        waiting.release()
        return raw.cos(server, "GET", bucket, "k").body == body

    with concurrent.futures.ThreadPoolExecutor(100) as pool:
        done = [pool.submit(client, number) for number in range(100)]
        for _ in done:
            waiting.acquire()
        all_ask.set()
        assert all(one.result() for one in done)
    assert origin.paths() == ["/k"]
    created = [c for c in server.changes(bucket=bucket) if c["kind"].startswith("cos:ObjectCreated")]
    assert [change["kind"] for change in created] == ["cos:ObjectCreated:Origin"]


def test_a_slow_client_holds_nobody_up(server, cos, bucket, origin):
    body = os.urandom(32 * MIB)
    origin.serve("/k", body)
    put_rules(cos, bucket, rule(origin))
    slow = cos.get_object(Bucket=bucket, Key="k")["Body"].get_raw_stream()
    assert read(cos, bucket, "k") == body
    assert cos.head_object(Bucket=bucket, Key="k")["ETag"] == f'"{raw.md5(body)}"'
    got = b""
    while piece := slow.read(MIB):
        got += piece
    assert got == body
    assert origin.paths() == ["/k"]


def test_a_client_that_leaves_takes_nothing_with_it(server, cos, bucket, origin):
    body, gone = os.urandom(4 * MIB), threading.Event()

    def answer(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body[:MIB])
        assert gone.wait(60)
        handler.wfile.write(body[MIB:])

    origin.serve("/k", answer)
    put_rules(cos, bucket, rule(origin))
    leaving = cos.get_object(Bucket=bucket, Key="k")["Body"].get_raw_stream()
    leaving.read(1)
    leaving.close()
    gone.set()
    assert read(cos, bucket, "k") == body
    assert origin.paths() == ["/k"]


def test_a_part_is_passed_on_and_the_whole_is_stored(server, cos, bucket, origin):
    def answer(handler):
        whole = b"0123456789"
        if "Range" not in handler.headers:
            return Origin.answer(handler, 200, {"Content-Type": "text/x-own"}, whole)
        assert handler.headers["Range"] == "bytes=2-4"
        Origin.answer(handler, 206, {"Content-Range": "bytes 2-4/10", "Content-Type": "text/x-own"}, whole[2:5])

    origin.serve("/k", answer)
    put_rules(cos, bucket, rule(origin))
    got = raw.cos(server, "GET", bucket, "k", headers={"Range": "bytes=2-4"})
    assert (got.status, got.body, got.header("content-range")) == (206, b"234", "bytes 2-4/10")
    assert read(cos, bucket, "k") == b"0123456789"
    assert sorted("range" in asked.headers for asked in origin.asked) == [False, True]


def test_conditions_are_decided_on_what_is_stored(server, cos, bucket, origin):
    origin.serve("/a", b"a")
    origin.serve("/b", b"b")
    put_rules(cos, bucket, rule(origin))
    assert raw.cos(server, "GET", bucket, "a", headers={"If-Match": '"no"'}).status == 412
    assert raw.cos(server, "GET", bucket, "b", headers={"If-None-Match": f'"{raw.md5(b"b")}"'}).status == 304
    assert read(cos, bucket, "a") + read(cos, bucket, "b") == b"ab"
    assert origin.paths() == ["/a", "/b"]
    assert "if-match" not in origin.asked[0].headers


def test_which_rule_and_which_path(server, cos, bucket, origin, new_bucket):
    for path in ["/first/x/k", "/second/y/k.jpg", "/third/z/k.png.bak", "/fixed"]:
        origin.serve(path, path.encode())
    prefix, suffix = (lambda text: {"PrefixConfiguration": {"Prefix": text}}), (lambda text: {"Suffix": text})
    put_rules(
        cos,
        bucket,
        rule(origin, priority=9, file={"FixedFileConfiguration": {"FixedFilePath": "/fixed"}}, condition={"Prefix": "f"}),
        rule(origin, priority=5, file=prefix("second"), condition={"Prefix": "y/"}),
        rule(origin, priority=1, file=prefix("first"), condition={"Prefix": "x/"}),
        rule(origin, priority=7, file={"Prefix": "third/", "Suffix": ".bak"}, condition=suffix(".png")),
        rule(origin, priority=8, file=prefix("never"), condition={"Prefix": "x/"}),
    )
    assert read(cos, bucket, "x/k") == b"/first/x/k"
    assert read(cos, bucket, "y/k.jpg") == b"/second/y/k.jpg"
    assert read(cos, bucket, "z/k.png") == b"/third/z/k.png.bak"
    assert read(cos, bucket, "for all") == b"/fixed"
    assert error(cos.get_object, Bucket=bucket, Key="other") == (404, "NoSuchKey")
    kept = sorted(row["Key"] for row in cos.list_objects(Bucket=bucket)["Contents"])
    assert kept == ["for all", "x/k", "y/k.jpg", "z/k.png"], "under the keys that were asked for"
    assert len(origin.asked) == 4


def test_headers_and_query(server, cos, bucket, origin):
    for key in "abcd":
        origin.serve(f"/{key}", key.encode())
    listed = {
        "FollowHttpHeaders": {"Header": [{"Key": "X-Tenant"}, {"Key": "X-Secret"}, {"Key": "Accept-Encoding"}]},
        "ForbidFollowHeaders": {"Header": [{"Key": "x-secret"}]},
        "NewHttpHeaders": {"Header": [{"Key": "X-Added", "Value": "by the rule"}]},
    }
    everything = {"FollowAllHeaders": "true", "ForbidFollowHeaders": {"Header": [{"Key": "x-secret"}]}}
    put_rules(
        cos,
        bucket,
        rule(origin, priority=1, condition={"Prefix": "a"}),
        rule(origin, priority=2, condition={"Prefix": "b"}, HttpHeader=listed, FollowQueryString="true"),
        rule(origin, priority=3, condition={"Prefix": "c"}, HttpHeader=everything, FollowQueryString="false"),
    )
    sent = {"X-Tenant": "7", "X-Secret": "s", "X-Other": "o", "Accept-Encoding": "gzip", "Cookie": "c=1"}
    for key in "abc":
        query = [("v", "1 2"), ("flag", ""), ("response-content-type", "text/x-asked")]
        got = raw.cos(server, "GET", bucket, key, query=query, headers=sent)
        assert (got.status, got.body, got.header("content-type")) == (200, key.encode(), "text/x-asked")
    a, b, c = origin.asked
    query = "?v=1%202&flag&response-content-type=text%2Fx-asked"
    assert [asked.path for asked in (a, b, c)] == ["/a" + query, "/b" + query, "/c"]
    named = ["x-tenant", "x-secret", "x-other", "x-added", "accept-encoding", "cookie"]
    assert [a.headers.get(name) for name in named] == [None] * 6
    assert [b.headers.get(name) for name in named] == ["7", None, None, "by the rule", "gzip", None]
    assert [c.headers.get(name) for name in named] == ["7", None, "o", None, None, "c=1"]
    assert all("authorization" not in asked.headers for asked in (a, b, c))
    assert all(asked.headers["host"] == origin.host for asked in (a, b, c))
    presigned = cos.get_presigned_url(Bucket=bucket, Key="b2", Method="GET", Params={"w": "3"})
    assert raw.send(server, "GET", presigned.partition(".com")[2], {"Host": f"{bucket}.cos.ap-guangzhou.myqcloud.com"}).status == 404
    assert origin.asked[-1].path == "/b2?w=3", "what signs it stays here"


def test_redirected(server, cos, bucket, origin):
    put_rules(
        cos,
        bucket,
        rule("a.example.com:8080", "Redirect", {"Prefix": "found"}, 1, HttpRedirectCode="301"),
        rule("b.example.com", "Redirect", {"Prefix": "bare"}, 2, {"Prefix": "old"}, FollowQueryString="false"),
        rule("c.example.com", "Redirect", {"HTTPStatusCode": "403"}, 3, Protocol="HTTPS"),
    )
    for key, location, status in [
        ("found 1", "http://a.example.com:8080/found%201?x=1", 301),
        ("bare", "http://b.example.com/old/bare", 302),
    ]:
        for method in ["GET", "HEAD"]:
            got = raw.cos(server, method, bucket, key, query=[("x", "1")])
            assert (got.status, got.header("location")) == (status, location)
    cos.put_object(Bucket=bucket, Key="secret", Body=b"s")
    host = {"Host": f"{bucket}.cos.ap-guangzhou.myqcloud.com"}
    got = raw.send(server, "GET", "/secret", host)
    assert (got.status, got.header("location")) == (302, "https://c.example.com/secret")
    assert read(cos, bucket, "secret") == b"s"
    assert raw.cos(server, "GET", bucket, "other").status == 404
    assert [row["Key"] for row in cos.list_objects(Bucket=bucket)["Contents"]] == ["secret"]


def test_the_client_is_sent_on_and_the_object_follows(server, cos, bucket, origin):
    ask, body = threading.Event(), os.urandom(3 * MIB)

    def answer(handler):
        assert ask.wait(60)
        Origin.answer(handler, 200, {}, body)

    origin.serve("/k", answer)
    put_rules(cos, bucket, rule(origin, "Proxy", HttpRedirectCode="307"))
    head = server.head()
    for _ in range(3):
        got = raw.cos(server, "GET", bucket, "k")
        assert (got.status, got.header("location")) == (307, f"http://{origin.host}/k")
    ask.set()
    while raw.cos(server, "GET", bucket, "k").status == 307:
        pass
    assert read(cos, bucket, "k") == body
    assert origin.paths() == ["/k"]
    assert [c["kind"] for c in server.changes(head, bucket)] == ["cos:ObjectCreated:Origin"]
