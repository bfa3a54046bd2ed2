"""Versions and aliases, by the Python SDK and tccli."""

import json

import pytest
from support.functions import base64_zip, bind, call, deploy, logs, refused


def source(word):
    """Answers with its word, its version and what started it."""
    return {
        "index.py": f"""
def main_handler(event, context):
    records = event.get("Records")
    return ["{word}", context["function_version"], records and records[0]["event"]["eventQueue"].rpartition(".")[2]]
"""
    }


@pytest.fixture
def name(scf, new_function):
    """A function with versions 1 and 2, which say one and two; $LATEST says three."""
    name = new_function("versions")
    deploy(scf, name, source("one"))
    assert call(scf, "PublishVersion", FunctionName=name)["FunctionVersion"] == "1"
    call(scf, "UpdateFunctionCode", FunctionName=name, ZipFile=base64_zip(source("two")))
    made = call(scf, "PublishVersion", FunctionName=name, Description="the second")
    assert (made["FunctionVersion"], made["Description"], made["Handler"]) == ("2", "the second", "index.main_handler")
    call(scf, "UpdateFunctionCode", FunctionName=name, ZipFile=base64_zip(source("three")))
    return name


def said(scf, name, qualifier, **more):
    result = call(scf, "Invoke", FunctionName=name, Qualifier=qualifier, **more)["Result"]
    return json.loads(result["RetMsg"])[:2]


def weighted(version, weight):
    return {"AdditionalVersionWeights": [{"Version": version, "Weight": weight}]}


def ruled(version, method, expression):
    rule = {"Version": version, "Key": "invoke.headers.User", "Method": method, "Expression": expression}
    return {"AddtionVersionMatchs": [rule]}


def test_versions_stay_what_they_were(scf, server, name):
    assert said(scf, name, "1") == ["one", "1"]
    assert said(scf, name, "2") == ["two", "2"]
    assert said(scf, name, "$LATEST") == ["three", "$LATEST"]
    result = call(scf, "InvokeFunction", FunctionName=name, Qualifier="1")["Result"]
    assert json.loads(result["RetMsg"])[0] == "one"
    listed = call(scf, "ListVersionByFunction", FunctionName=name)
    assert (listed["FunctionVersion"], listed["TotalCount"]) == (["$LATEST", "1", "2"], 3)
    assert [version["Description"] for version in listed["Versions"]] == ["", "", "the second"]
    backwards = call(scf, "ListVersionByFunction", FunctionName=name, Order="DESC", Limit=1)
    assert backwards["FunctionVersion"] == ["2"]
    shown = call(scf, "GetFunction", FunctionName=name, Qualifier="1", ShowCode="TRUE")
    assert (shown["FunctionVersion"], '"one"' in shown["CodeInfo"]) == ("1", True)
    assert '"three"' in call(scf, "GetFunction", FunctionName=name, ShowCode="TRUE")["CodeInfo"]
    refused("ResourceNotFound.Qualifier", scf, "Invoke", FunctionName=name, Qualifier="7")
    assert [entry["RetMsg"].split('"')[1] for entry in logs(scf, name, Qualifier="1")] == ["one", "one"]
    assert [row["version"] for row in server.invocations(name)] == ["1", "$LATEST", "2", "1"]


def test_publishing_with_a_change(scf, name):
    call(scf, "UpdateFunctionConfiguration", FunctionName=name, Description="third", Publish="TRUE")
    call(scf, "UpdateFunctionCode", FunctionName=name, ZipFile=base64_zip(source("four")), Publish="TRUE")
    assert said(scf, name, "3") == ["three", "3"]
    assert said(scf, name, "4") == ["four", "4"]


