"""The service's names of runtimes (scf.md 5.1): each is taken, and runs on what is installed, or says what is missing."""

import json
import shutil
import subprocess

import pytest
from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException

from support.functions import base64_zip, call, client, deploy, logs
from support.instance import ISOLATION, ROOT, Instance

PYTHON = {"index.py": "import os\ndef main_handler(event, context):\n    return os.environ['SCF_RUNTIME']\n"}
NODE = {"index.js": "exports.main_handler = async () => process.env.SCF_RUNTIME\n"}
PHP = {"index.php": "<?php function main_handler($event, $context) { return getenv('SCF_RUNTIME'); }"}
JAVA = """
public class Names {
    public String name(Object event) {
        return System.getenv("SCF_RUNTIME");
    }
}
"""
LANGUAGES = {
    # What has to be there, code, what stands in, names.
    "python": ("python3", PYTHON, "Python 3.", ["Python3.6", "Python3.7", "Python3.9", "Python3.10", "Python3.11"]),
    "node": (
        "node",
        NODE,
        "Node.js ",
        "Nodejs6.10 Nodejs8.9 Nodejs10.15 Nodejs12.16 Nodejs14.18 Nodejs16.13 Nodejs18.15 Nodejs20.19".split(),
    ),
    "php": ("php", PHP, "PHP ", ["Php5", "Php5.6", "Php7", "Php7.2", "Php7.4", "Php8.0"]),
    "java": ("javac", JAVA, "Java ", ["Java8", "Java11", "Java17", "Java21"]),
}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_name_runs_on_what_is_installed(scf, new_function, tmp_path, language):
    program, code, version, names = LANGUAGES[language]
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    handler, memory = "index.main_handler", 128
    if language == "java":
        source = tmp_path / "Names.java"
        source.write_text(JAVA)
        subprocess.run(["javac", "-d", tmp_path / "classes", source], check=True, timeout=120)
        code, handler, memory = tmp_path / "classes", "Names::name", 512
    for runtime in names:
        name = new_function(language)
        deploy(scf, name, code, runtime=runtime, handler=handler, MemorySize=memory)
        shown = call(scf, "GetFunction", FunctionName=name)
        assert (shown["Runtime"], shown["Status"]) == (runtime, "Active")
        assert shown["StatusDesc"].startswith(f"{runtime} runs on {version}"), shown["StatusDesc"]
        assert json.loads(call(scf, "Invoke", FunctionName=name)["Result"]["RetMsg"]) == runtime
    listed = call(scf, "ListFunctions", Filters=[{"Name": "Runtime", "Values": names}], Limit=100)["Functions"]
    assert {one["Runtime"] for one in listed} >= set(names)


def test_a_name_that_the_service_does_not_have(scf, new_function):
    for runtime in ("Python3", "Nodejs12", "python3.9", "Ruby2.7", "Go2"):
        with pytest.raises(TencentCloudSDKException) as refused:
            deploy(scf, new_function(), PYTHON, runtime=runtime)
        assert refused.value.get_code() == "InvalidParameterValue.Runtime", runtime


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    """A client of a server that finds no program."""
    with Instance(None, "--isolation", "off", env={"PATH": tmp_path_factory.mktemp("empty")}) as server:
        yield client(server)


@pytest.mark.parametrize(
    "runtime, help",
    [
        ("Python3.9", "needs the program python3, which is not in the server's PATH: install it (on Debian and Ubuntu: apt-get install python3)"),
        ("Nodejs18.15", "apt-get install nodejs)"),
        ("Php7.4", "apt-get install php-cli)"),
        ("Java11", "apt-get install default-jdk-headless)"),
        ("Python2.7", "is not supported: make the function with Python3.9"),
        # The service's default: Python2.7.
        (None, "is not supported: make the function with Python3.9"),
    ],
)
def test_a_language_that_is_not_there(bare, runtime, help):
    name = f"on-{(runtime or 'default').replace('.', '-')}"
    named = {} if runtime is None else {"Runtime": runtime}
    code = {"ZipFile": base64_zip(PYTHON)}
    call(bare, "CreateFunction", FunctionName=name, Handler="index.main_handler", Code=code, **named)
    shown = call(bare, "GetFunction", FunctionName=name)
    assert (shown["Status"], shown["Runtime"]) == ("Active", runtime or "Python2.7")
    assert "no interpreter" in shown["StatusDesc"]
    result = call(bare, "Invoke", FunctionName=name)["Result"]
    assert (result["InvokeResult"], json.loads(result["RetMsg"])["statusCode"]) == (-1, 445)
    assert help in result["ErrMsg"], result


