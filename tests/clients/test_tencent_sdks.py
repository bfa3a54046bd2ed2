"""A function from its creation to its end through the Tencent Cloud SDKs of other languages than Python."""

import json
import shutil
import subprocess

import pytest

from support.functions import base64_zip
from support.instance import ROOT

JAVA_CLASSES = ROOT / "target/java"


def code(word):
    return "\n".join(
        [
            "import os",
            "def main_handler(event, context):",
            f"    print('the {word} code ran')",
            "    if event.get('fail'):",
            "        raise ValueError('as asked')",
            f"    return {{'code': '{word}', 'colour': os.environ['COLOUR'], 'event': event}}",
        ]
    )


@pytest.fixture
def argument(server, bucket, new_function):
    return {
        "host": server.host,
        "region": server.region,
        "id": server.secret_id,
        "key": server.secret_key,
        "name": new_function(),
        "bucket": bucket,
        "zip": base64_zip({"index.py": code("first")}),
        "other": base64_zip({"index.py": code("second")}),
    }


def run(argument, *command):
    done = subprocess.run([*command, json.dumps(argument)], capture_output=True, text=True, timeout=120)
    assert done.stdout.splitlines()[-1:] == ["done"], done.stdout + done.stderr


def test_node(node, argument):
    assert node("cloudapi.cjs", argument) == "done"


@pytest.mark.skipif(shutil.which("go") is None, reason="Go is not installed")
def test_go(argument, tmp_path):
    program = tmp_path / "client"
    subprocess.run(["go", "build", "-o", program, "./cloudapi"], cwd=ROOT / "tests/go", check=True, timeout=600)
    run(argument, program)


@pytest.mark.skipif(shutil.which("mvn") is None, reason="Maven, which fetches the Java SDK, is not installed")
def test_java(argument):
    run(argument, "java", "-cp", f"{JAVA_CLASSES}/*", ROOT / "tests/java/CloudApi.java")