def test_deleting_a_version(scf, name):
    call(scf, "CreateAlias", FunctionName=name, Name="live", FunctionVersion="1")
    refused("UnsupportedOperation.AliasBind", scf, "DeleteFunction", FunctionName=name, Qualifier="1")
    refused("InvalidParameterValue.Qualifier", scf, "DeleteFunctionVersion", FunctionName=name, Qualifier="$LATEST")
    refused("InvalidParameterValue.Qualifier", scf, "DeleteFunction", FunctionName=name, Qualifier="$LATEST")
    call(scf, "DeleteAlias", FunctionName=name, Name="live")
    call(scf, "DeleteFunction", FunctionName=name, Qualifier="1")
    refused("ResourceNotFound.Qualifier", scf, "Invoke", FunctionName=name, Qualifier="1")
    call(scf, "DeleteFunctionVersion", FunctionName=name, Qualifier="2")
    refused("ResourceNotFound.Qualifier", scf, "DeleteFunctionVersion", FunctionName=name, Qualifier="2")
    assert said(scf, name, "$LATEST") == ["three", "$LATEST"]
    assert call(scf, "PublishVersion", FunctionName=name)["FunctionVersion"] == "3"


def test_an_alias_is_moved(scf, name):
    call(scf, "CreateAlias", FunctionName=name, Name="live", FunctionVersion="1", Description="what users see")
    assert said(scf, name, "live") == ["one", "1"]
    call(scf, "UpdateAlias", FunctionName=name, Name="live", FunctionVersion="2")
    assert said(scf, name, "live") == ["two", "2"]
    shown = call(scf, "GetAlias", FunctionName=name, Name="live")
    assert (shown["FunctionVersion"], shown["Description"]) == ("2", "what users see")
    listed = call(scf, "ListAliases", FunctionName=name)
    assert [(alias["Name"], alias["FunctionVersion"]) for alias in listed["Aliases"]] == [
        ("$DEFAULT", "$LATEST"),
        ("live", "2"),
    ]
    assert call(scf, "ListAliases", FunctionName=name, FunctionVersion="1")["TotalCount"] == 0
    call(scf, "UpdateAlias", FunctionName=name, Name="$DEFAULT", FunctionVersion="1")
    result = call(scf, "InvokeFunction", FunctionName=name)["Result"]
    assert json.loads(result["RetMsg"])[:2] == ["one", "1"]
    refused("ResourceInUse.Alias", scf, "CreateAlias", FunctionName=name, Name="live", FunctionVersion="1")
    refused("ResourceNotFound.Alias", scf, "GetAlias", FunctionName=name, Name="none")
    refused("InvalidParameterValue.Alias", scf, "DeleteAlias", FunctionName=name, Name="$DEFAULT")
    refused("ResourceNotFound.FunctionVersion", scf, "CreateAlias", FunctionName=name, Name="x", FunctionVersion="7")
    call(scf, "DeleteAlias", FunctionName=name, Name="live")
    refused("ResourceNotFound.Qualifier", scf, "Invoke", FunctionName=name, Qualifier="live")


def test_traffic_by_weight(scf, name):
    alias = {"FunctionName": name, "Name": "canary", "FunctionVersion": "1"}
    call(scf, "CreateAlias", **alias, RoutingConfig=weighted("2", 1.0))
    assert [said(scf, name, "canary")[0] for _ in range(5)] == ["two"] * 5
    call(scf, "UpdateAlias", **alias, RoutingConfig=weighted("2", 0.5))
    # One of the two stays out of 30 calls once in 10^9 times.
    assert {said(scf, name, "canary")[0] for _ in range(30)} == {"one", "two"}
    shown = call(scf, "GetAlias", FunctionName=name, Name="canary")["RoutingConfig"]
    assert shown == {**weighted("2", 0.5), "AddtionVersionMatchs": []}
    call(scf, "UpdateAlias", **alias)
    assert [said(scf, name, "canary")[0] for _ in range(5)] == ["one"] * 5
    too_much = weighted("2", 1.5)
    refused("InvalidParameterValue.AdditionalVersionWeights", scf, "UpdateAlias", **alias, RoutingConfig=too_much)
    refused("InvalidParameterValue.RoutingConfig", scf, "UpdateAlias", **alias, RoutingConfig=weighted("1", 0.5))


