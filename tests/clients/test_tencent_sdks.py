"""A function from its creation to its end, its versions and what goes with them, through the Tencent Cloud SDKs of
other languages than Python."""

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


GO = pytest.mark.skipif(shutil.which("go") is None, reason="Go is not installed")
JAVA = pytest.mark.skipif(shutil.which("mvn") is None, reason="Maven, which fetches the Java SDK, is not installed")


def go(program, argument, folder):
    built = folder / "client"
    subprocess.run(["go", "build", "-o", built, f"./{program}"], cwd=ROOT / "tests/go", check=True, timeout=600)
    run(argument, built)


def java(program, argument):
    run(argument, "java", "-cp", f"{JAVA_CLASSES}/*", ROOT / f"tests/java/{program}.java")


@GO
def test_go(argument, tmp_path):
    go("cloudapi", argument, tmp_path)


@JAVA
def test_java(argument):
    java("CloudApi", argument)


@pytest.fixture
def of_versions(server, unique):
    """For the programs that make a namespace, a layer and a function of one name, and take them away, in a region of
    their own."""
    name, region = unique("versions")[-30:], f"xx-{unique('region')}"[:40]
    index = ["import os", "import paint", "def main_handler(event, context):"]
    answer = "{'of': context['namespace'], 'layer': paint.LAYER, 'colour': os.environ['COLOUR']}"
    return {
        "host": server.host,
        "region": region,
        "id": server.secret_id,
        "key": server.secret_key,
        "name": name,
        "layer": base64_zip({"paint.py": "LAYER = 'thick'"}),
        "zip": base64_zip({"index.py": "\n".join([*index, f"    return {answer}"])}),
    }


def test_versions_node(node, of_versions):
    assert node("versions.cjs", of_versions) == "done"


@GO
def test_versions_go(of_versions, tmp_path):
    go("versions", of_versions, tmp_path)


@JAVA
def test_versions_java(of_versions):
    java("Versions", of_versions)
