"""Layers, and links to packages, by the Python SDK and tccli."""

import hashlib
import io
import json
import urllib.error
import urllib.request
import zipfile

import pytest
from support import functions
from support.clients import cos_client
from support.functions import base64_zip, call, refused
from support.instance import Instance
from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException

HANDLER = """
import shared
def main_handler(event, context):
    return shared.WORD
"""
RUNTIMES = ["Python3.9", "Nodejs16.13"]


def publish(scf, name, word, **more):
    content = {"ZipFile": base64_zip({"shared.py": f"WORD = {word!r}", "node_modules/shared/index.js": f"exports.WORD = {word!r}"})}
    answer = call(scf, "PublishLayerVersion", LayerName=name, CompatibleRuntimes=RUNTIMES, Content=content, **more)
    return answer["LayerVersion"]


def of(name, *versions):
    return [{"LayerName": name, "LayerVersion": version} for version in versions]


def result(scf, name):
    return json.loads(call(scf, "Invoke", FunctionName=name)["Result"]["RetMsg"])


def test_versions_of_a_layer(scf, unique):
    name = unique("layer")
    assert [publish(scf, name, word, Description=word, LicenseInfo="MIT") for word in ("a", "b", "c")] == [1, 2, 3]
    shown = call(scf, "GetLayerVersion", LayerName=name, LayerVersion=2)
    assert (shown["Description"], shown["LicenseInfo"], shown["Status"]) == ("b", "MIT", "Active")
    assert shown["CompatibleRuntimes"] == RUNTIMES
    zipped = urllib.request.urlopen(shown["Location"]).read()
    assert hashlib.sha256(zipped).hexdigest() == shown["CodeSha256"]
    assert zipfile.ZipFile(io.BytesIO(zipped)).read("shared.py") == b"WORD = 'b'"
    listed = call(scf, "ListLayerVersions", LayerName=name)["LayerVersions"]
    assert [layer["LayerVersion"] for layer in listed] == [3, 2, 1]
    assert call(scf, "ListLayerVersions", LayerName=name, CompatibleRuntime=["Php7"])["LayerVersions"] == []
    mine = call(scf, "ListLayers", SearchKey=name)
    assert (mine["TotalCount"], mine["Layers"][0]["LayerVersion"]) == (1, 3)
    call(scf, "DeleteLayerVersion", LayerName=name, LayerVersion=3)
    refused("ResourceNotFound.LayerVersion", scf, "GetLayerVersion", LayerName=name, LayerVersion=3)
    assert publish(scf, name, "d") == 4


@pytest.mark.parametrize(
    ("runtime", "code"),
    [
        ("Python3.9", {"index.py": HANDLER}),
        ("Nodejs16.13", {"index.js": "exports.main_handler = async () => require('shared').WORD"}),
    ],
)
def test_a_function_has_its_layers_and_the_last_hides_the_others(scf, new_function, unique, runtime, code):
    layer, name = unique("layer"), new_function()
    for word in ("a", "b"):
        publish(scf, layer, word)
    functions.deploy(scf, name, code, runtime=runtime, Layers=of(layer, 1))
    assert result(scf, name) == "a"
    call(scf, "UpdateFunctionConfiguration", FunctionName=name, Layers=of(layer, 1, 2))
    assert result(scf, name) == "b"
    shown = call(scf, "GetFunction", FunctionName=name)["Layers"]
    assert [(one["LayerName"], one["LayerVersion"]) for one in shown] == [(layer, 1), (layer, 2)]
    call(scf, "UpdateFunctionConfiguration", FunctionName=name, Layers=of(layer, 2, 1), Description="other order")
    assert result(scf, name) == "a"
    refused("ResourceInUse.LayerVersion", scf, "DeleteLayerVersion", LayerName=layer, LayerVersion=2)
    call(scf, "UpdateFunctionConfiguration", FunctionName=name, Layers=[{"LayerName": "", "LayerVersion": 0}])
    assert call(scf, "GetFunction", FunctionName=name)["Layers"] == []
    call(scf, "DeleteLayerVersion", LayerName=layer, LayerVersion=2)


