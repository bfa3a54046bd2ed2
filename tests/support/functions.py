"""Functions for tests: their code as a zip, and the Cloud API calls that put them up."""

import base64
import io
import json
import pathlib
import zipfile

import pytest
from tencentcloud.common import credential
from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException
from tencentcloud.common.profile.client_profile import ClientProfile
from tencentcloud.common.profile.http_profile import HttpProfile
from tencentcloud.scf.v20180416 import models, scf_client

from .instance import ROOT

EXAMPLES = ROOT / "docs/examples"
FUNCTIONS = ROOT / "tests/functions"


def zip_of(source):
    """A zip, as bytes: of a folder, whose modes are kept, or of `{name: text or bytes}`."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        if isinstance(source, pathlib.Path):
            for file in sorted(source.rglob("*")):
                if file.is_file():
                    archive.write(file, file.relative_to(source))
        else:
            for name, text in source.items():
                archive.writestr(name, text)
    return buffer.getvalue()


def base64_zip(source):
    return base64.b64encode(zip_of(source)).decode()


def client(server, secret_id=None, secret_key=None, token=None, region=None, **profile):
    keys = credential.Credential(secret_id or server.secret_id, secret_key or server.secret_key, token)
    http = HttpProfile(protocol="http", endpoint=server.host)
    return scf_client.ScfClient(keys, region or server.region, ClientProfile(httpProfile=http, **profile))


def call(scf, action, **parameters):
    """One action; the answer as a dictionary."""
    request = getattr(models, f"{action}Request")()
    request.from_json_string(json.dumps(parameters))
    return json.loads(getattr(scf, action)(request).to_json_string())


def refused(code, scf, action, **parameters):
    """The message of an action that answers this error."""
    with pytest.raises(TencentCloudSDKException) as caught:
        call(scf, action, **parameters)
    assert caught.value.code == code
    return caught.value.message


def clear(scf):
    """Takes all functions of a region away, and its namespaces."""
    for namespace in call(scf, "ListNamespaces")["Namespaces"]:
        namespace = namespace["Name"]
        for function in call(scf, "ListFunctions", Namespace=namespace)["Functions"]:
            call(scf, "DeleteFunction", Namespace=namespace, FunctionName=function["FunctionName"])
        if namespace != "default":
            call(scf, "DeleteNamespace", Namespace=namespace)


def deploy(scf, name, source, runtime="Python3.9", handler="index.main_handler", **configuration):
    """Creates an event function from a folder or from `{name: text}`. `env` sets variables."""
    env = configuration.pop("env", None)
    if env:
        variables = [{"Key": key, "Value": str(value)} for key, value in env.items()]
        configuration["Environment"] = {"Variables": variables}
    return call(
        scf,
        "CreateFunction",
        FunctionName=name,
        Runtime=runtime,
        Handler=handler,
        Code={"ZipFile": base64_zip(source)},
        **configuration,
    )


def description(event, prefix="", suffix=""):
    """A COS trigger's TriggerDesc."""
    return json.dumps({"event": event, "filter": {"Prefix": prefix, "Suffix": suffix}}, separators=(",", ":"))


def domain(bucket, region="ap-guangzhou"):
    """A COS trigger's TriggerName."""
    return f"{bucket}.cos.{region}.myqcloud.com"


def bind(scf, name, bucket, event="cos:ObjectCreated:*", prefix="", suffix="", **more):
    """Creates a COS trigger."""
    more = {"Qualifier": "$DEFAULT", "Enable": "OPEN", **more}
    return call(
        scf,
        "CreateTrigger",
        FunctionName=name,
        Type="cos",
        TriggerName=domain(bucket),
        TriggerDesc=description(event, prefix, suffix),
        **more,
    )


def logs(scf, name, **more):
    """GetFunctionLogs, oldest first."""
    return call(scf, "GetFunctionLogs", FunctionName=name, Order="asc", OrderBy="start_time", Limit=1000, **more)["Data"]


def events_of(scf, name):
    """What the `echo` functions printed of each event, oldest first."""
    lines = [line for entry in logs(scf, name) for line in entry["Log"].splitlines()]
    return [json.loads(line.split("EVENT ", 1)[1]) for line in lines if "EVENT {" in line]
