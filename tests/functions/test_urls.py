"""Function URLs: their triggers, who may ask, what browsers are told, and functions that take events behind them."""

import base64
import hashlib
import hmac
import http.client
import json
import time

import pytest
from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException

from support import functions, web
from support.functions import call

ECHO = """
import json

def main_handler(event, context):
    print("EVENT", json.dumps(event))
    answer = event["queryString"].get("answer")
    return json.loads(answer) if answer else event
"""


@pytest.fixture
def echo(scf, server, new_function):
    """A function that answers with the event, or with what the event says."""
    name = new_function()
    functions.deploy(scf, name, {"index.py": ECHO})
    return name


def ask_of(server, scf, name, **more):
    return web.Url(server, web.url(scf, name, **more))


def test_the_test_event_is_what_the_url_sends(server, scf, echo):
    printed = server.cli("function", "test", echo, "--template", "http", "--print").stdout
    host = web.url(scf, echo)["TriggerDesc"]["NetConfig"]["ExtranetUrl"].removeprefix("https://").rstrip("/")
    sent = {"accept": "*/*", "content-type": "application/json", "user-agent": "cosette"}
    asking = http.client.HTTPConnection(server.host, timeout=30)
    asking.putrequest("POST", "/test/value?foo=bar", skip_host=True, skip_accept_encoding=True)
    for name, value in {**sent, "host": host, "content-length": "15"}.items():
        asking.putheader(name, value)
    asking.endheaders(b'{"test":"body"}')
    real = json.loads(asking.getresponse().read())
    assert (real["headers"].pop("host"), real["headers"].pop("content-length")) == (host, "15")
    made = json.loads(printed)
    assert made["headers"].pop("host") == "127.0.0.1"
    assert made == real


def test_the_trigger(scf, server, tccli, echo):
    settings = {"AuthType": "NONE", "NetConfig": {"EnableIntranet": False, "EnableExtranet": True}}
    more = {"FunctionName": echo, "Type": "http", "TriggerName": "page"}
    made = tccli("CreateTrigger", TriggerDesc=json.dumps(settings), Qualifier="$DEFAULT", **more)["TriggerInfo"]
    desc = json.loads(made["TriggerDesc"])
    host = desc["NetConfig"].pop("ExtranetUrl").removeprefix("https://")
    first, rest = host.split(".", 1)
    appid, id = first.split("-")
    assert (appid, rest) == (server.appid, f"{server.region}.tencentscf.com")
    assert (len(id), desc) == (10, settings)
    assert (made["Type"], made["TriggerName"], made["Enable"], made["Qualifier"]) == ("http", "page", 1, "$DEFAULT")
    listed = tccli("ListTriggers", FunctionName=echo)["Triggers"]
    assert [t["TriggerName"] for t in listed] == ["page"]
    assert call(scf, "GetFunction", FunctionName=echo)["Triggers"][0]["Type"] == "http"
    # A qualifier has one.
    again = tccli.run("CreateTrigger", TriggerDesc=json.dumps(settings), Qualifier="$DEFAULT", **more)
    assert "ResourceInUse.Trigger" in again.stdout + again.stderr
    session = web.open_session()
    ask = lambda: session.get(server.url, headers={"Host": host}).status_code
    assert ask() == 200
    # By the name inside of the cloud it is closed.
    inside = host.replace(f".{server.region}.", f".in.{server.region}.")
    assert session.get(server.url, headers={"Host": inside}).status_code == 403
    tccli("UpdateTriggerStatus", Enable="CLOSE", TriggerDesc=json.dumps(settings), **more)
    assert ask() == 403
    tccli("UpdateTrigger", Enable="OPEN", TriggerDesc=json.dumps({"AuthType": "CAM"}), **more)
    desc = json.loads(tccli("ListTriggers", FunctionName=echo)["Triggers"][0]["TriggerDesc"])
    assert (desc["AuthType"], desc["NetConfig"]["EnableExtranet"]) == ("CAM", True)
    assert ask() == 401
    # A TriggerDesc that is not its own means none.
    for other, code in [
        (json.dumps(settings), "ResourceNotFound.Trigger"),
        ('{"Auth":"CAM"}', "InvalidParameterValue.TriggerDesc"),
    ]:
        assert code in (done := tccli.run("DeleteTrigger", TriggerDesc=other, **more)).stdout + done.stderr
    assert ask() == 401
    tccli("DeleteTrigger", TriggerDesc=json.dumps(desc), **more)
    assert ask() == 404
    gone = tccli.run("DeleteTrigger", **more)
    assert "ResourceNotFound.Trigger" in gone.stdout + gone.stderr