def test_what_a_layer_may_not_be(scf, new_function, unique):
    content = {"ZipFile": base64_zip({"a": "b"})}
    make = {"LayerName": unique("layer"), "CompatibleRuntimes": RUNTIMES, "Content": content}
    for change, code in [
        ({"LayerName": "9"}, "InvalidParameterValue.LayerName"),
        ({"CompatibleRuntimes": ["Cobol"]}, "InvalidParameterValue.CompatibleRuntimes"),
        ({"Content": {"ZipFile": "bm8gemlw"}}, "InvalidParameterValue.ZipFile"),
        ({"Content": {}}, "MissingParameter.Code"),
        ({"Tags": [{"Key": "a", "Value": "b"}]}, "UnsupportedOperation"),
    ]:
        refused(code, scf, "PublishLayerVersion", **{**make, **change})
    missing = {"Layers": of(unique("layer"), 1)}
    with pytest.raises(TencentCloudSDKException, match="does not exist") as caught:
        functions.deploy(scf, new_function(), {"index.py": HANDLER}, **missing)
    assert caught.value.code == "ResourceNotFound.LayerVersion"


def test_layers_outlive_a_restart_and_may_come_from_a_bucket(tmp_path):
    with Instance(tmp_path / "data") as server:
        cos, bucket = cos_client(server), f"code-{server.appid}"
        cos.create_bucket(Bucket=bucket)
        cos.put_object(Bucket=bucket, Key="layer.zip", Body=functions.zip_of({"shared.py": "WORD = 'kept'"}))
        scf = functions.client(server)
        content = {"CosBucketName": "code", "CosObjectName": "/layer.zip"}
        call(scf, "PublishLayerVersion", LayerName="shared", CompatibleRuntimes=RUNTIMES, Content=content)
        functions.deploy(scf, "user", {"index.py": HANDLER}, Layers=of("shared", 1))
    with Instance(tmp_path / "data") as server:
        assert result(functions.client(server), "user") == "kept"


def test_links_to_code_end(scf, server, new_function):
    name = new_function()
    functions.deploy(scf, name, {"index.py": "first = 1"})
    given = call(scf, "GetFunctionAddress", FunctionName=name)
    assert hashlib.sha256(urllib.request.urlopen(given["Url"]).read()).hexdigest() == given["CodeSha256"]
    call(scf, "UpdateFunctionCode", FunctionName=name, ZipFile=base64_zip({"index.py": "second = 2"}))
    for url in (given["Url"], given["Url"][:-1] + "x"):
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(url)


def test_a_copy_has_code_and_settings_and_no_triggers(scf, new_function, bucket):
    name, copied = new_function(), new_function()
    code = {"index.py": "import os\ndef main_handler(event, context):\n    return os.environ.get('WORD', 'none')\n"}
    functions.deploy(scf, name, code, env={"WORD": "first"}, Description="mine", MemorySize=256)
    functions.bind(scf, name, bucket)
    call(scf, "CopyFunction", FunctionName=name, NewFunctionName=copied)
    shown = call(scf, "GetFunction", FunctionName=copied)
    assert (shown["Description"], shown["MemorySize"], shown["Triggers"]) == ("mine", 256, [])
    assert result(scf, copied) == "first"
    refused("ResourceInUse.FunctionName", scf, "CopyFunction", FunctionName=name, NewFunctionName=copied)
    call(scf, "CopyFunction", FunctionName=name, NewFunctionName=copied, Override=True, CopyConfiguration=False)
    assert call(scf, "GetFunction", FunctionName=copied)["MemorySize"] == 128
    assert result(scf, copied) == "none"
    refused("ResourceNotFound.FunctionName", scf, "CopyFunction", FunctionName="nosuch", NewFunctionName=copied)
