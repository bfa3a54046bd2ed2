"""Websites on their own hosts, and what their configuration may say."""

import json

import pytest
from support import raw

from clients.test_settings import code

SITE = {
    "IndexDocument": {"Suffix": "index.html"},
    "ErrorDocument": {"Key": "error.html"},
    "RoutingRules": [
        {
            "Condition": {"KeyPrefixEquals": "docs/"},
            "Redirect": {"ReplaceKeyPrefixWith": "documents/", "HttpRedirectCode": "301"},
        },
        {
            "Condition": {"KeyPrefixEquals": "images/", "HttpErrorCodeReturnedEquals": "404"},
            "Redirect": {"HostName": "pictures.example.com", "Protocol": "https"},
        },
    ],
}


@pytest.fixture
def pages(s3, bucket):
    for key in ["index.html", "dir/index.html", "about.html", "error.html"]:
        s3.put_object(Bucket=bucket, Key=key, Body=key.encode(), ContentType="text/html")
    s3.put_object(Bucket=bucket, Key="moved", WebsiteRedirectLocation="https://example.com/there")
    return bucket


def browse(server, bucket, path="", method="GET", **headers):
    """A signed request on COS's website host."""
    host = f"{bucket}.cos-website.{server.region}.myqcloud.com"
    return raw.cos(server, method, bucket, path, headers={"Host": host, **headers})


def test_a_website_of_s3_is_kept(s3, bucket):
    assert code(s3.get_bucket_website, Bucket=bucket) == ("NoSuchWebsiteConfiguration", 404)
    s3.put_bucket_website(Bucket=bucket, WebsiteConfiguration=SITE)
    got = s3.get_bucket_website(Bucket=bucket)
    assert {name: got[name] for name in SITE} == SITE
    for bad, refusal in [
        ({"IndexDocument": {"Suffix": "a/b"}}, "InvalidArgument"),
        ({"ErrorDocument": {"Key": "e"}}, "MalformedXML"),
        ({"RedirectAllRequestsTo": {"HostName": "h", "Protocol": "ftp"}}, "InvalidRequest"),
    ]:
        assert code(s3.put_bucket_website, Bucket=bucket, WebsiteConfiguration=bad) == (refusal, 400)
    assert code(s3.put_object, Bucket=bucket, Key="k", WebsiteRedirectLocation="nowhere") == (
        "InvalidRedirectLocation",
        400,
    )
    s3.delete_bucket_website(Bucket=bucket)
    assert code(s3.get_bucket_website, Bucket=bucket) == ("NoSuchWebsiteConfiguration", 404)


def test_a_website_host_serves_pages(server, s3, pages):
    unset = browse(server, pages)
    assert unset.status == 404 and b"NoSuchWebsiteConfiguration" in unset.body
    assert unset.header("content-type").startswith("text/html")
    s3.put_bucket_website(Bucket=pages, WebsiteConfiguration=SITE)
    for path, key in [("", "index.html"), ("dir/", "dir/index.html"), ("about.html", "about.html")]:
        page = browse(server, pages, path)
        assert (page.status, page.body) == (200, key.encode()), path
        assert page.header("content-type") == "text/html"
    head = browse(server, pages, "about.html", "HEAD")
    assert (head.status, head.body, head.header("content-length")) == (200, b"", "10")
    part = browse(server, pages, "about.html", Range="bytes=0-4")
    assert (part.status, part.body) == (206, b"about")
    missing = browse(server, pages, "none")
    assert (missing.status, missing.body) == (404, b"error.html")
    assert browse(server, pages, "about.html", "PUT").status == 405