SDK = {"qcloud_cos/__init__.py": "from .inner import WORD\n", "qcloud_cos/inner.py": "WORD = 'the SDK'\n"}
IMPORTS = """
import qcloud_cos_v5.inner
from qcloud_cos_v5 import WORD

def main_handler(event, context):
    import qcloud_cos
    return [WORD, qcloud_cos_v5.inner.WORD, qcloud_cos.WORD]
"""


@pytest.mark.parametrize(
    "packages, told",
    [
        (SDK, ["the SDK"] * 3),
        (
            {**SDK, "qcloud_cos_v5/__init__.py": "WORD = 'its own'\n", "qcloud_cos_v5/inner.py": "WORD = 2\n"},
            ["its own", 2, "the SDK"],
        ),
    ],
    ids=["older name", "own package"],
)
def test_the_older_name_of_the_cos_sdk(scf, new_function, packages, told):
    name = new_function()
    deploy(scf, name, {"index.py": IMPORTS, **packages}, runtime="Python3.6")
    assert json.loads(call(scf, "Invoke", FunctionName=name)["Result"]["RetMsg"]) == told


# Tell who they are called by.
CALLED = {
    "python3": (
        "Python3.9",
        "index.main_handler",
        {"index.py": "import os\ndef main_handler(event, context):\n    return os.environ.get('TRIGGER_SRC')\n"},
    ),
    "node": (
        "Nodejs18.15",
        "index.main_handler",
        {"index.js": "exports.main_handler = async () => process.env.TRIGGER_SRC || null\n"},
    ),
    "php": (
        "Php7.4",
        "index.main_handler",
        {"index.php": "<?php function main_handler($event, $context) { return getenv('TRIGGER_SRC') ?: null; }"},
    ),
    "go": ("Go1", "main", None),
}


def test_a_timers_function_is_told_so(tmp_path):
    timer = {"Type": "timer", "TriggerName": "T", "TriggerDesc": "0 * * * * * *", "Enable": "OPEN"}
    with Instance(None, "--isolation", ISOLATION) as server:
        scf = client(server)
        server.admin("POST", "clock", {"freeze": True})
        names = []
        for program, (runtime, handler, code) in CALLED.items():
            if shutil.which(program) is None:
                continue
            if program == "go":
                build = ["go", "build", "-o", tmp_path / "main", "./called"]
                subprocess.run(build, cwd=ROOT / "tests/go", check=True, timeout=600)
            deploy(scf, program, code or tmp_path, runtime=runtime, handler=handler)
            names.append(program)
        deploy(scf, "own", CALLED["python3"][2], env={"TRIGGER_SRC": "mine; always"})
        for name in (*names, "own"):
            call(scf, "Invoke", FunctionName=name)
            call(scf, "CreateTrigger", FunctionName=name, **timer)
        # Not as long as instances without work are kept.
        server.admin("POST", "clock", {"advance": "1m"})
        server.wait()
        for name in (*names, "own"):
            call(scf, "Invoke", FunctionName=name)
            runs = logs(scf, name)
            told = [json.loads(run["RetMsg"]) for run in runs]
            assert told == (["mine; always"] * 3 if name == "own" else [None, "timer", None]), name
            # By an instance that had a timer's event.
            assert "Init Report" in runs[0]["Log"] and "Init Report" not in runs[-1]["Log"], name
