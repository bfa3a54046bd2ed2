"""Web functions for tests: their packages, their URLs, and requests to these."""

import importlib.metadata
import importlib.util
import json
import pathlib
import time

import requests

from .functions import call, deploy, logs
from .instance import ROOT

NODE_MODULES = ROOT / "target/node/node_modules"


def open_session():
    """A client that heeds nothing of the machine's proxies."""
    session = requests.Session()
    session.trust_env = False
    return session


def package(name):
    """The folder of a Python package of the tests' own."""
    return pathlib.Path(importlib.util.find_spec(name).origin).parent


def vendored(*names):
    """Python packages for a function's package, below `vendor/`."""
    files = {}
    for name in names:
        folder = package(name)
        for file in folder.rglob("*.py"):
            files[f"vendor/{name}/{file.relative_to(folder)}"] = file.read_text()
        # Some ask for their own version.
        version = importlib.metadata.version(name)
        about = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        files[f"vendor/{name}-{version}.dist-info/METADATA"] = about
    return files


def node_modules(name, into=None):
    """A Node.js package with what it needs, for a function's package."""
    into = {} if into is None else into
    folder = NODE_MODULES / name
    if f"node_modules/{name}/package.json" in into or not folder.is_dir():
        return into
    for file in folder.rglob("*"):
        if file.is_file() and file.suffix not in (".md", ".map", ".ts"):
            into[f"node_modules/{name}/{file.relative_to(folder)}"] = file.read_bytes()
    needed = json.loads((folder / "package.json").read_text()).get("dependencies", {})
    for one in needed:
        node_modules(one, into)
    return into




def deploy_web(scf, name, files, runtime="Python3.9", **configuration):
    """Creates a web function from `{name: text or bytes}`."""
    configuration.setdefault("Timeout", 30)
    return deploy(scf, name, files, runtime=runtime, handler="", Type="HTTP", MemorySize=256, **configuration)


def finished(scf, name):
    """The function's log once none of its invocations runs: an answer is there before its record."""
    deadline = time.monotonic() + 30
    while True:
        entries = logs(scf, name)
        if all(entry["InvokeFinished"] == 1 for entry in entries):
            return entries
        assert time.monotonic() < deadline, entries


def url(scf, name, auth="NONE", **more):
    """Makes a function URL; the trigger, its description read."""
    settings = {"AuthType": auth, "NetConfig": {"EnableIntranet": True, "EnableExtranet": True}}
    settings.update(more.pop("settings", {}))
    made = call(
        scf,
        "CreateTrigger",
        FunctionName=name,
        TriggerName=more.pop("name", "url-trigger"),
        Type="http",
        TriggerDesc=json.dumps(settings),
        **more,
    )["TriggerInfo"]
    made["TriggerDesc"] = json.loads(made["TriggerDesc"])
    return made


class Url:
    """Asks a function URL by its own host, wherever that would lead."""

    def __init__(self, server, trigger):
        self.host = trigger["TriggerDesc"]["NetConfig"]["ExtranetUrl"].removeprefix("https://")
        self.id = self.host.split(".")[0].split("-", 1)[1]
        self.by_path = f"{server.url}/_cosette/url/{self.id}"
        self.server = server
        self.session = open_session()

    def __call__(self, method, path="/", headers=None, **options):
        headers = {"Host": self.host, **(headers or {})}
        return self.session.request(method, self.server.url + path, headers=headers, timeout=60, **options)