def test_traffic_by_rule(scf, server, name):
    alias = {"FunctionName": name, "Name": "beta", "FunctionVersion": "1"}
    call(scf, "CreateAlias", **alias, RoutingConfig=ruled("2", "exact", "B"))
    user = lambda value: json.dumps({"User": value})
    assert said(scf, name, "beta", RoutingKey=user("B")) == ["two", "2"]
    assert said(scf, name, "beta", RoutingKey=user("A")) == ["one", "1"]
    assert said(scf, name, "beta") == ["one", "1"]
    call(scf, "UpdateAlias", **alias, RoutingConfig=ruled("2", "range", "(0,9)"))
    assert said(scf, name, "beta", RoutingKey=user("8")) == ["two", "2"]
    assert said(scf, name, "beta", RoutingKey=user("9")) == ["one", "1"]
    refused("InvalidParameterValue", scf, "Invoke", FunctionName=name, Qualifier="beta", RoutingKey="B")
    # Of what the rule has led, records and events name the alias; and what waits keeps its version.
    sent = {"Qualifier": "beta", "RoutingKey": user("8"), "InvocationType": "Event"}
    call(scf, "Invoke", FunctionName=name, **sent)
    server.wait()
    call(scf, "UpdateAlias", **alias)
    assert [json.loads(entry["RetMsg"])[:2] for entry in logs(scf, name, Qualifier="2")] == [["two", "2"]] * 3
    assert len(logs(scf, name, Qualifier="beta")) == 6
    events = call(scf, "ListAsyncEvents", FunctionName=name, Qualifier="beta")["EventList"]
    assert [event["Status"] for event in events] == ["FINISHED"]
    both = {**weighted("2", 0.5), **ruled("2", "exact", "B")}
    refused("InvalidParameterValue.RoutingConfig", scf, "UpdateAlias", **alias, RoutingConfig=both)


def test_a_trigger_follows_its_alias(scf, server, s3, bucket, name):
    call(scf, "CreateAlias", FunctionName=name, Name="live", FunctionVersion="1")
    bind(scf, name, bucket, Qualifier="live")
    s3.put_object(Bucket=bucket, Key="a", Body=b"a")
    server.wait()
    call(scf, "UpdateAlias", FunctionName=name, Name="live", FunctionVersion="2")
    s3.put_object(Bucket=bucket, Key="b", Body=b"b")
    server.wait()
    assert [json.loads(entry["RetMsg"]) for entry in logs(scf, name)] == [["one", "1", "live"], ["two", "2", "live"]]
    timer = {"FunctionName": name, "Type": "timer", "TriggerDesc": "0 0 0 1 1 * 2099"}
    call(scf, "CreateTrigger", **timer, TriggerName="yearly", Qualifier="live")
    call(scf, "CreateTrigger", **timer, TriggerName="stays", Qualifier="1")
    call(scf, "DeleteAlias", FunctionName=name, Name="live")
    assert [trigger["TriggerName"] for trigger in call(scf, "ListTriggers", FunctionName=name)["Triggers"]] == ["stays"]


def test_tccli(scf, tccli, name):
    assert tccli("PublishVersion", FunctionName=name)["FunctionVersion"] == "3"
    assert tccli("ListVersionByFunction", FunctionName=name)["TotalCount"] == 4
    routing = json.dumps(weighted("2", 1))
    tccli("CreateAlias", FunctionName=name, Name="live", FunctionVersion="1", RoutingConfig=routing)
    assert tccli("GetAlias", FunctionName=name, Name="live")["RoutingConfig"]["AdditionalVersionWeights"][0]["Weight"] == 1
    assert json.loads(tccli("Invoke", FunctionName=name, Qualifier="live")["Result"]["RetMsg"])[0] == "two"
    tccli("UpdateAlias", FunctionName=name, Name="live", FunctionVersion="3")
    assert json.loads(tccli("Invoke", FunctionName=name, Qualifier="live")["Result"]["RetMsg"])[1] == "3"
    assert len(tccli("ListAliases", FunctionName=name)["Aliases"]) == 2
    tccli("DeleteAlias", FunctionName=name, Name="live")
    tccli("DeleteFunctionVersion", FunctionName=name, Qualifier="3")
    assert tccli("ListVersionByFunction", FunctionName=name)["FunctionVersion"] == ["$LATEST", "1", "2"]
