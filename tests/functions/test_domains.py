"""Domains of one's own that lead to functions, by the SDK and tccli."""

import json
import uuid

import pytest
from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException

from support import functions, web
from support.functions import call, deploy

SHOWS = """
def main_handler(event, context):
    return {"statusCode": 200, "body": " ".join([context["function_name"], event["path"], str(event["queryString"])])}
"""

CALLS = """
import urllib.error, urllib.request

def main_handler(event, context):
    try:
        with urllib.request.urlopen(event) as answer:
            return answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code
"""


@pytest.fixture
def domain(scf):
    name = f"www.{uuid.uuid4().hex[:12]}.example.com"
    yield name
    try:
        call(scf, "DeleteCustomDomain", Domain=name)
    except TencentCloudSDKException as error:
        assert error.code == "FailedOperation.Domain.UnExist"


@pytest.fixture
def shown(scf, new_function):
    """Makes functions with URLs that say what they are asked."""

    def make():
        name = new_function()
        deploy(scf, name, {"index.py": SHOWS})
        web.url(scf, name)
        return name

    return make


def route(function, path, *rewrites):
    rules = [{"Type": kind, "Path": old, "Rewrite": new} for kind, old, new in rewrites]
    return {"Namespace": "default", "FunctionName": function, "Qualifier": "$LATEST", "PathMatch": path, "PathRewrite": rules}


def refused(scf, action, **parameters):
    with pytest.raises(TencentCloudSDKException) as error:
        call(scf, action, **parameters)
    return error.value.code


def asked(server, host, path):
    """Of the real name: by a client that is told where it is."""
    return web.open_session().get(server.url + path, headers={"Host": host})


def test_paths_lead_to_functions(server, scf, shown, domain, tccli):
    one, two = shown(), shown()
    routes = [
        route(one, "/*"),
        route(two, "/two/*", ("ExactRules", "/two/old", "/new"), ("WildcardRules", "/two/in/*", "/$")),
    ]
    tccli("CreateCustomDomain", Domain=domain.upper(), Protocol="HTTP", EndpointsConfig=routes)
    for path, said in (
        ("/", f"{one} / {{}}"),
        ("/two", f"{one} /two {{}}"),
        ("/two/x?a=b", f"{two} /two/x {{'a': 'b'}}"),
        ("/two/old", f"{two} /new {{}}"),
        ("/two/in/a/b?c=d", f"{two} /a/b {{'c': 'd'}}"),
    ):
        answer = asked(server, domain, path)
        assert (answer.status_code, answer.text) == (200, said), path
        assert asked(server, f"{domain}.scf.localhost:{server.port}", path).text == said
    got = call(scf, "GetCustomDomain", Domain=domain)
    got.pop("RequestId", None)
    assert got == {
        "Domain": domain,
        "Protocol": "HTTP",
        "EndpointsConfig": routes,
        "CertConfig": {"CertificateId": None},
        "WafConfig": {"WafOpen": "CLOSE", "WafInstanceId": None},
        "Tags": [],
    }
    # Only what is named changes.
    tccli("UpdateCustomDomain", Domain=domain, EndpointsConfig=[route(two, "/only")])
    assert asked(server, domain, "/only").text == f"{two} /only {{}}"
    missing = asked(server, domain, "/two/x")
    assert (missing.status_code, "leads nowhere" in missing.json()["errorMessage"]) == (404, True)
    listed = tccli("ListCustomDomains", OrderBy="ModTime", Limit=1)
    assert (listed["Domains"][0]["Domain"], listed["Total"] >= 1) == (domain, True)
    assert tccli("GetCustomDomain", Domain=domain)["EndpointsConfig"][0]["PathMatch"] == "/only"
    # A URL that a domain leads to stays.
    url = {"FunctionName": two, "Type": "http", "TriggerName": "url-trigger"}
    assert refused(scf, "DeleteTrigger", **url) == "FailedOperation.DeleteTrigger.UrlUsed"
    # One that goes with its function leads nowhere.
    call(scf, "DeleteFunction", FunctionName=two)
    assert asked(server, domain, "/only").status_code == 404
    tccli("DeleteCustomDomain", Domain=domain)
    assert refused(scf, "GetCustomDomain", Domain=domain) == "FailedOperation.Domain.UnExist"
    assert "NoSuchBucket" in asked(server, domain, "/only").text, "nobody's name"