def test_an_event_of_a_request(scf, server, echo):
    ask = ask_of(server, scf, echo)
    answer = ask("POST", "/a%20b?x=1&y=%C3%BC&x=2", data='{"test":"hello"}', headers={"X-Mine": "kept"})
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/json")
    event = answer.json()
    headers = event.pop("headers")
    assert event == {
        "body": '{"test":"hello"}',
        "httpMethod": "POST",
        "path": "/a b",
        "queryString": {"x": "1,2", "y": "ü"},
    }
    assert (headers["host"], headers["x-mine"], headers["x-scf-remote-addr"]) == (ask.host, "kept", "127.0.0.1")
    binary = ask("POST", "/", data=b"\xff\x00").json()
    assert (binary["isBase64Encoded"], base64.b64decode(binary["body"])) == (True, b"\xff\x00")
    entry = web.finished(scf, echo)[0]
    assert entry["RequestId"] == answer.headers["X-Scf-Request-Id"]
    assert server.invocations(echo)[0]["source"] == "HTTP"


def test_a_result_that_is_a_response(scf, server, echo):
    ask = ask_of(server, scf, echo)
    say = lambda **response: ask("GET", "/", params={"answer": json.dumps(response)})
    page = say(statusCode=201, headers={"Content-Type": "text/html; charset=utf-8", "X-Own": "1"}, body="<b>ü</b>")
    assert (page.status_code, page.headers["Content-Type"], page.text) == (201, "text/html; charset=utf-8", "<b>ü</b>")
    assert page.headers["X-Own"] == "1"
    picture = say(statusCode=200, body=base64.b64encode(b"\x89PNG").decode(), isBase64Encoded=True)
    assert picture.content == b"\x89PNG"
    cookies = say(statusCode=200, multiValueHeaders={"Set-Cookie": ["a=1", "b=2"]})
    assert (cookies.cookies.get_dict(), cookies.content) == ({"a": "1", "b": "2"}, b"")
    wrong = say(statusCode=200, body={"not": "a string"})
    assert wrong.status_code == 403
    assert wrong.json()["errorMessage"].startswith("Invalid scf response format")


def test_failures_have_their_status(scf, server, new_function):
    name = new_function()
    code = "import time\ndef main_handler(event, context):\n    if 'slow' in event['path']: time.sleep(60)\n    1 / 0\n"
    functions.deploy(scf, name, {"index.py": code}, Timeout=1)
    ask = ask_of(server, scf, name)
    raised = ask("GET", "/")
    assert (raised.status_code, raised.json()["statusCode"]) == (430, 430)
    assert "ZeroDivisionError" in raised.json()["stackTrace"]
    assert ask("GET", "/slow").status_code == 433
    call(scf, "PutReservedConcurrencyConfig", FunctionName=name, ReservedConcurrencyMem=0)
    assert ask("GET", "/").status_code == 432


