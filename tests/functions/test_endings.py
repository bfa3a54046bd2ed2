"""Every language ends an invocation in the same ways. Each has one program that does what its event says."""

import json
import re
import shutil
import subprocess
import time

import pytest
from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException

from support import functions, web
from support.functions import call, client, deploy
from support.instance import ROOT, Instance
from support.process import gone

HERE = ROOT / "tests/functions"


@pytest.fixture(scope="session")
def go(tmp_path_factory):
    """A folder with the executable `main`."""
    where = tmp_path_factory.mktemp("go")
    build = ["go", "build", "-o", where / "main", "./endings"]
    subprocess.run(build, cwd=ROOT / "tests/go", check=True, timeout=600)
    return where


@pytest.fixture(scope="session")
def java(tmp_path_factory):
    """A folder with classes, and in `lib` the service's own classes of events and contexts."""
    jars = list((ROOT / "target/java").glob("scf-java-events-*.jar"))
    if not jars or shutil.which("javac") is None:
        pytest.skip("a JDK, or Maven with which scripts/setup gets the classes of events, is not installed")
    where = tmp_path_factory.mktemp("java")
    (where / "lib").mkdir()
    shutil.copy(jars[0], where / "lib")
    source = ROOT / "tests/java/endings/example/Endings.java"
    subprocess.run(["javac", "-cp", jars[0], "-d", where, source], check=True, timeout=120)
    return where


LANGUAGES = {
    # program that has to be there, runtime, handler, handler of what is not there
    "python": ("python3", "Python3.9", "index.main_handler", "index.absent"),
    "node": ("node", "Nodejs18.15", "index.main_handler", "index.absent"),
    # Its handler is its own business.
    "custom": ("python3", "CustomRuntime", "any.thing", None),
    "go": ("go", "Go1", "main", "absent"),
    "java": ("java", "Java11", "example.Endings::mainHandler", "example.Endings::absent"),
    "php": ("php", "Php7.4", "index.main_handler", "index.absent"),
}


class Language:
    """Functions of one language."""

    def __init__(self, name, code, scf, new_function):
        self.name, self.code, self.scf, self.new_function = name, code, scf, new_function
        _, self.runtime, self.handler, self.absent = LANGUAGES[name]

    def deploy(self, **configuration):
        name = self.new_function(self.name)
        settings = {"runtime": self.runtime, "handler": self.handler, **configuration}
        deploy(self.scf, name, self.code, **settings)
        return lambda **event: self.invoke(name, json.dumps(event))

    def invoke(self, name, event):
        result = call(self.scf, "Invoke", FunctionName=name, ClientContext=event, LogType="Tail")["Result"]
        return result, json.loads(result["RetMsg"])


@pytest.fixture(params=LANGUAGES)
def language(request, scf, new_function):
    program = LANGUAGES[request.param][0]
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    folder = HERE / f"endings-{request.param}"
    code = folder if folder.exists() else request.getfixturevalue(request.param)
    return Language(request.param, code, scf, new_function)


def failed(answer, status, text):
    """As scf.md 6.1 has it: a failed function is no error of the API, and its error is told twice."""
    result, document = answer
    assert document["statusCode"] == status, result
    assert document["requestId"] == result["FunctionRequestId"]
    # 1 is what the service's Node.js runtime says of what it has seen itself.
    assert document["errorCode"] in (-1, 1), result
    assert result["InvokeResult"] == (1 if status == 430 else -1), result
    assert text in result["ErrMsg"] and result["ErrMsg"] == document["errorMessage"], result
    assert ("stackTrace" in document) == (status in (430, 443)), result
    charged(result)
    return result, document


def charged(result):
    """Durations are milliseconds, and each one begun is charged."""
    assert 0 <= result["Duration"] <= result["BillDuration"] < result["Duration"] + 1, result


