"""Fixtures: the real binary, and real clients pointed at it."""

import itertools
import json
import os
import pathlib
import socket
import subprocess
import sys

import pytest

from support import coverage, functions
from support.clients import cos_client, s3_client
from support.instance import BINARY, ISOLATION, ROOT, Instance, clean_environment, remove
from support.origin import Origin

NODE_PACKAGES = ROOT / "target/node/node_modules"
_numbers = itertools.count()
_answered = pytest.StashKey()


def pytest_configure(config):
    """Proxies and keys of the machine must not leak into clients."""
    for name in list(os.environ):
        if name.lower().endswith("_proxy") or name.startswith(("AWS_", "TENCENTCLOUD_")):
            del os.environ[name]
    os.environ["AWS_EC2_METADATA_DISABLED"] = "true"
    os.environ["AWS_CONFIG_FILE"] = os.environ["AWS_SHARED_CREDENTIALS_FILE"] = os.devnull


@pytest.fixture(scope="session")
def answered(pytestconfig):
    """Operations and dialects that clients have had done so far; a server's fixture adds what its log tells."""
    return pytestconfig.stash.setdefault(_answered, set())


@pytest.fixture(scope="session")
def server(tmp_path_factory, answered):
    """One server for the whole run; retries follow at once."""
    where = tmp_path_factory.mktemp("server")
    arguments = ["--retry-interval", "100ms", "--log", "debug", "--isolation", ISOLATION]
    # Functions tell tests things by files.
    arguments += ["--share", str(tmp_path_factory.getbasetemp())]
    with Instance(where / "data", *arguments, log=where / "log") as instance:
        yield instance
        status = instance.stop()
    assert status == 0
    answered |= coverage.answered(instance.log_text())
    remove(where / "data")


@pytest.fixture
def unique():
    """Names that no other test has."""
    return lambda word: f"{word}-{os.getpid()}-{next(_numbers)}"


@pytest.fixture
def new_bucket(server, unique):
    """Makes names of COS form; buckets that were made of them are emptied and removed."""
    names = []

    def name(word="test"):
        names.append(f"{unique(word)}-{server.appid}")
        return names[-1]

    yield name
    client = s3_client(server)
    known = {b["Name"] for b in client.list_buckets()["Buckets"]}
    for bucket in known.intersection(names):
        for upload in client.list_multipart_uploads(Bucket=bucket).get("Uploads", []):
            client.abort_multipart_upload(Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"])
        for page in client.get_paginator("list_object_versions").paginate(Bucket=bucket):
            rows = page.get("Versions", []) + page.get("DeleteMarkers", [])
            keys = [{"Key": row["Key"], "VersionId": row["VersionId"]} for row in rows]
            if keys:
                client.delete_objects(Bucket=bucket, Delete={"Objects": keys, "Quiet": True})
        client.delete_bucket(Bucket=bucket)


@pytest.fixture
def bucket(new_bucket, s3):
    """A bucket that exists."""
    name = new_bucket()
    s3.create_bucket(Bucket=name)
    return name


@pytest.fixture
def origin():
    """A server to fetch objects from."""
    one = Origin()
    yield one
    one.close()


# Clients of the object service


@pytest.fixture
def localhost_names(monkeypatch):
    """Resolves `*.localhost` to this machine, as RFC 6761 asks and many resolvers do not."""
    resolve = socket.getaddrinfo

    def getaddrinfo(host, *arguments, **options):
        name = host.decode() if isinstance(host, bytes) else host
        return resolve("127.0.0.1" if name and name.endswith(".localhost") else host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


@pytest.fixture
def s3(server):
    return s3_client(server)


@pytest.fixture
def cos(server):
    return cos_client(server)


# Clients of the Cloud API


@pytest.fixture
def scf(server):
    return functions.client(server)


@pytest.fixture
def new_function(scf, unique):
    """Makes names; functions that were made of them are deleted, their triggers with them."""
    names = []

    def name(word="fn"):
        names.append(unique(word))
        return names[-1]

    yield name
    existing = {f["FunctionName"] for f in functions.call(scf, "ListFunctions", Limit=1000)["Functions"]}
    for one in existing.intersection(names):
        functions.call(scf, "DeleteFunction", FunctionName=one)


class Tccli:
    """Runs `tccli scf`, or another service's; settings by environment, as docs/clients.md shows."""

    service = "scf"

    def __init__(self, server, home):
        self.server = server
        self.env = clean_environment(
            HOME=home,
            TENCENTCLOUD_SECRET_ID=server.secret_id,
            TENCENTCLOUD_SECRET_KEY=server.secret_key,
            TENCENTCLOUD_REGION=server.region,
        )

    def run(self, action, *arguments, endpoint=True, **parameters):
        command = [str(pathlib.Path(sys.executable).parent / "tccli"), self.service, action]
        if endpoint:
            command += ["--endpoint", self.server.url]
        for name, value in parameters.items():
            command += [f"--{name}", value if isinstance(value, str) else json.dumps(value)]
        return subprocess.run(
            [*command, *arguments], capture_output=True, text=True, timeout=120, env=self.env
        )

    def __call__(self, action, *arguments, **parameters):
        """The answer as a dictionary; fails the test on an error."""
        done = self.run(action, *arguments, **parameters)
        assert done.returncode == 0, f"{action}: {done.stdout}\n{done.stderr}"
        return json.loads(done.stdout)


@pytest.fixture
def tccli(server, tmp_path):
    home = tmp_path / "tccli-home"
    home.mkdir()
    return Tccli(server, home)


@pytest.fixture
def node():
    """Runs one of tests/node's drivers with a JSON argument; returns the JSON it prints last."""

    def run(script, argument, check=True):
        done = subprocess.run(
            ["node", str(ROOT / "tests/node" / script), json.dumps(argument)],
            capture_output=True,
            text=True,
            timeout=120,
            env=clean_environment(NODE_PATH=NODE_PACKAGES),
        )
        if check:
            assert done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}"
        return json.loads(done.stdout.splitlines()[-1])

    return run


def pytest_sessionstart(session):
    if not BINARY.exists():
        pytest.exit(f"{BINARY} is missing: run `cargo build --release` first", returncode=2)


def pytest_sessionfinish(session):
    """Every operation that is said to be supported has been done by a real client, in each of its dialects."""
    whole_run = not session.config.invocation_params.args
    if whole_run and (missing := coverage.promised() - session.config.stash.get(_answered, set())):
        names = sorted(f"{op} ({service})" for op, service in missing)
        print(f"\nno client has done: {', '.join(names)}")
        session.exitstatus = session.exitstatus or pytest.ExitCode.TESTS_FAILED
