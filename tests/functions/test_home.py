"""Functions whose code is what runs on SCF: official SDKs, the services' own names, https. Nothing leaves the machine.

Languages with a way of their own to be led home, where functions have the machine's network, are tried in both.
"""

import json
import os
import pathlib
import shutil
import subprocess
import sysconfig

import pytest

from support import functions, web
from support.instance import ROOT
from support.networks import server  # noqa: F401

NODE_PACKAGES = ("cos-nodejs-sdk-v5", "tencentcloud-sdk-nodejs-scf", "tencentcloud-sdk-nodejs-sts")

PYTHON_PACKAGES = (
    "Crypto qcloud_cos requests urllib3 certifi idna charset_normalizer crcmod xmltodict.py six.py "
    "tencentcloud/__init__.py tencentcloud/common tencentcloud/scf tencentcloud/sts"
).split()


def files(folder, *names):
    """Files of packages as a function's package has them."""
    found = {}
    for name in names:
        top = folder / name
        for path in [top] if top.is_file() else top.rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                found[path.relative_to(folder).as_posix()] = path.read_bytes()
    return found


def source(name):
    folder = functions.FUNCTIONS / name
    return files(folder, *(path.name for path in folder.iterdir()))


@pytest.fixture
def called(scf, new_function):
    """Another function, which says what it was called with."""
    name = new_function("called")
    functions.deploy(scf, name, {"index.py": "def main_handler(event, context):\n    return 'heard ' + event\n"})
    return name


@pytest.fixture
def run(server, scf, s3, bucket, new_bucket, new_function, called):
    """Deploys the code, uploads an object, and returns what the function has written into the other bucket."""

    def go(code, **configuration):
        target, name = new_bucket("target"), new_function("home")
        s3.create_bucket(Bucket=target)
        env = {"TARGET": target, "OTHER": called}
        functions.deploy(scf, name, code, env=env, Timeout=60, MemorySize=512, **configuration)
        functions.bind(scf, name, bucket, prefix="in/")
        s3.put_object(Bucket=bucket, Key="in/a b", Body="hello".encode())
        server.wait()
        log = functions.logs(scf, name)[-1]
        assert log["RetCode"] == 0, log["Log"]
        assert "[egress]" not in log["Log"]
        return json.loads(s3.get_object(Bucket=target, Key="in/a b")["Body"].read())

    return go


by_proxy = pytest.mark.parametrize("server", ["own"], indirect=True)

ANSWER = {"body": "HELLO", "other": "heard hello", "caller": ["CAMRole", "100000000001"]}


def test_python(run):
    packages = files(pathlib.Path(sysconfig.get_path("purelib")), *PYTHON_PACKAGES)
    answer = run({**source("home-python"), **packages}, runtime="Python3.9")
    assert answer == {**ANSWER, "bare": 403}


@by_proxy
@pytest.mark.skipif(shutil.which("go") is None, reason="Go is not installed")
@pytest.mark.parametrize(
    "runtime, program, handler",
    [("Go1", "event", "main"), ("CustomRuntime", "custom", "index.main_handler")],
)
def test_go(run, tmp_path, runtime, program, handler):
    built = tmp_path / "built"
    command = ["go", "build", "-ldflags=-s -w", "-o", built, f"./home/{program}"]
    subprocess.run(command, cwd=ROOT / "tests/go", check=True, timeout=600)
    code = {"main" if runtime == "Go1" else "bootstrap": built.read_bytes()}
    assert run(code, runtime=runtime, handler=handler) == {"body": "HELLO", "other": "heard hello", "assumed": True}


JARS = sorted((ROOT / "target/java").glob("*.jar"))
HAS_JAVA = shutil.which("javac") and any(jar.name.startswith("cos_api-") for jar in JARS)


@pytest.mark.skipif(not HAS_JAVA, reason="a JDK, or Maven, which fetches the SDKs, is not installed")
def test_java(run, tmp_path):
    path = ":".join(map(str, JARS))
    subprocess.run(
        ["javac", "-cp", path, "-d", tmp_path, ROOT / "tests/java/home/example/Home.java"], check=True, timeout=120
    )
    code = {**files(tmp_path, "example"), **{f"lib/{jar.name}": jar.read_bytes() for jar in JARS}}
    assert run(code, runtime="Java11", handler="example.Home::mainHandler") == {**ANSWER, "bare": 403}


def php_has_curl():
    php = shutil.which("php")
    return php and "curl" in subprocess.run([php, "-m"], capture_output=True, text=True, timeout=60).stdout.split()


@by_proxy
@pytest.mark.skipif(not php_has_curl(), reason="PHP with its curl extension is not installed")
def test_curl_of_php(server, scf, bucket, new_function):
    name = new_function("php")
    start = "#!/bin/sh\nexec php main.php\n"
    functions.deploy(scf, name, {"bootstrap": start, **source("home-php")}, runtime="CustomRuntime", Timeout=60)
    host = f"{bucket}.cos.ap-guangzhou.myqcloud.com"
    event = [f"https://{host}/", f"http://{host}/", "https://www.example.com/"]
    answer = functions.call(scf, "Invoke", FunctionName=name, ClientContext=json.dumps(event))["Result"]
    home, plain, other = json.loads(answer["RetMsg"])
    assert home[0] == plain[0] == 403 and "AccessDenied" in home[1] and "AccessDenied" in plain[1]
    assert other[0] == 0 and "403" in other[2]
    assert "[egress] refused www.example.com:443" in functions.logs(scf, name)[-1]["Log"]


PHP_VENDOR = pathlib.Path(os.environ.get("COSETTE_PHP_VENDOR", ROOT / "target/php/vendor"))


@by_proxy
@pytest.mark.skipif(not php_has_curl(), reason="PHP with its curl extension is not installed")
@pytest.mark.skipif(
    not (PHP_VENDOR / "qcloud").exists(),
    reason="Packagist cannot be reached: COSETTE_PHP_VENDOR may name a folder of composer's with qcloud/cos-sdk-v5",
)
def test_php(run):
    packages = {f"vendor/{name}": text for name, text in files(PHP_VENDOR, ".").items()}
    assert run({**source("home-php-sdk"), **packages}, runtime="Php7.4") == {
        "body": "HELLO",
        "listed": [["copies/large", 1600000], ["large", 1600000]],
        "absent": 404,
        "signed": "hello",
        "bare": 403,
    }


def test_node(run):
    packages = {}
    for name in NODE_PACKAGES:
        web.node_modules(name, packages)
    answer = run({**source("home-node"), **packages}, runtime="Nodejs18.15")
    assert answer == {**ANSWER, "bare": 403, "fetched": 403}
