"""Functions where the kernel refuses namespaces, but has Landlock: what they can still open, and what not."""

import ctypes
import json
import os
import pathlib
import shutil
import subprocess
import tempfile

import pytest

from support import functions
from support.instance import ROOT
from support.process import isolates
from test_isolation import CALLS, HANDLER, REFUSES, House, users

LIBC = ctypes.CDLL(None, use_errno=True)
# What the kernel knows of walls; less than 2 is not enough.
LANDLOCK = LIBC.syscall(444, None, ctypes.c_size_t(0), 1)
# The number of the rules by which signals are kept in as well.
SIGNALS = 6

pytestmark = pytest.mark.skipif(
    not isolates() or LANDLOCK < 2, reason="the kernel refuses namespaces, of which none would be taken, or has no walls"
)
NO_NAMESPACES = ["unshare", "-Ur", "sh", "-c", REFUSES, "sh"]


@pytest.fixture(scope="module", params=users(), ids=lambda user: "ordinary" if user else "self")
def house(request):
    # Not in /tmp, which is open to functions.
    folder = pathlib.Path(tempfile.mkdtemp(prefix="walls-", dir="/var/tmp"))
    folder.chmod(0o777)
    yield House(folder, request.param)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def server(house):
    with house.server(before=NO_NAMESPACES, env={"SERVERS_OWN": "not-for-functions"}) as one:
        yield one


@pytest.fixture(scope="module")
def closed(house, server):
    """Files that are no function's business, each of which the server's user could open."""
    house.deploy(server, "other", "SECRET = 'of another'\n" + HANDLER)("result = 1")
    others = [path for path in server.data_dir.rglob("index.py") if "of another" in path.read_text()]
    keys = list(server.data_dir.rglob("ca.key"))
    assert others and keys
    files = [*others, *keys, pathlib.Path(f"/proc/{server.pid}/environ"), house.folder / "cosette"]
    assert all(file.read_bytes() for file in files)
    return [str(file) for file in files]


def invoke(server, name, event):
    return functions.call(functions.client(server), "Invoke", FunctionName=name, ClientContext=json.dumps(event))["Result"]


def run(server, text):
    answer = invoke(server, "walled", text)
    assert answer["InvokeResult"] == 0, answer
    return json.loads(answer["RetMsg"])


@pytest.fixture(scope="module")
def walled(house, server):
    house.deploy(server, "walled", MemorySize=512, Timeout=60)
    return lambda text: run(server, text)


PYTHON = """
def opened(path):
    try:
        open(path).close()
        return True
    except OSError:
        return False
"""
CUSTOM = f"#!{shutil.which('python3', path='/usr/bin:/bin') or '/usr/bin/env python3'}" + PYTHON + """
import json, os, urllib.request
base = "http://%s:%s/runtime/" % (os.environ["SCF_RUNTIME_API"], os.environ["SCF_RUNTIME_API_PORT"])
urllib.request.urlopen(base + "init/ready", b" ")
while True:
    paths = json.load(urllib.request.urlopen(base + "invocation/next"))
    urllib.request.urlopen(base + "invocation/response", json.dumps([opened(path) for path in paths]).encode())
"""
NODE = """
const fs = require('fs');
const opened = path => { try { fs.closeSync(fs.openSync(path)); return true } catch { return false } };
exports.main_handler = async paths => paths.map(opened);
"""
PHP = """<?php
function main_handler($paths, $context) {
    return array_map(fn($path) => @fopen($path, 'r') !== false, (array) $paths);
}
"""
JAVA = """
import java.io.*;
import java.util.*;

public class Reads {
    public List<Boolean> mainHandler(List<String> paths) {
        List<Boolean> all = new ArrayList<>();
        for (String path : paths) {
            try (FileInputStream file = new FileInputStream(path)) {
                all.add(true);
            } catch (IOException error) {
                all.add(false);
            }
        }
        return all;
    }
}
"""
READS = {
    # program that has to be there, the function's file, its text
    "Python3.9": ("python3", "index.py", PYTHON + "def main_handler(event, context):\n    return [opened(path) for path in event]\n"),
    "Nodejs18.15": ("node", "index.js", NODE),
    "Php8.0": ("php", "index.php", PHP),
    "CustomRuntime": ("python3", "bootstrap", CUSTOM),
    "Java11": ("javac", "Reads.java", JAVA),
    "Go1": ("go", "main", None),
}
HANDLERS = {"Java11": "Reads::mainHandler", "Go1": "main"}


def package(runtime, folder):
    """The code of the function that says which files it could open."""
    program, name, text = READS[runtime]
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    if runtime == "Go1":
        build = ["go", "build", "-o", folder / "main", "./reads"]
        subprocess.run(build, cwd=ROOT / "tests/go", check=True, timeout=600)
        return folder
    if runtime == "Java11":
        (folder / name).write_text(text)
        subprocess.run(["javac", folder / name], check=True, timeout=120)
        return folder
    return {name: text}