def test_success_and_context(server, language):
    invoke = language.deploy(env={"GREETING": "grüß dich"}, MemorySize=256, Timeout=7)
    invoke(do="print")
    began = time.time()
    result, told = invoke(do="tell", text="ünï \"x\"\n")
    assert result["InvokeResult"] == 0 and result["ErrMsg"] == "" and result["MemUsage"] > 0
    assert told["text"] == "ünï \"x\"\n"
    # The same instance as before.
    assert told["calls"] == 2
    assert told["request_id"] == result["FunctionRequestId"]
    assert (told["memory_limit_in_mb"], told["time_limit_in_ms"]) == (256, 7000)
    if language.name not in ("java", "custom"):
        # The others' contexts have no more than the above.
        assert told["function_name"].startswith(language.name) and told["function_version"] == "$LATEST"
        assert told["namespace"] == "default"
        environment = {"SCF_NAMESPACE": "default", "GREETING": "grüß dich"}
        if language.name in ("python", "node"):
            told["environment"] = json.loads(told["environment"])
            assert dict(pair.split("=", 1) for pair in told["environ"].split(";")) == environment
        assert told["environment"] == environment
        assert (told["tencentcloud_region"], told["tencentcloud_appid"]) == (server.region, server.appid)
        assert told["tencentcloud_uin"] == server.uin
    if language.name == "node":
        assert told["callbackWaitsForEmptyEventLoop"] is True
    variables = told["variables"]
    if isinstance(variables, list):
        variables = dict(pair.split("=", 1) if isinstance(pair, str) else pair for pair in variables)
    assert variables["SCF_RUNTIME"] == language.runtime and variables["GREETING"] == "grüß dich"
    assert variables["USER_CODE_ROOT"].rstrip("/") == told["directory"] == variables["PWD"]
    assert "COSETTE_BOOT" not in variables
    if told["directory"] == "/var/user":
        assert told["room"] == 512 << 20, "isolated, it has a /tmp of its own"
    if language.name == "java":
        assert told["property"] == variables["TENCENTCLOUD_SECRETID"]
    if language.name == "go":
        assert told["package"] == [told["function_name"], "$LATEST", 256]
        assert began + 6 < told["deadline"] < time.time() + 8


def test_output_is_kept_in_order(language):
    result, value = language.deploy()(do="print")
    assert value is None and result["InvokeResult"] == 0, result
    out, err = result["Log"].index("to standard output"), result["Log"].index("to standard error")
    assert out < err


def test_exception(language):
    invoke = language.deploy()
    _, document = failed(invoke(do="throw"), 430, "user code exception caught")
    assert "thrown on purpose" in document["stackTrace"]
    assert document["errorCode"] == (1 if language.name == "node" else -1)
    assert "bootstrap" not in document["stackTrace"].lower()
    # The instance goes on.
    assert invoke(do="tell", text="")[1]["calls"] == 2


@pytest.fixture(scope="module")
def bare():
    """A server whose functions' process numbers are the machine's."""
    with Instance(None, "--isolation", "off") as server:
        yield server


def test_time_out_ends_the_whole_tree(language, bare, tmp_path):
    pids = tmp_path / "pids"
    there = Language(language.name, language.code, client(bare), lambda word: f"tree-{word}")
    invoke = there.deploy(Timeout=1)
    result, _ = failed(invoke(do="hang", pids=str(pids)), 433, "Invoking task timed out after 1 seconds")
    assert result["Duration"] >= 1000
    own, child, away = map(int, pids.read_text().split())
    assert gone(own) and gone(child) and gone(away)
    assert invoke(do="tell", text="")[1]["calls"] == 1


WEB = """
import http.server, os, subprocess, threading

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        children = [subprocess.Popen(["sleep", "600"], start_new_session=away).pid for away in (False, True)]
        with open(os.environ["PIDS"], "w") as pids:
            pids.write(" ".join(map(str, [os.getpid(), *children])))
        threading.Event().wait()

http.server.HTTPServer(("0.0.0.0", int(os.environ["PORT"])), Handler).serve_forever()
"""


def test_time_out_of_a_web_function_ends_the_whole_tree(bare, tmp_path):
    scf, pids = client(bare), tmp_path / "pids"
    files = {"scf_bootstrap": "#!/bin/bash\npython3 app.py\n", "app.py": WEB}
    web.deploy_web(scf, "tree-web", files, Timeout=1, env={"PIDS": pids})
    answer = web.Url(bare, web.url(scf, "tree-web"))("GET")
    document = answer.json()
    assert (answer.status_code, document["statusCode"]) == (433, 433)
    assert document["errorMessage"] == "Invoking task timed out after 1 seconds"
    for pid in map(int, pids.read_text().split()):
        assert gone(pid)


def test_memory(language):
    invoke = language.deploy(MemorySize=128, Timeout=60)
    failed(invoke(do="memory"), 434, "Memory limit of 128 MB reached")
    assert invoke(do="tell", text="")[1]["calls"] == 1


def test_crash(language):
    invoke = language.deploy()
    failed(invoke(do="exit"), 439, "User process exit when running")
    assert invoke(do="tell", text="")[1]["calls"] == 1


def test_initialization_that_fails(language):
    result, document = language.deploy(env={"FAIL": "init"})(do="tell", text="")
    if language.name in ("go", "custom"):
        failed((result, document), 405, "exited during initialization (exit status: 7)")
        assert "cannot begin" in result["Log"]
    else:
        failed((result, document), 443, "cannot begin")


def test_initialization_that_takes_too_long(language):
    invoke = language.deploy(env={"FAIL": "wait"}, InitTimeout=3, Timeout=1)
    result, _ = failed(invoke(do="tell", text=""), 450, "3 seconds")
    # It counts for nothing.
    assert result["Duration"] < 1000


