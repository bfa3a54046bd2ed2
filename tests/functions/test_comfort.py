"""What the command line does for who writes a function: events to try it with, a folder that is watched, packages."""

import base64
import gzip
import json
import os
import queue
import re
import shutil
import signal
import subprocess
import threading
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor

import pytest
from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException

from support import web
from support.functions import FUNCTIONS, base64_zip, bind, call, deploy
from support.instance import BINARY, Instance, clean_environment

EVENTS = {
    "cos-put": "cos:ObjectCreated:Put",
    "cos-post": "cos:ObjectCreated:Post",
    "cos-copy": "cos:ObjectCreated:Copy",
    "cos-complete-multipart-upload": "cos:ObjectCreated:CompleteMultipartUpload",
    "cos-origin": "cos:ObjectCreated:Origin",
    "cos-replication": "cos:ObjectCreated:Replication",
    "cos-delete": "cos:ObjectRemove:Delete",
    "cos-delete-marker-created": "cos:ObjectRemove:DeleteMarkerCreated",
    "cos-restore-post": "cos:ObjectRestore:Post",
    "cos-restore-completed": "cos:ObjectRestore:Completed",
}
FAMILIES = {"cos-created": "cos:ObjectCreated:", "cos-removed": "cos:ObjectRemove:"}
OTHERS = {"hello", "timer", "http", "apigw", "ckafka", "cmq", "cls"}


# Events to try a function with


def printed(server, name, *more):
    done = server.cli("function", "test", "any", "--template", name, "--print", *more)
    return [json.loads(line) for line in done.stdout.splitlines()]


def plain(text):
    """Without what each request has of its own."""
    event = json.loads(text)
    record = event["Records"][0]
    record["event"]["eventTime"] = 0
    record["event"]["requestParameters"]["requestHeaders"]["Authorization"] = ""
    record["cos"]["cosObject"]["meta"]["x-cos-request-id"] = ""
    return json.dumps(event)


def delivered(server, name):
    """The texts of a function's events by their names."""
    found = [d["event"] for d in server.deliveries(name)]
    return {event["Records"][0]["event"]["eventName"]: json.dumps(event) for event in found}


def test_there_is_a_template_for_each_event(server):
    listed = server.admin("GET", "templates")["templates"]
    assert {row["name"] for row in listed} == set(EVENTS) | set(FAMILIES) | OTHERS
    shown = server.cli("function", "test", "--list").stdout
    assert [line.split()[0] for line in shown.splitlines()] == [row["name"] for row in listed]
    for name, event in EVENTS.items():
        [made] = printed(server, name, "--bucket", "photos", "--key", "a/b c.txt")
        record = made["Records"][0]
        assert record["event"]["eventName"] == event
        assert record["event"]["eventQueue"].endswith(":default.any.$DEFAULT")
        assert record["cos"]["cosObject"]["key"] == f"/{server.appid}/photos/a/b c.txt"
        assert record["cos"]["cosObject"]["url"].endswith(f"/photos-{server.appid}.cos.ap-guangzhou.myqcloud.com/a/b%20c.txt")
    for name, beginning in FAMILIES.items():
        made = [event["Records"][0]["event"]["eventName"] for event in printed(server, name)]
        assert made == [event for event in EVENTS.values() if event.startswith(beginning)]