@pytest.mark.parametrize("runtime", READS)
def test_files_of_others_are_closed(server, closed, tmp_path, runtime):
    scf = functions.client(server)
    name = "reads-" + runtime.split(".")[0]
    functions.deploy(scf, name, package(runtime, tmp_path), runtime, handler=HANDLERS.get(runtime, "index.main_handler"), MemorySize=512, Timeout=60)
    own = {"Java11": "Reads.class"}.get(runtime, READS[runtime][1])
    answer = invoke(server, name, [own, "/etc/hosts", *closed])
    if answer["InvokeResult"] == -1 and json.loads(answer["RetMsg"])["statusCode"] == 445:
        pytest.skip("this user can reach no such program")
    assert answer["InvokeResult"] == 0, answer
    assert json.loads(answer["RetMsg"]) == [True, True, *[False for _ in closed]], answer


def test_it_is_said_once(server, walled):
    walled("result = 1")
    said = [line for line in server.log_text().splitlines() if "files are closed" in line]
    assert len(said) == 1 and "the kernel refuses namespaces" in said[0], said
    assert "can read the data directory" not in server.log_text()


def test_folders_of_others_are_closed_to_all_that_it_starts(server, walled):
    look = f"""
import os, subprocess
def names(folder):
    try:
        return len(os.listdir(folder))
    except PermissionError:
        return 'closed'
found = subprocess.run(['find', {str(server.data_dir)!r}, '-type', 'f'], capture_output=True, text=True)
result = [names({str(server.data_dir)!r}), names({str(server.data_dir / "functions")!r}), found.stdout, found.returncode]
"""
    assert walled(look) == ["closed", "closed", "", 1]


def test_where_it_may_write(server, walled):
    attempt = """
import os, tempfile
result = {}
places = {'code': '.', 'bootstraps': os.path.dirname(__import__('sys').argv[0] or '.'), 'own': os.environ['TMPDIR'], 'home': os.environ['HOME'], 'tmp': '/tmp', 'usr': '/usr', 'data': %r}
for what, folder in places.items():
    try:
        with tempfile.TemporaryDirectory(dir=folder) as made:
            os.mkdir(made + '/a'); os.mkdir(made + '/b')
            open(made + '/a/file', 'w').close()
            os.rename(made + '/a/file', made + '/b/file')
        result[what] = 'written'
    except OSError as error:
        result[what] = 'closed'
""" % str(server.data_dir)
    written = [what for what, how in walled(attempt).items() if how == "written"]
    assert written == ["own", "home", "tmp"]


def test_privileges_and_rare_calls_are_gone(walled):
    status = dict(line.split(":\t", 1) for line in walled("result = open('/proc/self/status').read()").splitlines() if ":\t" in line)
    assert {int(status[name], 16) for name in ("CapPrm", "CapEff", "CapInh", "CapBnd", "CapAmb")} == {0}
    assert status["NoNewPrivs"] == "1"
    calls = walled(CALLS)
    refused = ("keyctl", "userfaultfd", "perf_event_open", "bpf", "mount", "setns", "unshare", "vsock")
    assert {calls[name] for name in refused} == {"EPERM"} and calls["tcp"] == "done", calls


@pytest.mark.skipif(LANDLOCK < SIGNALS, reason="the kernel does not keep signals in")
def test_the_server_cannot_be_signalled(server, walled):
    assert walled(f"import os\ntry:\n    os.kill({server.pid}, 9)\nexcept PermissionError:\n    result = 'refused'") == "refused"
    assert server.health()


def test_locks_of_several_processes_work(walled):
    assert walled("import multiprocessing; result = [multiprocessing.Lock().acquire(), multiprocessing.Semaphore(2).acquire()]") == [True, True]


def test_layers_and_a_shared_folder_that_holds_the_data(house):
    with house.server("--share", str(house.folder), before=NO_NAMESPACES) as server:
        scf = functions.client(server)
        content = {"ZipFile": functions.base64_zip({"word.py": "WORD = 'of a layer'"})}
        functions.call(scf, "PublishLayerVersion", LayerName="words", CompatibleRuntimes=["Python3.9"], Content=content)
        house.deploy(server, "walled", Layers=[{"LayerName": "words", "LayerVersion": 1}])
        note = house.folder / "note"
        look = f"import os, word; open({str(note)!r}, 'w').write('seen'); result = [word.WORD, len(os.listdir({str(server.data_dir)!r})) > 0]"
        assert run(server, look) == ["of a layer", True]
        assert note.read_text() == "seen"
        said = [line for line in server.log_text().splitlines() if "can read the data directory" in line]
        assert len(said) == 1 and str(house.folder) in said[0], said