def test_handler_that_is_not_there(language):
    if language.name == "custom":
        language.code = {"bootstrap.sh": "of another name"}
        failed(language.deploy()(do="tell"), 445, "there is no file bootstrap in the root of the code")
    else:
        failed(language.deploy(handler=language.absent)(do="tell"), 437, "absent")


PLATFORM = r"""START RequestId:ID
(.*\n)*Init Report RequestId: ID Coldstart: \d+ms \(PullCode: \d+ms InitRuntime: \d+ms InitFunction: \d+ms\) Memory: 128MB MemUsage: \d+\.\d\dMB
(.*\n)*(ERROR RequestId:ID Result:ERROR
)?Response RequestId:ID RetMsg:RETURNED
END RequestId:ID
Report RequestId:ID Duration:\d+ms Memory:128MB MemUsage:\d+\.\d{6}MB
?"""


@pytest.mark.parametrize("do, status", [("print", 0), ("throw", 430), ("exit", 439)])
def test_what_is_on_record(language, do, status):
    """scf.md 7.1 and 7.3."""
    name = language.new_function()
    deploy(language.scf, name, language.code, runtime=language.runtime, handler=language.handler)
    result, document = language.invoke(name, json.dumps({"do": do}))
    record = call(language.scf, "GetFunctionLogs", FunctionName=name, FunctionRequestId=result["FunctionRequestId"])
    (record,) = record["Data"]
    assert (record["RetCode"], record["InvokeFinished"], record["RetryNum"]) == (status, 1, 0)
    assert (record["Level"], record["Source"], record["FunctionName"]) == ("", "", name)
    assert record["RequestId"] == result["FunctionRequestId"]
    for field in ("RetMsg", "Duration", "BillDuration", "MemUsage"):
        assert record[field] == result[field], field
    assert record["Log"] == result["Log"]
    told = result["RetMsg"] if status == 430 else result["ErrMsg"]
    wanted = PLATFORM.replace("ID", result["FunctionRequestId"]).replace("ERROR\n", re.escape(told) + "\n")
    assert re.fullmatch(wanted.replace("RETURNED", re.escape(result["RetMsg"])), record["Log"]), record["Log"]
    assert ("\nERROR " in record["Log"]) == (status != 0)
    assert not document or isinstance(document, dict)


@pytest.mark.parametrize(
    "action, field, wrong", [("Invoke", "ClientContext", "ClientContext"), ("InvokeFunction", "Event", "Param")]
)
def test_events_that_no_function_gets(scf, new_function, action, field, wrong):
    name = new_function()
    deploy(scf, name, HERE / "endings-python")
    large = json.dumps({"do": "print", "text": "x" * (6 << 20)})
    for event, code in ((large, "InvalidParameter.RequestTooLarge"), ("{no json", f"InvalidParameterValue.{wrong}")):
        with pytest.raises(TencentCloudSDKException) as refused:
            call(scf, action, FunctionName=name, **{field: event})
        assert refused.value.get_code() == code
    assert call(scf, "GetFunctionLogs", FunctionName=name)["TotalCount"] == 0