def test_a_template_is_the_event_that_is_delivered(server, scf, s3, bucket, new_function):
    name = new_function("echo")
    deploy(scf, name, FUNCTIONS / "echo-python")
    bind(scf, name, bucket)
    bind(scf, name, bucket, "cos:ObjectRemove:*")
    s3.put_object(Bucket=bucket, Key="in/ü 1.txt", Body=b"hello", ContentType="text/plain", CacheControl="no-cache", Metadata={"who": "me"})
    s3.copy_object(Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": "in/ü 1.txt"})
    upload = s3.create_multipart_upload(Bucket=bucket, Key="large")["UploadId"]
    part = s3.upload_part(Bucket=bucket, Key="large", UploadId=upload, PartNumber=1, Body=b"part")
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    s3.complete_multipart_upload(Bucket=bucket, Key="large", UploadId=upload, MultipartUpload=parts)
    keys = {"cos-put": "in/ü 1.txt", "cos-copy": "copy", "cos-complete-multipart-upload": "large", "cos-delete": "in/ü 1.txt"}
    made = {}
    for template, key in keys.items():
        asked = server.cli("function", "test", name, "--template", template, "--bucket", bucket, "--key", key, "--print")
        made[template] = asked.stdout
    s3.delete_object(Bucket=bucket, Key="in/ü 1.txt")
    server.wait()
    real = delivered(server, name)
    for template in keys:
        assert plain(made[template]) == plain(real[EVENTS[template]]), template


def test_versions_are_named_as_in_the_events(server, s3, bucket):
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    version = s3.put_object(Bucket=bucket, Key="k", Body=b"x")["VersionId"]
    vid = lambda template: printed(server, template, "--bucket", bucket, "--key", "k")[0]["Records"][0]["cos"]["cosObject"]["vid"]
    assert vid("cos-put") == vid("cos-delete") == version
    assert vid("cos-delete-marker-created") not in ("", version)


def test_a_function_is_run_with_a_template(server, scf, new_function):
    name = new_function("echo")
    deploy(scf, name, FUNCTIONS / "echo-python")
    done = server.cli("function", "test", name, "--template", "cos-put", "--bucket", "photos", "--key", "cat.jpg")
    assert done.stdout == '"done"\n'
    seen = json.loads(next(line for line in done.stderr.splitlines() if line.startswith("EVENT ")).removeprefix("EVENT "))
    assert seen["Records"][0]["cos"]["cosObject"]["key"] == f"/{server.appid}/photos/cat.jpg"
    assert done.stderr.startswith("cos:ObjectCreated:Put\nSTART RequestId:")
    done = server.cli("function", "test", name, "--template", "cos-removed")
    assert done.stdout == '"done"\n' * 2
    assert len(server.invocations(name)) == 3


def test_a_family_is_tried_to_its_end(server, scf, new_function):
    name = new_function("picky")
    code = "def main_handler(event, context):\n    assert not event['Records'][0]['event']['eventName'].endswith(':Put'), 'no puts'\n"
    deploy(scf, name, {"index.py": code})
    done = server.cli("function", "test", name, "--template", "cos-created", "--json", check=False)
    assert done.returncode == 1
    assert [json.loads(line)["InvokeResult"] for line in done.stdout.splitlines()] == [1, 0, 0, 0, 0, 0]
    assert done.stderr.endswith(f"cosette: cos:ObjectCreated:Put: function {name} failed: user code exception caught\n")
    assert "no puts" in done.stdout.splitlines()[0]


def test_the_other_kinds(server):
    made = {name: printed(server, name)[0] for name in OTHERS}
    assert made["timer"]["Type"] == "Timer"
    assert made["ckafka"]["Records"][0]["Ckafka"]["msgBody"] == "Hello from Ckafka!"
    assert made["cmq"]["Records"][0]["CMQ"]["topicOwner"] == int(server.appid)
    lines = json.loads(gzip.decompress(base64.b64decode(made["cls"]["clslogs"]["data"])))
    assert lines["records"][0]["content"] == "Hello from CLS!"
    assert made["http"]["httpMethod"] == made["apigw"]["httpMethod"] == "POST"


def test_what_is_not_there_is_said(server):
    done = server.cli("function", "test", "any", "--template", "cos-gone", check=False)
    assert (done.returncode, done.stderr) == (1, "cosette: 404 Not Found: there is no template cos-gone\n")
    done = server.cli("function", "test", "gone", "--template", "cos-put", check=False)
    assert done.returncode == 1 and "ResourceNotFound" in done.stderr


# A folder that is watched


class Watch:
    """`cosette function deploy --watch`."""

    def __init__(self, server, folder, name, runtime):
        command = [str(BINARY), "function", "deploy", str(folder), "--name", name, "--runtime", runtime]
        self.process = subprocess.Popen(
            [*command, "--handler", "index.main_handler", "--watch"],
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env=clean_environment(COSETTE_ENDPOINT=server.url),
        )
        self.lines = queue.Queue()
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.process.stderr:
            self.lines.put(line.rstrip("\n"))

    def line(self, wanted):
        """The next line that has this."""
        while not re.search(wanted, line := self.lines.get(timeout=60)):
            pass
        return line

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(timeout=60)


@pytest.fixture
def watch(server):
    started = []

    def start(folder, name, runtime):
        started.append(Watch(server, folder, name, runtime))
        started[-1].line("Ctrl-C ends")
        return started[-1]

    yield start
    for one in started:
        if one.process.poll() is None:
            one.process.kill()
        one.process.wait(timeout=60)


def result(scf, name):
    return json.loads(call(scf, "InvokeFunction", FunctionName=name)["Result"]["RetMsg"])


PYTHON = "import greet\ndef main_handler(event, context):\n    return [greet.WORD, {0}]\n"
NODE = "exports.main_handler = async () => [require('greet').word, {0}]\n"


@pytest.mark.parametrize("runtime", ["Python3.9", "Nodejs18.15"])
def test_what_is_saved_counts_for_the_next_run(server, scf, watch, new_function, tmp_path, runtime):
    name, is_python = new_function("watched"), runtime.startswith("Python")
    file, text = (tmp_path / "index.py", PYTHON) if is_python else (tmp_path / "index.js", NODE)
    # Packages stay where they are.
    packages = tmp_path / (".venv/lib/python3.11/site-packages" if is_python else "node_modules/greet")
    packages.mkdir(parents=True)
    package = packages / ("greet.py" if is_python else "index.js")
    package.write_text("WORD = 'hello'\n" if is_python else "exports.word = 'hello'\n")
    if is_python:
        # As an environment has it whose Python was removed.
        (tmp_path / ".venv/bin").mkdir()
        (tmp_path / ".venv/bin/python").symlink_to("nowhere")
    file.write_text(text.format(0))
    one = watch(tmp_path, name, runtime)
    assert result(scf, name) == ["hello", 0]
    took = []
    for number in range(1, 4):
        began = time.monotonic()
        file.write_text(text.format(number))
        one.line(f"{file.name} has changed; reloaded in")
        took.append(time.monotonic() - began)
        assert result(scf, name) == ["hello", number]
    print(f"{runtime}: reloaded {', '.join(f'{1000 * t:.0f}' for t in took)} ms after the save")
    # It ends cleanly, and what the folder held is deployed.
    file.write_text(text.format(99).replace("greet.WORD", "'bye'").replace("require('greet').word", "'bye'").replace("import greet", ""))
    one.line("reloaded")
    assert one.stop() == 0
    if is_python:
        one.line("left out .venv")
    file.write_text("changed since")
    assert result(scf, name) == ["bye", 99]


def test_a_web_function_that_is_watched(server, scf, watch, new_function, tmp_path):
    name, page = new_function("watched"), tmp_path / "index.html"
    start = tmp_path / "scf_bootstrap"
    # The page is read when the server starts.
    serve = "import http.server, os, sys; page = open('index.html', 'rb').read(); "
    serve += "h = type('H', (http.server.BaseHTTPRequestHandler,), {'do_GET': lambda self: "
    serve += "(self.send_response(200), self.end_headers(), self.wfile.write(page))}); "
    serve += "http.server.HTTPServer(('', int(os.environ['PORT'])), h).serve_forever()"
    start.write_text(f'#!/bin/bash\nexec python3 -c "{serve}"\n')
    start.chmod(0o755)
    page.write_text("one")
    one = watch(tmp_path, name, "Python3.9")
    url = server.cli("function", "url", name).stdout.strip()
    session = web.open_session()
    assert session.get(url).text == "one"
    page.write_text("two")
    one.line("index.html has changed; reloaded in")
    assert session.get(url).text == "two"
    assert one.stop() == 0


def test_a_fault_in_the_folder_is_the_functions_fault(server, scf, watch, new_function, tmp_path):
    name, file = new_function("watched"), tmp_path / "index.py"
    file.write_text("def main_handler(event, context):\n    return 1\n")
    one = watch(tmp_path, name, "Python3.9")
    file.write_text("def main_handler(event, context)\n")
    one.line("reloaded")
    failed = call(scf, "InvokeFunction", FunctionName=name)["Result"]
    assert "SyntaxError" in failed["ErrMsg"] + failed["RetMsg"]
    file.write_text("def main_handler(event, context):\n    return 2\n")
    one.line("reloaded")
    assert result(scf, name) == 2


ANSWER = "def main_handler(event, context):\n    return {0}\n"


def deploy_other(server, scf, name, folder, by):
    """Another's code, which answers 3."""
    if by == "api":
        call(scf, "UpdateFunctionCode", FunctionName=name, Handler="index.main_handler", ZipFile=base64_zip({"index.py": ANSWER.format(3)}))
        return
    folder.mkdir()
    (folder / "index.py").write_text(ANSWER.format(3))
    server.cli("function", "deploy", folder, "--name", name, "--runtime", "Python3.9", "--handler", "index.main_handler")


@pytest.mark.parametrize("by", ["cli", "api"])
@pytest.mark.parametrize("then", ["save", "interrupt"])
def test_what_others_deploy_meanwhile_stays(server, scf, watch, new_function, tmp_path, by, then):
    name, folder = new_function("watched"), tmp_path / "mine"
    folder.mkdir()
    (folder / "index.py").write_text(ANSWER.format(1))
    one = watch(folder, name, "Python3.9")
    # Other settings leave the code as it is: the next save counts.
    call(scf, "UpdateFunctionConfiguration", FunctionName=name, Description="other")
    (folder / "index.py").write_text(ANSWER.format(20))
    one.line("index.py has changed; reloaded")
    assert result(scf, name) == 20
    deploy_other(server, scf, name, tmp_path / "other", by)
    assert result(scf, name) == 3
    if then == "save":
        (folder / "index.py").write_text(ANSWER.format(400))
        one.line(f"cosette: {name} was deployed from elsewhere and stays so: {folder} is watched no more, and not deployed")
        assert one.process.wait(timeout=60) == 1
    else:
        assert one.stop() == 1
        one.line("was deployed from elsewhere")
    assert result(scf, name) == 3


@pytest.mark.parametrize("then", ["save", "interrupt"])
def test_a_function_that_is_deleted_is_watched_no_more(server, scf, watch, new_function, tmp_path, then):
    name = new_function("watched")
    (tmp_path / "index.py").write_text(ANSWER.format(1))
    one = watch(tmp_path, name, "Python3.9")
    call(scf, "DeleteFunction", FunctionName=name)
    if then == "save":
        (tmp_path / "index.py").write_text(ANSWER.format(20))
        one.line(f"^cosette: {name} was deleted: {tmp_path} is watched no more, and not deployed$")
        assert one.process.wait(timeout=60) == 1
    else:
        assert one.stop() == 1
        one.line(f"^cosette: {name} was deleted")
    assert one.lines.empty()
    with pytest.raises(TencentCloudSDKException, match="ResourceNotFound.FunctionName"):
        call(scf, "GetFunction", FunctionName=name)


def test_of_those_who_deploy_over_the_same_code_one_does(server, scf, new_function):
    """What Ctrl-C of a watch asks for: that nobody else has deployed by then."""
    name = new_function("watched")
    deploy(scf, name, {"index.py": ANSWER.format(0)})
    code = call(scf, "GetFunctionAddress", FunctionName=name)["CodeSha256"]

    def deploy_over(code, number):
        zipped = base64_zip({"index.py": ANSWER.format(number)})
        update = {"FunctionName": name, "Handler": "index.main_handler", "Code": {"ZipFile": zipped}}
        try:
            scf.call_json("UpdateFunctionCode", update, headers={"X-Cosette-If-Code": code})
        except TencentCloudSDKException as error:
            assert (error.code, error.message) == (
                "FailedOperation.UpdateFunctionCode",
                f"function {name} has other code by now",
            )
            return None
        return number

    with ThreadPoolExecutor(4) as pool:
        done = [number for number in pool.map(lambda number: deploy_over(code, number), range(1, 9)) if number]
    assert len(done) == 1
    assert result(scf, name) == done[0]
    assert deploy_over(code, 9) is None
    assert deploy_over("no digest", 9) is None
    code = call(scf, "GetFunctionAddress", FunctionName=name)["CodeSha256"]
    assert deploy_over(code, 9) == 9
    assert result(scf, name) == 9


def test_a_folder_is_run_in_place_of_the_code_that_is_expected(server, scf, new_function, tmp_path):
    name = new_function("watched")
    deploy(scf, name, {"index.py": ANSWER.format(1)})
    (tmp_path / "index.py").write_text(ANSWER.format(2))

    def run_from(path, **more):
        ask = json.dumps({"function": name, "path": path, **more}).encode()
        headers = {"Content-Type": "application/json"}
        with web.open_session() as session:
            return session.post(f"{server.url}/_cosette/folder", data=ask, headers=headers)

    refused = run_from(str(tmp_path), code="0" * 64)
    assert (refused.status_code, refused.json()["error"]) == (409, f"function {name} has other code by now")
    assert result(scf, name) == 1
    code = run_from(str(tmp_path)).json()["code"]
    assert code == call(scf, "GetFunctionAddress", FunctionName=name)["CodeSha256"]
    assert result(scf, name) == 2
    assert run_from(None, code=code).status_code == 200
    assert result(scf, name) == 1


def test_a_server_that_others_reach_runs_no_folder(tmp_path):
    with Instance(None, "--listen", "0.0.0.0:0", "--insecure-default-keys") as other:
        (tmp_path / "index.py").write_text("def main_handler(event, context):\n    return 1\n")
        url = f"http://127.0.0.1:{other.port}"
        command = [str(BINARY), "function", "deploy", str(tmp_path), "--name", "one", "--runtime", "Python3.9"]
        done = subprocess.run(
            [*command, "--handler", "index.main_handler", "--watch"],
            capture_output=True,
            text=True,
            timeout=60,
            env=clean_environment(COSETTE_ENDPOINT=url),
        )
    assert done.returncode == 1
    assert "403 Forbidden: a server that other machines can reach runs nothing from a folder" in done.stderr


# Packages


def wheel(path, name):
    """A wheel with one module, as small as one can be."""
    with zipfile.ZipFile(path / f"{name}-1.0-py3-none-any.whl", "w") as archive:
        about = f"{name}-1.0.dist-info"
        archive.writestr(f"{name}.py", "WORD = 'installed'\n")
        archive.writestr(f"{about}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        archive.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{about}/RECORD", "")
    return path / f"{name}-1.0-py3-none-any.whl"


def test_packages_are_installed_by_pip(server, scf, new_function, tmp_path):
    name, packages = new_function("installed"), tmp_path / "packages"
    packages.mkdir()
    folder = tmp_path / "code"
    folder.mkdir()
    (folder / "requirements.txt").write_text(f"--no-index\n{wheel(packages, 'greet')}\n")
    (folder / "index.py").write_text(PYTHON.format(1))
    deploy_it = ["function", "deploy", folder, "--name", name, "--runtime", "Python3.9", "--handler", "index.main_handler"]
    done = server.cli(*deploy_it, "--install")
    assert done.stdout == "" and "python3 -m pip: in " in done.stderr and "Successfully installed greet-1.0" in done.stderr
    assert result(scf, name) == ["installed", 1]
    (folder / "requirements.txt").write_text("--no-index\nthere-is-no-such-package\n")
    done = server.cli(*deploy_it, "--install", check=False)
    assert done.returncode == 1
    assert "cosette: python3 -m pip failed: exit status: 1" in done.stderr


def test_packages_are_installed_by_npm(server, scf, new_function, tmp_path):
    name, folder = new_function("installed"), tmp_path / "code"
    for path, about in [
        (tmp_path / "greet", {"name": "greet", "version": "1.0.0", "main": "index.js"}),
        (folder, {"name": "code", "version": "1.0.0", "dependencies": {"greet": "file:../greet"}}),
    ]:
        path.mkdir()
        (path / "package.json").write_text(json.dumps(about))
    (tmp_path / "greet/index.js").write_text("exports.word = 'installed'\n")
    (folder / "index.js").write_text(NODE.format(1))
    server.cli("function", "deploy", folder, "--name", name, "--runtime", "Nodejs18.15", "--handler", "index.main_handler", "--install")
    assert result(scf, name) == ["installed", 1]


@pytest.mark.skipif(not shutil.which("go"), reason="go is not installed")
def test_go_builds_the_program(server, new_function, tmp_path):
    name = new_function("built")
    (tmp_path / "go.mod").write_text("module example\n")
    (tmp_path / "main.go").write_text('package main\n\nfunc main() { println("built") }\n')
    server.cli("function", "deploy", tmp_path, "--name", name, "--runtime", "Go1", "--handler", "main", "--install")
    assert subprocess.run([tmp_path / "main"], capture_output=True, timeout=60).stderr == b"built\n"


def test_a_tool_that_is_missing_is_named(server, tmp_path):
    (tmp_path / "go.mod").write_text("module x\n")
    (tmp_path / "main.go").write_text("package main\nfunc main() {}\n")
    command = [str(BINARY), "function", "deploy", str(tmp_path), "--name", "one", "--runtime", "Go1", "--handler", "main", "--install"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env={"PATH": str(tmp_path), "COSETTE_ENDPOINT": server.url})
    assert (done.returncode, done.stderr.splitlines()[-1]) == (1, "cosette: go build is needed and not installed")
    (tmp_path / "go.mod").unlink()
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env={"PATH": os.environ["PATH"], "COSETTE_ENDPOINT": server.url})
    assert done.returncode == 2 and "nothing to install in" in done.stderr


