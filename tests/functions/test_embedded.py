"""Cosette inside a Rust program: the example's closures are functions that a real client's puts invoke."""

import json
import os
import pathlib
import subprocess

import pytest
from support import functions
from support.clients import s3_client
from support.functions import base64_zip, call
from support.instance import ROOT, Instance
from support.process import isolates
from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException

TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
PROGRAM = TARGET / "debug/examples/embedded"
BUCKET = "photos-1250000000"
PATIENCE_S = 60


class Program:
    """The example, running."""

    secret_id, secret_key, region = Instance.secret_id, Instance.secret_key, Instance.region

    def __init__(self, *arguments):
        self.process = subprocess.Popen(
            [PROGRAM, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self.url = self.process.stdout.readline().strip()
        self.host = self.url.removeprefix("http://")

    def end(self):
        """What it printed after its standard input ended."""
        output, errors = self.process.communicate(timeout=PATIENCE_S)
        assert self.process.returncode == 0, errors
        return output


@pytest.fixture
def start():
    if not PROGRAM.exists():
        why = f"{PROGRAM} is missing: cargo build -p cosette --example embedded"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(why)
    programs = []

    def start(*arguments):
        programs.append(Program(*arguments))
        return programs[-1]

    yield start
    for program in programs:
        program.process.kill()
        program.process.communicate()


def test_a_put_invokes_a_closure(start):
    program = start()
    s3 = s3_client(program)
    s3.put_object(Bucket=BUCKET, Key="in/a.jpg", Body=b"12345")
    s3.put_object(Bucket=BUCKET, Key="in/a.txt", Body=b"none of its suffix")
    s3.put_object(Bucket=BUCKET, Key="out/a.jpg", Body=b"none of its prefix")
    told = program.end()
    assert told.startswith("quiet: true\n")
    assert '"/1250000000/photos/in/a.jpg" has 5 bytes\n' in told
    assert 'RetMsg:{"size":5}' in told
    assert told.count("START RequestId") == 1


@pytest.mark.parametrize(
    ("body", "why"), [(b"", "an empty photo"), (b"x" * 13, "13 bytes")], ids=["an error", "a panic"]
)
def test_what_a_closure_fails_with_is_tried_again(start, body, why):
    program = start()
    s3_client(program).put_object(Bucket=BUCKET, Key="in/a.jpg", Body=body)
    told = program.end()
    assert told.count("START RequestId") == 3
    assert told.count("ERROR RequestId") == 3 and f'"errorMessage":"{why}"' in told
    assert told.startswith("quiet: true\n")


def test_a_closure_is_a_function_to_every_client(start, tmp_path):
    for _ in range(2):
        program = start(tmp_path / "data")
        scf = functions.client(program)
        listed = {one["FunctionName"]: one["Runtime"] for one in call(scf, "ListFunctions")["Functions"]}
        assert listed == {"count": "Rust", "never": "Rust"}
        assert [trigger["Type"] for trigger in call(scf, "ListTriggers", FunctionName="count")["Triggers"]] == ["cos"]
        event = '{"Records":[{"cos":{"cosObject":{"key":"k","size":3}}}]}'
        result = call(scf, "Invoke", FunctionName="count", ClientContext=event)["Result"]
        assert (result["InvokeResult"], result["RetMsg"]) == (0, '{"size":3}')
        call(scf, "UpdateFunctionConfiguration", FunctionName="never", Timeout=1)
        result = call(scf, "Invoke", FunctionName="never", ClientContext="{}")["Result"]
        assert result["InvokeResult"] == -1 and "timed out after 1 seconds" in result["ErrMsg"]
        with pytest.raises(TencentCloudSDKException, match="is a closure"):
            call(scf, "UpdateFunctionCode", FunctionName="count", ZipFile=base64_zip({}))
        program.end()


def test_only_the_process_that_has_a_closure_makes_its_function(scf, new_function):
    with pytest.raises(TencentCloudSDKException, match="Runtime Rust is not known"):
        functions.deploy(scf, new_function(), {"index.py": ""}, runtime="Rust")


@pytest.mark.skipif(not isolates(), reason="the kernel refuses namespaces")
def test_functions_in_other_languages_are_isolated(start, tmp_path):
    program = start(tmp_path / "data")
    scf = functions.client(program)
    code = "import os\ndef main_handler(event, context):\n    return [os.getcwd(), os.listdir(event)]\n"
    functions.deploy(scf, "looks", {"index.py": code})
    event = json.dumps(str(tmp_path / "data"))
    answer = call(scf, "Invoke", FunctionName="looks", ClientContext=event)["Result"]
    # Of the data directory no more than the way to the certificates.
    assert json.loads(answer["RetMsg"]) == ["/var/user", ["functions"]], answer