def test_a_function_asks_by_https(server, scf, shown, domain, new_function):
    name, caller = shown(), new_function()
    deploy(scf, caller, {"index.py": CALLS})

    def said(url):
        return json.loads(call(scf, "Invoke", FunctionName=caller, ClientContext=json.dumps(url))["Result"]["RetMsg"])

    routes = [route(name, "/*")]
    assert refused(scf, "CreateCustomDomain", Domain=domain, Protocol="HTTPS", EndpointsConfig=routes) == "MissingParameter"
    certificate = {"CertificateId": "abcd"}
    asks = {"Domain": domain, "EndpointsConfig": routes, "CertConfig": certificate}
    call(scf, "CreateCustomDomain", Protocol="HTTP&HTTPS", **asks)
    assert call(scf, "GetCustomDomain", Domain=domain)["CertConfig"] == certificate
    assert said(f"https://{domain}/a") == said(f"http://{domain}/a") == f"{name} /a {{}}"
    for protocol, answers in (("HTTPS", {"https": True, "http": False}), ("HTTP", {"https": False, "http": True})):
        call(scf, "UpdateCustomDomain", Domain=domain, Protocol=protocol, CertConfig=certificate)
        for scheme, is_answered in answers.items():
            assert (said(f"{scheme}://{domain}/a") == 403) != is_answered


def test_a_web_function_and_its_authorization(server, scf, domain, new_function):
    from test_web import PLAIN

    name = new_function()
    web.deploy_web(scf, name, {"scf_bootstrap": "#!/bin/bash\nexec python3 app.py\n", "app.py": PLAIN})
    wanted = {"Domain": domain, "Protocol": "HTTP", "EndpointsConfig": [route(name, "/")]}
    assert refused(scf, "CreateCustomDomain", **wanted) == "ResourceNotFound.Trigger", "it has no URL"
    web.url(scf, name)
    call(scf, "CreateCustomDomain", **wanted)
    assert asked(server, domain, "/").text == "NUMBER"
    # As of the URL itself.
    url = {"FunctionName": name, "Type": "http", "TriggerName": "url-trigger"}
    call(scf, "UpdateTrigger", TriggerDesc='{"AuthType":"CAM"}', **url)
    assert asked(server, domain, "/").status_code == 401


def test_what_is_refused(server, scf, shown, domain):
    name = shown()
    good = {"Domain": domain, "Protocol": "HTTP", "EndpointsConfig": [route(name, "/*")]}
    for change, code in (
        ({"Domain": "*.example.com"}, "InvalidParameterValue.Domain"),
        ({"Domain": "x.tencentscf.com"}, "InvalidParameterValue.Domain"),
        ({"Protocol": "FTP"}, "InvalidParameterValue"),
        ({"EndpointsConfig": []}, "MissingParameter"),
        ({"EndpointsConfig": [route(name, "/a*")]}, "InvalidParameterValue"),
        ({"EndpointsConfig": [route(name, "/a"), route(name, "/a")]}, "InvalidParameterValue"),
        ({"EndpointsConfig": [route(name, "/*", ("Other", "/", "/"))]}, "InvalidParameterValue"),
        ({"EndpointsConfig": [route(name, "/*", ("ExactRules", "/", "a"))]}, "InvalidParameterValue"),
        ({"EndpointsConfig": [route("nothing", "/*")]}, "ResourceNotFound.FunctionName"),
        ({"WafConfig": {"WafOpen": "OPEN", "WafInstanceId": "waf"}}, "UnsupportedOperation"),
    ):
        assert refused(scf, "CreateCustomDomain", **{**good, **change}) == code, change
    call(scf, "CreateCustomDomain", Tags=[{"Key": "of", "Value": "mine"}], **good)
    assert call(scf, "GetCustomDomain", Domain=domain)["Tags"] == [{"Key": "of", "Value": "mine"}]
    assert refused(scf, "CreateCustomDomain", **good) == "ResourceInUse"
    filters = [{"Name": "Domain", "Values": [domain]}]
    assert refused(scf, "ListCustomDomains", Filters=filters) == "UnsupportedOperation"
    assert refused(scf, "UpdateCustomDomain", Domain=f"other.{domain}") == "FailedOperation.Domain.UnExist"
    # It is of its region.
    elsewhere = functions.client(server, region="ap-shanghai")
    assert refused(elsewhere, "GetCustomDomain", Domain=domain) == "FailedOperation.Domain.UnExist"
    assert domain not in [one["Domain"] for one in call(elsewhere, "ListCustomDomains")["Domains"] or []]