# What is there


def test_doctor_says_what_is_there(server, tmp_path):
    done = server.cli("doctor", "--data-dir", tmp_path / "data", "--json")
    told = json.loads(done.stdout)
    languages = {language["name"]: language for language in told["languages"]}
    assert set(languages) == {"Python", "Node.js", "PHP", "Java", "Go", "any"}
    assert languages["Python"]["version"].startswith("Python 3.") and os.access(languages["Python"]["program"], os.X_OK)
    assert languages["Node.js"]["version"].startswith("Node.js ") and languages["Node.js"]["runtimes"] == "Nodejs<n>.<n>"
    checks = {check["what"]: check for check in told["checks"]}
    assert all(check["ok"] for check in checks.values()), checks
    assert set(checks) == {"data directory", "isolation", "system calls", "memory", "server", "keys"}
    assert server.url in checks["server"]["text"]
    assert not (tmp_path / "data").exists() and list(tmp_path.iterdir()) == []
    shown = server.cli("doctor", "--data-dir", tmp_path).stdout
    assert re.search(r"^ok   Python +Python 3\.\d+\.\d+ \(/.*\); runs Python3\.<n>$", shown, re.M)
    # Where there is nothing, it says how to get it.
    environment = {"PATH": str(tmp_path), "COSETTE_ENDPOINT": server.url, "COSETTE_DATA_DIR": str(tmp_path)}
    bare = subprocess.run([str(BINARY), "doctor"], capture_output=True, text=True, timeout=60, env=environment)
    assert bare.returncode == 0 and re.search("^-    Python +not installed: apt-get install python3", bare.stdout, re.M)


def test_doctor_says_what_is_wrong(server, tmp_path):
    (tmp_path / "file").write_text("")
    done = server.cli("doctor", "--data-dir", tmp_path / "file/data", "--secret-key", "wrong", check=False)
    assert (done.returncode, done.stderr) == (1, "cosette: 2 things are wrong\n")
    assert re.search(f"^BAD  data directory  {tmp_path}/file: ", done.stdout, re.M)
    assert re.search("^BAD  keys .*AuthFailure.SignatureFailure", done.stdout, re.M)
    assert server.cli("doctor", "--endpoint", "http://127.0.0.1:1", "--data-dir", tmp_path).stdout.count("none runs at") == 1


def test_who_has_read_enough_stops_no_command_with_an_error():
    reading, writing = os.pipe()
    os.close(reading)
    for command in (["completions", "bash"], ["function", "new", "--list"]):
        done = subprocess.run([str(BINARY), *command], stdout=writing, stderr=subprocess.PIPE, text=True, timeout=60)
        assert (done.returncode, done.stderr) == (0, ""), command
    os.close(writing)
