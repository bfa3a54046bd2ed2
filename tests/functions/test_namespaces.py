"""Namespaces of functions, by tccli, the Python SDK and the command line."""

import json

import pytest
from support.functions import base64_zip, bind, call, clear, client, deploy, logs, refused

SOURCE = {
    "index.py": """
import os
def main_handler(event, context):
    records = event.get("Records")
    queue = records and records[0]["event"]["eventQueue"].rpartition(":")[2]
    print("said by", context["namespace"])
    return [os.environ["WHERE"], context["namespace"], os.environ["SCF_NAMESPACE"], queue]
"""
}


@pytest.fixture
def scf(server, unique):
    """Of a region of its own: a region has no more than five namespaces."""
    scf = client(server, region=f"xx-{unique('region')}"[:40])
    yield scf
    clear(scf)


@pytest.fixture
def twins(scf):
    """Functions `twin` in namespaces `default` and `prod`."""
    call(scf, "CreateNamespace", Namespace="prod", Description="for the others")
    deploy(scf, "twin", SOURCE, env={"WHERE": "d"})
    deploy(scf, "twin", SOURCE, env={"WHERE": "p"}, Namespace="prod")
    return scf


def said(result):
    return json.loads(result["RetMsg"])


def test_a_namespace_from_its_making_to_its_end(tccli, server, unique):
    where = {"region": f"xx-{unique('ns')}"[:40]}
    tccli("CreateNamespace", Namespace="prod", Description="for the others", **where)
    shown = tccli("ListNamespaces", **where)
    assert [row["Name"] for row in shown["Namespaces"]] == ["default", "prod"]
    prod = shown["Namespaces"][1]
    assert (prod["Description"], prod["Type"], shown["TotalCount"]) == ("for the others", "default", 2)
    assert prod["AddTime"] == prod["ModTime"] > "2020-"
    tccli("UpdateNamespace", Namespace="prod", Description="for all", **where)
    tccli("UpdateNamespace", Namespace="default", Description="mine", **where)
    found = tccli("ListNamespaces", Orderby="Updatetime", Order="DESC", **where)["Namespaces"]
    assert [(row["Name"], row["Description"]) for row in found] == [("default", "mine"), ("prod", "for all")]
    search = {"Orderby": "Name", "SearchKey": [{"Key": "Description", "Value": "all"}]}
    assert [row["Name"] for row in tccli("ListNamespaces", **search, **where)["Namespaces"]] == ["prod"]
    assert [row["Name"] for row in tccli("ListNamespaces", Offset=1, Limit=1, **where)["Namespaces"]] == ["prod"]
    assert tccli("ListNamespaces", region="xx-elsewhere")["TotalCount"] == 1
    tccli("DeleteNamespace", Namespace="prod", **where)
    assert tccli("ListNamespaces", **where)["TotalCount"] == 1


def test_what_cannot_be_a_namespace(scf):
    refused("InvalidParameterValue.DefaultNamespace", scf, "CreateNamespace", Namespace="default")
    for bad in ["a b", "a.b", "n" * 31]:
        refused("InvalidParameterValue.Namespace", scf, "CreateNamespace", Namespace=bad)
    refused("MissingParameter", scf, "CreateNamespace", Namespace="")
    refused("InvalidParameterValue.Description", scf, "CreateNamespace", Namespace="a", Description="x" * 1001)
    pool = {"TKE": {"ClusterID": "c"}}
    refused("UnsupportedOperation", scf, "CreateNamespace", Namespace="a", ResourceEnv=pool)
    for name in ["a", "b", "c", "d"]:
        call(scf, "CreateNamespace", Namespace=name)
    refused("ResourceInUse.Namespace", scf, "CreateNamespace", Namespace="a")
    assert "at most 5" in refused("LimitExceeded.Namespace", scf, "CreateNamespace", Namespace="e")
    refused("FailedOperation.DeleteNamespace", scf, "DeleteNamespace", Namespace="default")
    for action in ["DeleteNamespace", "UpdateNamespace"]:
        refused("ResourceNotFound.Namespace", scf, action, Namespace="e")


def test_functions_of_one_name(twins):
    scf = twins
    for namespace, where in [("default", "d"), ("prod", "p")]:
        result = call(scf, "Invoke", FunctionName="twin", Namespace=namespace)["Result"]
        assert said(result) == [where, namespace, namespace, None]
        result = call(scf, "InvokeFunction", FunctionName="twin", Namespace=namespace)["Result"]
        assert said(result)[0] == where
        assert call(scf, "GetFunction", FunctionName="twin", Namespace=namespace)["Namespace"] == namespace
        listed = call(scf, "ListFunctions", Namespace=namespace)["Functions"]
        assert [(row["FunctionName"], row["Namespace"]) for row in listed] == [("twin", namespace)]
        records = logs(scf, "twin", Namespace=namespace)
        assert [f"said by {namespace}" in entry["Log"] for entry in records] == [True, True]
        assert len(call(scf, "GetFunctionLogs", Namespace=namespace)["Data"]) == 2
        one = {"FunctionName": "twin", "FunctionRequestId": result["FunctionRequestId"]}
        assert call(scf, "GetRequestStatus", Namespace=namespace, **one)["TotalCount"] == 1
        other = "prod" if namespace == "default" else "default"
        assert call(scf, "GetRequestStatus", Namespace=other, **one)["TotalCount"] == 0
    refused("ResourceInUse.FunctionName", scf, "CreateFunction", FunctionName="twin", Namespace="prod",
            Runtime="Python3.9", Handler="index.main_handler", Code={"ZipFile": base64_zip(SOURCE)})
    for action in ["GetFunction", "Invoke", "ListTriggers", "DeleteFunction"]:
        refused("ResourceNotFound.Namespace", scf, action, FunctionName="twin", Namespace="none")
    for action in ["ListFunctions", "GetFunctionLogs"]:
        refused("ResourceNotFound.Namespace", scf, action, Namespace="none")