def test_results_have_a_limit(language):
    invoke = language.deploy(MemorySize=512, Timeout=60)
    # The document has the limit in it, not the text: two quotation marks more.
    size = 6 * 1024 * 1024 - 2
    # A zero byte has six characters in JSON.
    each = 6 if language.name == "go" else 1
    result, value = invoke(do="large", size=size // each)
    assert result["InvokeResult"] == 0 and len(value) == size // each
    failed(invoke(do="large", size=size // each + 1), 407, "body size is too long")
    failed(invoke(do="large", size=3 * size // each), 407, "body size is too long")
    assert invoke(do="tell", text="")[1]["calls"] == 4


def test_a_panic_in_go_is_told_with_its_stack_and_ends_the_instance(go, scf, new_function):
    invoke = Language("go", go, scf, new_function).deploy()
    _, document = failed(invoke(do="panic"), 430, "user code exception caught")
    assert document["stackTrace"].startswith("panic: panicked on purpose\n")
    assert "endings/main.go:" in document["stackTrace"] or "main.handle" in document["stackTrace"]
    assert invoke(do="tell", text="")[1]["calls"] == 1


def test_a_go_program_for_another_machine_says_so(scf, new_function):
    name = new_function()
    deploy(scf, name, {"main": b"\x7fELF\x02\x01\x01" + bytes(200)}, runtime="Go1", handler="main")
    result = call(scf, "Invoke", FunctionName=name)["Result"]
    assert json.loads(result["RetMsg"])["statusCode"] == 445 and "build it with GOOS=linux" in result["ErrMsg"], result


COS_EVENT = {
    "Records": [
        {
            "cos": {
                "cosSchemaVersion": "1.0",
                "cosObject": {
                    "url": "http://b-1250000000.cos.ap-guangzhou.myqcloud.com/a.txt",
                    "meta": {"x-cos-request-id": "NjA=", "Content-Type": ""},
                    "vid": "",
                    "key": "/1250000000/b/a.txt",
                    "size": 1029,
                },
                "cosBucket": {"region": "gz", "name": "b", "appid": "1250000000", "cosRegion": "ap-guangzhou"},
                "cosNotificationId": "unkown",
            },
            "event": {"eventName": "cos:ObjectCreated:Put", "eventTime": 1501498190, "reqid": 179398952},
        }
    ]
}


@pytest.mark.parametrize(
    "method, event, result",
    [
        ("text", {"a": 1}, '{"a": 1}'),
        ("number", 5, 3005),
        ("nothing", {}, None),
        ("keys", COS_EVENT, ["b:/1250000000/b/a.txt:1029:cos:ObjectCreated:Put"]),
        (
            "mainHandler",
            {"do": "echo", "inner": [{"part": 1.5, "kind": "LARGE"}], "counts": {"x": 1 << 40}, "large": True, "no": 1},
            {
                "do": "echo",
                "text": None,
                "pids": None,
                "size": 0,
                "large": True,
                "inner": [{"part": 1.5, "kind": "LARGE"}],
                "counts": {"x": 1 << 40},
            },
        ),
    ],
)
def test_java_forms_of_handlers(java, scf, new_function, method, event, result):
    name = new_function()
    deploy(scf, name, java, runtime="Java8", handler=f"example.Endings::{method}")
    answer = Language("java", java, scf, new_function).invoke(name, json.dumps(event))
    assert answer[0]["InvokeResult"] == 0 and answer[1] == result, answer


@pytest.mark.parametrize(
    "handler, event, status, text",
    [
        ("example.Endings", {}, 437, "not of the form package.Class::method"),
        ("example.Absent::main", {}, 437, "there is no class example.Absent"),
        ("example.Endings::number", {"a": 1}, 430, "user code exception caught"),
    ],
)
def test_java_that_does_not_fit(java, scf, new_function, handler, event, status, text):
    failed(Language("java", java, scf, new_function).deploy(handler=handler)(**event), status, text)


@pytest.mark.parametrize(
    "do, text",
    [
        ("bytes", "the result is no JSON: Malformed UTF-8"),
        ("undefined", "Call to undefined function no_such_function() in /var/user/index.php:"),
        ("fatal", "Cannot declare class Twice"),
    ],
)
def test_php_errors(scf, new_function, do, text):
    language = Language("php", HERE / "endings-php", scf, new_function)
    _, document = failed(language.deploy()(do=do), 430, "user code exception caught")
    assert text in document["stackTrace"], document


@pytest.mark.parametrize(
    "code, status, text",
    [
        ("<?php function main_handler( {", 443, "syntax error"),
        ("<?php class Twice {} class Twice {}", 443, "Cannot declare class Twice"),
        ("<?php $x = 1;", 437, "index.php has no function main_handler"),
    ],
)
def test_php_code_that_cannot_run(scf, new_function, code, status, text):
    language = Language("php", {"index.php": code}, scf, new_function)
    failed(language.deploy()(), status, text)


def layered(scf, new_function, unique, name, code, layer):
    """A language's functions with a layer."""
    language, published = Language(name, code, scf, new_function), unique("layer")
    content = {"ZipFile": functions.base64_zip(layer)}
    call(scf, "PublishLayerVersion", LayerName=published, CompatibleRuntimes=[language.runtime], Content=content)
    return lambda **more: language.deploy(Layers=[{"LayerName": published, "LayerVersion": 1}], **more)


def test_java_finds_classes_in_a_layer(java, scf, new_function, unique, tmp_path):
    package, layer = tmp_path / "package", tmp_path / "layer"
    shutil.copytree(java / "example", package / "example")
    shutil.copytree(java / "lib", layer / "java/lib")
    deploy = layered(scf, new_function, unique, "java", package, layer)
    _, keys = deploy(handler="example.Endings::keys")(**COS_EVENT)
    assert keys == ["b:/1250000000/b/a.txt:1029:cos:ObjectCreated:Put"]


def test_php_includes_files_of_a_layer(scf, new_function, unique):
    code = {"index.php": "<?php require 'shared/words.php';\nfunction main_handler($e, $c) { return words(); }"}
    layer = {"shared/words.php": "<?php function words() { return ['from', 'a layer']; }"}
    assert layered(scf, new_function, unique, "php", code, layer)()()[1] == ["from", "a layer"]