def test_a_website_host_of_s3_serves_pages(server, s3, pages):
    s3.put_bucket_website(Bucket=pages, WebsiteConfiguration=SITE)
    read = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{pages}/*"}
    s3.put_bucket_policy(Bucket=pages, Policy=json.dumps({"Version": "2012-10-17", "Statement": [read]}))
    for host in (f"s3-website-{server.region}.amazonaws.com", f"s3-website.{server.region}.amazonaws.com"):
        # These hosts know no signatures.
        page = raw.send(server, "GET", "/", {"Host": f"{pages}.{host}"})
        assert (page.status, page.body, page.header("content-type")) == (200, b"index.html", "text/html")
        missing = raw.send(server, "GET", "/none", {"Host": f"{pages}.{host}"})
        # Without the right to list nobody is told what is missing.
        assert (missing.status, missing.body) == (403, b"error.html")


def test_a_website_host_sends_elsewhere(server, s3, pages):
    s3.put_bucket_website(Bucket=pages, WebsiteConfiguration=SITE)
    host = f"http://{pages}.cos-website.{server.region}.myqcloud.com"
    for path, status, location in [
        ("docs/a b", 301, f"{host}/documents/a%20b"),
        ("images/none.png", 302, "https://pictures.example.com/images/none.png"),
        ("dir", 302, f"{host}/dir/"),
        ("moved", 301, "https://example.com/there"),
    ]:
        answer = browse(server, pages, path)
        assert (answer.status, answer.header("location")) == (status, location), path
    # The redirect is the object's own, not its copies'.
    s3.copy_object(Bucket=pages, Key="copied", CopySource={"Bucket": pages, "Key": "moved"})
    assert s3.head_object(Bucket=pages, Key="moved")["WebsiteRedirectLocation"] == "https://example.com/there"
    assert "WebsiteRedirectLocation" not in s3.head_object(Bucket=pages, Key="copied")
    everything = {"RedirectAllRequestsTo": {"HostName": "other.example.com", "Protocol": "https"}}
    s3.put_bucket_website(Bucket=pages, WebsiteConfiguration=everything)
    answer = browse(server, pages, "any/where")
    assert (answer.status, answer.header("location")) == (301, "https://other.example.com/any/where")


def test_a_website_of_cos(server, cos, pages):
    site = {
        "IndexDocument": {"Suffix": "index.html"},
        "AutoAddressing": {"Status": "Enabled"},
        "ErrorDocument": {"Key": "error.html", "OriginalHttpStatus": "Disabled"},
        "RoutingRules": [
            {
                "Condition": {"KeyPrefixEquals": "old/"},
                "Redirect": {"Protocol": "https", "ReplaceKeyWith": "about.html"},
            },
            {
                "Condition": {"HttpErrorCodeReturnedEquals": "404"},
                "Redirect": {"ReplaceKeyWith": "about.html", "URLRedirect": "Disabled"},
            },
        ],
    }
    cos.put_bucket_website(Bucket=pages, WebsiteConfiguration=site)
    got = cos.get_bucket_website(Bucket=pages)
    assert [rule["Redirect"]["URLRedirect"] for rule in got["RoutingRules"]] == ["Enabled", "Disabled"]
    assert got["AutoAddressing"] == {"Status": "Enabled"}
    assert got["ErrorDocument"] == {"Key": "error.html", "OriginalHttpStatus": "Disabled"}
    assert browse(server, pages, "about").body == b"about.html"
    missing = browse(server, pages, "none.txt")
    assert (missing.status, missing.body) == (404, b"about.html")
    cos.put_bucket_website(Bucket=pages, WebsiteConfiguration={**site, "RoutingRules": site["RoutingRules"][:1]})
    missing = browse(server, pages, "none.txt")
    assert (missing.status, missing.body) == (200, b"error.html")
    moved = browse(server, pages, "old/x")
    host = f"{pages}.cos-website.{server.region}.myqcloud.com"
    assert (moved.status, moved.header("location")) == (302, f"https://{host}/about.html")
    cos.delete_bucket_website(Bucket=pages)
    assert code(cos.get_bucket_website, Bucket=pages) == ("NoSuchWebsiteConfiguration", 404)


def test_referer_lists_of_cos(server, cos, bucket):
    nothing = {"RefererConfiguration": None}
    assert cos.get_bucket_referer(Bucket=bucket) == nothing
    rules = {
        "Status": "Enabled",
        "RefererType": "White-List",
        "EmptyReferConfiguration": "Deny",
        "DomainList": {"Domain": ["*.example.com", "192.168.1.2:8080"]},
        "VerifySignatureURL": "Enabled",
    }
    cos.put_bucket_referer(Bucket=bucket, RefererConfiguration=rules)
    assert cos.get_bucket_referer(Bucket=bucket) == rules
    cos.put_object(Bucket=bucket, Key="k", Body=b"x")
    read = lambda **headers: raw.cos(server, "GET", bucket, "k", headers=headers)
    assert read(Referer="http://www.example.com/page").status == 200
    refused = read(Referer="http://elsewhere.com/")
    assert (refused.status, refused.code) == (403, "AccessDenied")
    assert b"You are denied by bucket referer rule" in refused.body
    assert read().status == 403
    # Signed requests are not looked at unless that is asked for.
    cos.put_bucket_referer(Bucket=bucket, RefererConfiguration={**rules, "VerifySignatureURL": "Disabled"})
    assert read().status == 200
    cos.delete_bucket_referer(Bucket=bucket)
    assert cos.get_bucket_referer(Bucket=bucket) == nothing