def test_all_of_a_function_is_its_namespaces(twins):
    scf = twins
    of = {"FunctionName": "twin", "Namespace": "prod"}
    call(scf, "UpdateFunctionConfiguration", **of, Environment={"Variables": [{"Key": "WHERE", "Value": "P"}]})
    assert call(scf, "PublishVersion", **of)["FunctionVersion"] == "1"
    call(scf, "CreateAlias", **of, Name="live", FunctionVersion="1")
    call(scf, "PutReservedConcurrencyConfig", **of, ReservedConcurrencyMem=512)
    call(scf, "UpdateFunctionEventInvokeConfig", **of, AsyncTriggerConfig={"RetryConfig": [{"RetryNum": 1}], "MsgTTL": 60})
    scf.call("CreateFunctionTestModel", {**of, "TestModelName": "m", "TestModelValue": "{}"})
    assert said(call(scf, "Invoke", **of, Qualifier="live")["Result"])[0] == "P"
    assert call(scf, "GetReservedConcurrencyConfig", **of)["ReservedMem"] == 512
    assert call(scf, "GetFunctionEventInvokeConfig", **of)["AsyncTriggerConfig"]["MsgTTL"] == 60
    # Nothing of it is the other's.
    other = {"FunctionName": "twin"}
    assert said(call(scf, "Invoke", **other)["Result"])[0] == "d"
    assert call(scf, "ListVersionByFunction", **other)["TotalCount"] == 1
    assert call(scf, "ListAliases", **other)["TotalCount"] == 1
    assert call(scf, "GetReservedConcurrencyConfig", **other)["ReservedMem"] is None
    assert call(scf, "GetFunctionEventInvokeConfig", **other)["AsyncTriggerConfig"]["MsgTTL"] == 21600
    models = json.loads(scf.call("ListFunctionTestModels", other))["Response"]["TestModels"]
    assert models == []
    call(scf, "CopyFunction", **of, NewFunctionName="copy", TargetNamespace="prod")
    assert call(scf, "ListFunctions", Namespace="prod")["TotalCount"] == 2
    assert "function" in refused("FailedOperation.DeleteNamespace", scf, "DeleteNamespace", Namespace="prod")
    call(scf, "DeleteFunction", **of)
    assert said(call(scf, "Invoke", **other)["Result"])[0] == "d", "the other stays"


def test_events_for_functions_of_a_namespace(server, s3, new_bucket, new_function, unique):
    scf, bucket, name, namespace = client(server), new_bucket(), new_function("spaced"), unique("n")[-30:]
    s3.create_bucket(Bucket=bucket)
    call(scf, "CreateNamespace", Namespace=namespace)
    of = {"FunctionName": name, "Namespace": namespace}
    try:
        deploy(scf, name, SOURCE, env={"WHERE": "d"})
        deploy(scf, name, SOURCE, env={"WHERE": "n"}, Namespace=namespace)
        bind(scf, name, bucket, prefix="d/")
        bind(scf, name, bucket, prefix="n/", Namespace=namespace)
        call(scf, "CreateTrigger", **of, Type="timer", TriggerName="yearly", TriggerDesc="0 0 0 1 1 * *")
        assert call(scf, "ListTriggers", **of)["TotalCount"] == 2
        assert call(scf, "ListTriggers", FunctionName=name)["TotalCount"] == 1
        for key in ["d/1", "n/1"]:
            put = s3.put_object(Bucket=bucket, Key=key, Body=b"x")
            server.wait(put["ResponseMetadata"]["RequestId"])
        ran = logs(scf, name, Namespace=namespace)
        assert [said(entry) for entry in ran] == [["n", namespace, namespace, f"{namespace}.{name}.$DEFAULT"]]
        assert said(logs(scf, name)[0])[3] == f"default.{name}.$DEFAULT"
        events = call(scf, "ListAsyncEvents", **of)["EventList"]
        assert [event["InvokeType"] for event in events] == ["COS"]
        told = server.cli("explain", f"{bucket}/n/1")
        assert f"{namespace}/{name}" in told.stdout
        # The command line.
        at = ["--namespace", namespace]
        assert name in server.cli("function", "list", *at).stdout
        invoked = server.cli("function", "invoke", name, *at)
        assert json.loads(invoked.stdout)[:2] == ["n", namespace]
        shown = server.cli("logs", name, *at).stdout
        assert shown.count(f"said by {namespace}") == 2 and "said by default" not in shown
        server.cli("function", "delete", name, *at)
        assert name not in server.cli("function", "list", *at).stdout
        assert call(scf, "ListTriggers", FunctionName=name)["TotalCount"] == 1
    finally:
        for function in call(scf, "ListFunctions", Namespace=namespace)["Functions"]:
            call(scf, "DeleteFunction", FunctionName=function["FunctionName"], Namespace=namespace)
        call(scf, "DeleteNamespace", Namespace=namespace)