def signed(server, host, body, **more):
    """Headers as the service's examples sign them: TC3 over content type, host and UIN."""
    now = int(time.time())
    date = time.strftime("%Y-%m-%d", time.gmtime(now))
    headers = {"content-type": "application/json", "host": host, "x-scf-cam-uin": server.uin}
    names = ";".join(headers)
    lines = "".join(f"{name}:{value}\n" for name, value in headers.items())
    canonical = f"POST\n/\n\n{lines}\n{names}\n{hashlib.sha256(body).hexdigest()}"
    scope = f"{date}/scf/tc3_request"
    text = f"TC3-HMAC-SHA256\n{now}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    key = b"TC3" + more.get("key", server.secret_key).encode()
    for part in (date, "scf", "tc3_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    signature = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
    credential = f"{more.get('id', server.secret_id)}/{scope}"
    return {
        **headers,
        "X-Scf-Cam-Timestamp": str(now),
        "Authorization": f"TC3-HMAC-SHA256 Credential={credential}, SignedHeaders={names}, Signature={signature}",
    }


def test_signed_requests(scf, server, echo):
    ask = ask_of(server, scf, echo, auth="CAM")
    body = b'{"a": 1}'
    assert ask("POST", "/", data=body, headers=signed(server, ask.host, body)).json()["body"] == body.decode()
    for data, headers in (
        (body, {}),
        (b'{"a": 2}', signed(server, ask.host, body)),
        (body, signed(server, ask.host, body, key="wrong")),
        (body, signed(server, ask.host, body, id="nobody")),
    ):
        refused = ask("POST", "/", data=data, headers=headers)
        assert (refused.status_code, refused.json()["errorMessage"].split(".")[0]) == (401, "AuthFailure")


def test_what_browsers_are_told(scf, server, echo):
    cors = {
        "Enable": True,
        "Origins": ["https://page.example"],
        "Methods": ["POST", "PATCH"],
        "Headers": ["content-type"],
        "ExposeHeaders": ["x-own"],
        "MaxAge": 10,
        "Credentials": True,
    }
    ask = ask_of(server, scf, echo, settings={"CorsConfig": cors})
    allow = lambda answer: {
        name.lower().removeprefix("access-control-"): value
        for name, value in answer.headers.items()
        if name.lower().startswith("access-control-")
    }
    asked = {"Origin": "https://page.example", "Access-Control-Request-Method": "PATCH"}
    preflight = ask("OPTIONS", "/", headers=asked)
    common = {"allow-origin": "https://page.example", "allow-credentials": "true", "expose-headers": "x-own"}
    assert preflight.status_code == 204
    assert allow(preflight) == {
        **common,
        "allow-methods": "POST,PATCH",
        "allow-headers": "content-type",
        "max-age": "10",
    }
    assert server.invocations(echo) == [], "the function is not asked"
    assert allow(ask("POST", "/", headers={"Origin": "https://page.example"})) == common
    assert allow(ask("POST", "/", headers={"Origin": "https://other.example"})) == {}


def test_a_function_calls_another_by_its_url(scf, server, echo, new_function):
    ask = ask_of(server, scf, echo)
    name = new_function()
    code = f"""
import urllib.request

def main_handler(event, context):
    with urllib.request.urlopen("https://{ask.host}/from-a-function") as answer:
        return answer.status
"""
    functions.deploy(scf, name, {"index.py": code}, Timeout=30)
    result = call(scf, "Invoke", FunctionName=name)["Result"]
    assert (result["InvokeResult"], result["RetMsg"]) == (0, "200")
    called = server.invocations(echo)[0]
    assert called["by"] == result["FunctionRequestId"]


def test_a_function_that_runs_asynchronously_is_not_waited_for(scf, server, new_function):
    name = new_function()
    functions.deploy(scf, name, {"index.py": ECHO}, AsyncRunEnable="TRUE")
    ask = ask_of(server, scf, name)
    answer = ask("POST", "/later", data="words")
    assert (answer.status_code, answer.content) == (200, b"")
    id = answer.headers["X-Scf-Request-Id"]
    server.wait(id)
    (entry,) = call(scf, "GetFunctionLogs", FunctionName=name, FunctionRequestId=id)["Data"]
    assert "/later" in entry["Log"] and "words" in entry["Log"]
    assert ask("POST", "/later", data="x" * (128 << 10)).status_code == 406


def test_urls_go_with_what_they_lead_to(scf, server, new_function):
    name = new_function()
    functions.deploy(scf, name, {"index.py": ECHO})
    version = call(scf, "PublishVersion", FunctionName=name)["FunctionVersion"]
    call(scf, "CreateAlias", FunctionName=name, Name="live", FunctionVersion=version)
    live = ask_of(server, scf, name, Qualifier="live")
    latest = ask_of(server, scf, name)
    assert [ask("GET", "/").status_code for ask in (live, latest)] == [200, 200]
    with pytest.raises(TencentCloudSDKException) as refused:
        call(scf, "DeleteTrigger", FunctionName=name, Type="http", TriggerName="url-trigger")
    assert refused.value.code == "InvalidParameterValue.TriggerDesc", "it is said of two of this name"
    # Where their descriptions differ these say which is meant.
    signed = {"FunctionName": name, "Type": "http", "TriggerName": "url-trigger", "TriggerDesc": '{"AuthType":"CAM"}'}
    call(scf, "UpdateTrigger", **signed, Qualifier="live")
    call(scf, "UpdateTriggerStatus", **signed, Enable="CLOSE")
    triggers = call(scf, "ListTriggers", FunctionName=name)["Triggers"]
    assert {t["Qualifier"]: t["Enable"] for t in triggers} == {"live": 0, "$LATEST": 1}
    call(scf, "DeleteAlias", FunctionName=name, Name="live")
    assert [ask("GET", "/").status_code for ask in (live, latest)] == [404, 200]
    call(scf, "DeleteFunction", FunctionName=name)
    functions.deploy(scf, name, {"index.py": ECHO})
    assert latest("GET", "/").status_code == 404
