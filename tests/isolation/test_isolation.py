"""What a function can see and do of the machine: tried by functions that do try.

All of it twice where we are root: as root, and as an ordinary user.
"""

import concurrent.futures
import contextlib
import errno
import json
import os
import pathlib
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import uuid

import pytest

from support import functions
from support.instance import BINARY, Instance
from support.process import gone, isolates

NOBODY = 65534
# Runs what it is told to.
HANDLER = "def main_handler(event, context):\n    scope = {}\n    exec(event, scope)\n    return scope.get('result')\n"
REFUSES = "echo 0 > /proc/sys/user/max_user_namespaces; exec \"$@\""


pytestmark = pytest.mark.skipif(not isolates(), reason="the kernel refuses namespaces")


class House:
    """A folder that any user may reach, with servers run in it by one user."""

    def __init__(self, folder, user):
        self.folder, self.user = folder, user
        self.binary = folder / "cosette"
        shutil.copy(BINARY, self.binary)

    @contextlib.contextmanager
    def server(self, *arguments, before=(), env=None):
        as_user = []
        # A home that this user can reach, and only programs that it can.
        env = {"HOME": self.folder, **(env or {})}
        if self.user is not None:
            as_user = ["setpriv", f"--reuid={self.user}", f"--regid={self.user}", "--clear-groups"]
            env["PATH"] = "/usr/local/bin:/usr/bin:/bin"
        program = [*as_user, *before, str(self.binary)]
        name = uuid.uuid4().hex
        with Instance(self.folder / name, *arguments, log=self.folder / f"{name}.log", env=env, program=program) as one:
            yield one

    def deploy(self, server, name="trial", handler=HANDLER, **more):
        scf = functions.client(server)
        functions.deploy(scf, name, {"index.py": handler}, **more)
        return lambda text, name=name: functions.call(
            scf, "Invoke", FunctionName=name, ClientContext=json.dumps(text)
        )["Result"]


def users():
    return [None, NOBODY] if os.geteuid() == 0 else [None]


@pytest.fixture(scope="module", params=users(), ids=lambda user: "ordinary" if user else "self")
def house(request):
    folder = pathlib.Path(tempfile.mkdtemp(prefix="isolation-"))
    folder.chmod(0o777)
    yield House(folder, request.param)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def server(house):
    with house.server(env={"SERVERS_OWN": "not-for-functions"}) as one:
        yield one


@pytest.fixture(scope="module")
def run(house, server):
    """Runs code in the function; what it set `result` to."""
    invoke = house.deploy(server, MemorySize=512, Timeout=60)

    def run(text):
        answer = invoke(text)
        assert answer["InvokeResult"] == 0, answer
        return json.loads(answer["RetMsg"])

    return run


# The folders of a data directory that are seen: the one of certificates, and those it lies in.
ALL_OF = "import os; top = '%s'; result = sorted(os.path.relpath(folder, top) for folder, _, _ in os.walk(top))"
CERTIFICATES = [".", "functions", "functions/trust", "functions/trust/php"]


def processes(word):
    """The machine's processes that have this word in their command line."""
    found = []
    for folder in pathlib.Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if word.encode() in (folder / "cmdline").read_bytes() and int(folder.name) != os.getpid():
                found.append(int(folder.name))
    return found


def test_nothing_was_said_against_isolation(server, run):
    run("result = 1")
    assert "not isolated" not in server.log_text()


def test_a_function_sees_its_own_code_only(house, server, run):
    house.deploy(server, "other", "SECRET = 'of another'\n" + HANDLER)
    assert run("import os; result = os.getcwd(), os.listdir('/var/user')") == ["/var/user", ["index.py"]]
    look = "import subprocess; result = subprocess.run(['grep', '-rlI', '--exclude-dir=proc', %r, '/var', '/home', '/tmp', '/etc'], capture_output=True, text=True).stdout"
    assert run(look % "of another") == ""
    assert run(look % "def main_handler") == "/var/user/index.py\n", "what is looked for would be found"
    assert run(ALL_OF % str(server.data_dir)) == CERTIFICATES
    where = run("import os, sys; result = [sys.executable, os.path.realpath(sys.executable)]")
    allowed = {"bin", "dev", "etc", "home", "lib", "lib32", "lib64", "libx32", "nix", "opt", "proc", "sbin", "tmp", "usr", "var"}
    assert set(run("import os; result = os.listdir('/')")) <= allowed | {pathlib.Path(path).parts[1] for path in where}
    assert run("import os; result = [os.path.exists(p) for p in ('/etc/shadow', '/root/.ssh', '/etc/ssl/private', '/sys')]") == [False] * 4


def test_a_function_sees_its_own_processes_only(server, run):
    look = """
import pathlib
import re
result = {p.name: (p / 'cmdline').read_text() for p in pathlib.Path('/proc').glob('[0-9]*')}
"""
    seen = run(look)
    assert "1" in seen and len(seen) == 2 and not any("serve" in line for line in seen.values()), seen
    look = """
import pathlib
import re
result = ''
for p in pathlib.Path('/proc').glob('[0-9]*'):
    try:
        result += (p / 'environ').read_text()
    except PermissionError:
        result += '(refused)'
"""
    seen = run(look)
    assert "TENCENTCLOUD_RUNENV" in seen and "(refused)" in seen and "SERVERS_OWN" not in seen


def test_only_tmp_is_writable(run):
    attempt = """
result = {}
for folder in ('/', '/var/user', '/usr', '/etc', '/dev', '/home/qcloud', '/var/runtime/bootstrap', '/proc/sys/kernel', '/tmp'):
    try:
        open(folder + '/written', 'w').close()
        result[folder] = 'written'
    except OSError as error:
        result[folder] = error.errno
"""
    written = run(attempt)
    assert [folder for folder, how in written.items() if how == "written"] == ["/tmp"], written
    assert not pathlib.Path("/tmp/written").exists()
    assert run("import os; result = os.path.exists('/tmp/written')"), "it is kept while the instance lives"
    overwrite = "\ntry:\n    open('/proc/sys/kernel/core_pattern', 'w').write('|/bin/false')\nexcept OSError as e:\n    result = 'refused'"
    assert run(overwrite) == "refused"


def test_tmp_has_512_megabytes(run):
    fill = """
import os, tempfile
with tempfile.TemporaryFile() as file:
    os.posix_fallocate(file.fileno(), 0, 500 << 20)
    try:
        os.posix_fallocate(file.fileno(), 0, 520 << 20)
        result = 'no limit'
    except OSError as error:
        result = error.errno
"""
    assert run(fill) == 28


def test_no_privileges(run):
    status = run("result = open('/proc/self/status').read()")
    told = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert {int(told[name], 16) for name in ("CapPrm", "CapEff", "CapInh", "CapBnd", "CapAmb")} == {0}
    assert told["NoNewPrivs"] == "1"
    attempt = "import subprocess; result = subprocess.run(['unshare', '-Ur', 'id'], capture_output=True).returncode"
    assert run(attempt) != 0, "no namespaces of its own, where it would be privileged"
    limits = "import resource; result = [resource.getrlimit(n)[1] for n in (resource.RLIMIT_NOFILE, resource.RLIMIT_NPROC, resource.RLIMIT_CORE)]"
    assert run(limits) == [1024, 1024, 0]


# Calls by number, with arguments by which the kernel alone would do it, or find another fault.
CALLS = """
import ctypes, errno, platform
libc = ctypes.CDLL(None, use_errno=True)
arm = platform.machine() == 'aarch64'
numbers = {
    'keyctl': (219 if arm else 250, 0, -3, 0),
    'io_uring_setup': (425, 1, None),
    'clone3': (435, None, 0),
    'userfaultfd': (282 if arm else 323, 1),
    'perf_event_open': (241 if arm else 298, None, 0, -1, -1, 0),
    'bpf': (280 if arm else 321, 99, None, 0),
    'mount': (40 if arm else 165, b'none', b'/nowhere', b'tmpfs', 0, None),
    'setns': (268 if arm else 308, -1, 0),
    'unshare': (97 if arm else 272, 0x10000000),
    'unshare files': (97 if arm else 272, 0x400),
    'vsock': (198 if arm else 41, 40, 1, 0),
    'tcp': (198 if arm else 41, 2, 1, 0),
}
def call(number, *arguments):
    ctypes.set_errno(0)
    libc.syscall(ctypes.c_long(number), *[ctypes.c_long(a) if isinstance(a, int) else a for a in arguments])
    return errno.errorcode.get(ctypes.get_errno(), 'done')
result = {name: call(*arguments) for name, arguments in numbers.items()}
"""


def test_system_calls_that_no_function_needs(run):
    wanted = dict.fromkeys(("keyctl", "userfaultfd", "perf_event_open", "bpf", "mount", "setns", "unshare", "vsock"), "EPERM")
    wanted |= {"io_uring_setup": "ENOSYS", "clone3": "ENOSYS", "unshare files": "done", "tcp": "done"}
    assert run(CALLS) == wanted


def test_the_server_cannot_be_signalled(server, run):
    attempt = f"""
import os, signal
result = []
for pid in ({server.pid}, {os.getpid()}):
    try:
        os.kill(pid, signal.SIGKILL)
        result.append('sent')
    except ProcessLookupError:
        result.append('nobody')
signal.signal(signal.SIGTERM, signal.SIG_IGN)
os.kill(0, signal.SIGTERM)
os.kill(1, signal.SIGKILL)
"""
    assert run(attempt) == ["nobody", "nobody"]
    assert server.health()
    assert run("result = 2") == 2, "nor is the first process of its own killed"


# Goes on when the daemon's program runs, which closes its end of the pipe.
DAEMON = """
import os
waits, runs = os.pipe()
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.execve('/bin/sleep', ['sleep', '%s'], {})
    os._exit(0)
os.close(runs)
os.wait()
os.read(waits, 1)
"""


def test_a_daemon_ends_with_its_instance(house, server):
    invoke = house.deploy(server, "daemon")
    word = f"1000.{uuid.uuid4().int % 10**9}"
    assert invoke(DAEMON % word)["InvokeResult"] == 0
    (daemon,) = processes(word)
    answer = invoke("import os; os._exit(3)")
    assert answer["ErrMsg"] == "User process exit when running (exit status: 3)", answer
    assert gone(daemon) and processes(word) == []


def test_a_killed_server_leaves_nothing(house):
    word = f"1000.{uuid.uuid4().int % 10**9}"
    with house.server() as server:
        assert house.deploy(server)(DAEMON % word)["InvokeResult"] == 0
        (daemon,) = processes(word)
        server.kill()
    assert gone(daemon)


def test_a_flood_of_processes_is_bounded(house, server):
    word = f"1000.{uuid.uuid4().int % 10**9}"
    invoke = house.deploy(server, "flood", MemorySize=3072, Timeout=60)
    flood = f"""
import subprocess
result = 0
try:
    while True:
        subprocess.Popen(['sleep', '{word}'])
        result += 1
except BlockingIOError:
    pass
"""
    answer = invoke(flood)
    if house.user or os.geteuid() != 0:
        assert answer["InvokeResult"] == 0 and 900 < int(answer["RetMsg"]) < 1024, answer
        answer = invoke("import os; os._exit(1)")
    else:
        # The kernel does not count root's processes; the server does.
        assert answer["ErrMsg"] == "User process exit when running (it had more than 1024 processes)", answer
    assert all(gone(pid) for pid in processes(word))
    assert server.health()


# Takes 4 GB as fast as it can be had.
GREEDY = {
    "Python3.9": ("index.py", "def main_handler(event, context):\n    return len([b'x' * (64 << 20) for _ in range(64)])\n"),
    "Nodejs18.15": ("index.js", "exports.main_handler = async () => { const all = []; for (let n = 0; n < 64; n++) all.push(Buffer.alloc(64 << 20).fill(1)); return all.length }"),
}


def out_of_memory(answer):
    assert answer["ErrMsg"] == "Memory limit of 128 MB reached", answer
    assert json.loads(answer["RetMsg"])["statusCode"] == 434


@pytest.mark.parametrize("runtime", GREEDY)
def test_memory_is_bounded_however_fast_it_is_taken(house, server, runtime):
    scf = functions.client(server)
    name, code = GREEDY[runtime]
    functions.deploy(scf, "greedy-" + runtime[:4], {name: code}, runtime, MemorySize=128, Timeout=60)
    answer = functions.call(scf, "Invoke", FunctionName="greedy-" + runtime[:4], LogType="Tail")["Result"]
    if answer["InvokeResult"] == -1 and json.loads(answer["RetMsg"])["statusCode"] == 445:
        pytest.skip("this user can reach no node")
    out_of_memory(answer)
    assert re.search(r"Memory limit of 128 MB reached|Max Memory", answer["Log"]), answer["Log"]
    assert answer["MemUsage"] < 1 << 30, f"{answer['MemUsage'] >> 20} MB were taken"
    print(runtime, "took", answer["MemUsage"] >> 20, "MB")


# Comes near its limit, waits, and takes the rest as fast as the kernel clears pages. Then prints how long it has been over.
GREEDY_NEAR_THE_LIMIT = """
import mmap, os, time
MAP_POPULATE = 0x8000

def resident():
    return int(open('/proc/self/statm').read().split()[1]) * mmap.PAGESIZE

def take(size):
    return mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | MAP_POPULATE)

def main_handler(event, context):
    kept = [take((120 << 20) - resident())]
    time.sleep(0.1 + event / 1000)
    has, over = resident(), None
    for n in range(4000):
        kept.append(take(1 << 20))
        if has + (n << 20) >= 128 << 20:
            over = over or time.monotonic()
            os.write(1, b'over for %.1f ms\\n' % (1000 * (time.monotonic() - over)))
"""


def test_memory_near_its_limit_is_looked_at_often(house, server):
    """Begins in each part of 50 ms. If it were looked at every 50 ms, it would be over for half as long on the average."""
    scf = functions.client(server)
    functions.deploy(scf, "near", {"index.py": GREEDY_NEAR_THE_LIMIT}, MemorySize=128, Timeout=60)
    over = []
    for wait_ms in range(0, 50, 7):
        answer = functions.call(scf, "Invoke", FunctionName="near", ClientContext=str(wait_ms), LogType="Tail")["Result"]
        out_of_memory(answer)
        over.append(max(map(float, re.findall(r"over for (\d+\.\d) ms", answer["Log"])), default=0))
    print("over the limit for, in ms:", over)
    assert sorted(over)[len(over) // 2] < 15, over


# Says that it is there, and waits for a word before it takes memory.
GREEDY_IN_TIME = """
import os
def main_handler(event, context):
    go = os.open(%r, os.O_RDWR)
    os.write(os.open(%r, os.O_RDWR), b'x')
    os.read(go, 1)
    return len([b'x' * (64 << 20) for _ in range(64)])
"""


def test_a_fence_holds_while_nobody_looks(house):
    """The server is stopped while the function takes its memory: the kernel alone keeps it."""
    shared = house.folder / uuid.uuid4().hex
    shared.mkdir()
    shared.chmod(0o777)
    for name in ("go", "there"):
        os.mkfifo(shared / name)
        (shared / name).chmod(0o666)
    go, there = (os.open(shared / name, os.O_RDWR) for name in ("go", "there"))
    with house.server("--share", str(shared)) as server, concurrent.futures.ThreadPoolExecutor() as pool:
        if "memory is fenced by the kernel" not in server.log_text():
            pytest.skip("this user may make no control groups of version 2")
        scf = functions.client(server)
        code = GREEDY_IN_TIME % (str(shared / "go"), str(shared / "there"))
        functions.deploy(scf, "fenced", {"index.py": code}, MemorySize=128, Timeout=60)
        answer = pool.submit(functions.call, scf, "Invoke", FunctionName="fenced")
        assert select.select([there], [], [], 60)[0], "the function did not start"
        os.kill(server.process.pid, signal.SIGSTOP)
        try:
            inside = [pid for pid in processes("python3.py") if f"cosette-{server.process.pid}-" in cgroup(pid)]
            assert len(inside) == 1
            os.write(go, b"x")
            assert gone(inside[0]), "the kernel did not end it"
        finally:
            os.kill(server.process.pid, signal.SIGCONT)
        out_of_memory(answer.result()["Result"])
    os.close(go)
    os.close(there)


def cgroup(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/cgroup").read_text()
    except OSError:
        return ""


def test_how_a_function_ended_is_told(house, server):
    invoke = house.deploy(server, "ending")
    answer = invoke("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)")
    assert answer["ErrMsg"] == "User process exit when running (signal: 11 (SIGSEGV))", answer
    answer = invoke("raise ValueError('here')")
    assert "/var/user/index.py" in answer["RetMsg"] and answer["MemUsage"] > 1 << 20, answer


def test_a_starter_that_cannot_run(house, server):
    scf = functions.client(server)
    for name, text in [("no-such", "#!/no/such/program\n"), ("good", CUSTOM)]:
        functions.deploy(scf, name, {"bootstrap": text}, runtime="CustomRuntime", handler="any")
    call = lambda name: functions.call(scf, "Invoke", FunctionName=name, ClientContext='"asked"')["Result"]
    answer = call("no-such")
    assert answer["InvokeResult"] != 0 and "cannot be started" in answer["ErrMsg"], answer
    answer = call("good")
    assert json.loads(answer["RetMsg"]) == "/var/user", answer


CUSTOM = f"""#!{shutil.which("python3", path="/usr/bin:/bin") or "/usr/bin/env python3"}
import json, os, urllib.request
base = "http://%s:%s/runtime/" % (os.environ["SCF_RUNTIME_API"], os.environ["SCF_RUNTIME_API_PORT"])
urllib.request.urlopen(base + "init/ready", b" ")
while True:
    urllib.request.urlopen(base + "invocation/next").read()
    urllib.request.urlopen(base + "invocation/response", json.dumps(os.getcwd()).encode())
"""


def test_layers_lie_at_opt_as_one_folder(house, server):
    scf = functions.client(server)
    for name, files in [
        ("below", {"python/one.py": "WORD = 1", "bin/tool": "below", "only/a": "a", "thing": "file"}),
        ("above", {"python/two.py": "WORD = 2", "bin/tool": "above", "thing/inner": "folder"}),
    ]:
        content = {"ZipFile": functions.base64_zip(files)}
        functions.call(scf, "PublishLayerVersion", LayerName=name, CompatibleRuntimes=["Python3.9"], Content=content)
    layers = [{"LayerName": name, "LayerVersion": 1} for name in ("below", "above")]
    invoke = house.deploy(server, "layered", Layers=layers)
    look = """
import glob, os, sys
sys.path.append('/opt/python')
import one, two
result = sorted(p for p in glob.glob('/opt/**', recursive=True) if os.path.isfile(p)), open('/opt/bin/tool').read()
"""
    answer = invoke(look)
    assert answer["InvokeResult"] == 0, answer
    files, tool = json.loads(answer["RetMsg"])
    assert tool == "above"
    files = [file for file in files if not file.endswith(".pyc")]
    wanted = ["/opt/bin/tool", "/opt/only/a", "/opt/python/one.py", "/opt/python/two.py", "/opt/thing/inner"]
    assert [file for file in files if file in wanted or file == "/opt/thing"] == wanted, files


def test_a_shared_folder(house):
    shared = house.folder / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    with house.server("--share", str(house.folder)) as server:
        invoke = house.deploy(server)
        answer = invoke(f"open({str(shared / 'note')!r}, 'w').write('seen')")
        assert answer["InvokeResult"] == 0, answer
        assert (shared / "note").read_text() == "seen"
        answer = invoke(ALL_OF % str(server.data_dir))
        assert json.loads(answer["RetMsg"]) == CERTIFICATES, "what is the server's stays hidden"
    shutil.rmtree(shared)
    with pytest.raises(Exception, match="status 2"), house.server("--share", str(shared)):
        pass


def test_node_is_isolated_too(house, server):
    scf = functions.client(server)
    code = "exports.main_handler = async () => [process.cwd(), require('fs').readdirSync('/var/user'), process.env.HOME]"
    functions.deploy(scf, "in-node", {"index.js": code}, runtime="Nodejs18.15")
    answer = functions.call(scf, "Invoke", FunctionName="in-node")["Result"]
    if answer["InvokeResult"] == -1 and json.loads(answer["RetMsg"])["statusCode"] == 445:
        pytest.skip("this user can reach no node")
    assert json.loads(answer["RetMsg"]) == ["/var/user", ["index.js"], "/home/qcloud"], answer


def test_isolation_can_be_switched_off(house):
    with house.server("--isolation", "off") as server:
        answer = house.deploy(server)(f"import os; result = os.path.exists({str(server.data_dir)!r})")
        assert answer["RetMsg"] == "true", answer
        assert "not isolated" not in server.log_text()


# The kernel puts 16 walls around a process, and no more: these have no effect but to be counted.
NO_WALLS = """
import ctypes, os, sys
libc = ctypes.CDLL(None)
libc.prctl(38, 1, 0, 0, 0)
for _ in range(16 if libc.syscall(444, None, ctypes.c_size_t(0), 1) > 0 else 0):
    rules = libc.syscall(444, ctypes.byref(ctypes.c_uint64(1 << 6)), ctypes.c_size_t(8), 0)
    assert libc.syscall(446, rules, 0) == 0
    os.close(rules)
os.execv(sys.argv[1], sys.argv[1:])
"""


def test_where_the_kernel_refuses_all_functions_run_all_the_same(house):
    python = "/usr/bin/python3" if house.user else sys.executable
    with house.server(before=["unshare", "-Ur", "sh", "-c", REFUSES, "sh", python, "-c", NO_WALLS]) as server:
        invoke = house.deploy(server)
        for _ in range(2):
            answer = invoke(f"import os; result = os.listdir({str(server.data_dir)!r}) != []")
            assert answer["RetMsg"] == "true", answer
            invoke("import os; os._exit(1)")
        said = [line for line in server.log_text().splitlines() if "not isolated" in line]
        assert len(said) == 1 and "the kernel refuses namespaces" in said[0] and "Landlock" in said[0], said


NETWORK = """
import os, socket, urllib.error, urllib.request

def to(host, port):
    try:
        return socket.create_connection((host, port), timeout=20).recv(20).decode() or 'closed'
    except OSError as error:
        return type(error).__name__

def admin(url, **proxies):
    opener = urllib.request.build_opener(urllib.request.ProxyHandler(proxies))
    try:
        return opener.open(url, b'{}', timeout=20).status
    except urllib.error.HTTPError as error:
        return error.code
"""


def test_a_network_of_its_own(house, server, run):
    abstract = "cosette-" + uuid.uuid4().hex
    with socket.socket(socket.AF_UNIX) as hidden, socket.create_server(("127.0.0.1", 0)) as neighbour:
        hidden.bind("\0" + abstract)
        hidden.listen()
        assert run("import os; result = os.listdir('/sys/class/net') if os.path.exists('/sys') else open('/proc/net/dev').read().count(':')") == 1
        attempt = f"import socket\ntry:\n    socket.socket(socket.AF_UNIX).connect('\\0{abstract}')\nexcept OSError as e:\n    result = e.errno"
        assert run(attempt) == errno.ECONNREFUSED
        # The machine's own services are let through, from a program of any language: curl knows no hook of ours.
        threading.Thread(target=lambda: neighbour.accept()[0].sendall(b"hello"), daemon=True).start()
        assert run(NETWORK + f"result = to('127.0.0.1', {neighbour.getsockname()[1]})") == "hello"
    # What it listens at itself is its own, and nobody else's.
    own = NETWORK + "one = socket.create_server(('127.0.0.1', 9000))\nimport threading\nthreading.Thread(target=lambda: one.accept()[0].sendall(b'own'), daemon=True).start()\nresult = to('127.0.0.1', 9000)"
    assert run(own) == "own"


def test_the_admin_api_is_not_for_functions(server, run):
    url = f"{server.url}/_cosette/folder"
    assert run(NETWORK + f"result = admin({url!r})") == 403
    assert run(NETWORK + f"result = admin({url!r}, http=os.environ['HTTP_PROXY'])") == 403
    # Other doors of the server are open by its address: function URLs by path, packages. There are none of these.
    for path in ("url/abcdefghij/", "packages/none"):
        assert run(NETWORK + f"result = admin('{server.url}/_cosette/{path}')") == 404
    assert run(NETWORK + f"result = admin('{server.url}/')") == 200


GO = """package main

import (
	"fmt"
	"net"
	"net/http"
	"os"
)

func main() {
	client := &http.Client{Transport: &http.Transport{}}
	response, err := client.Get(os.Args[1])
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(response.StatusCode)
	if _, err = net.Dial("udp", "203.0.113.7:53"); err == nil {
		fmt.Println("udp")
	}
}
"""


@pytest.mark.skipif(shutil.which("go") is None, reason="Go is not installed")
def test_a_program_that_knows_no_proxy_comes_home(house, server, tmp_path):
    (tmp_path / "main.go").write_text(GO)
    program = tmp_path / "call"
    env = {**os.environ, "CGO_ENABLED": "0"}
    subprocess.run(["go", "build", "-o", program, tmp_path / "main.go"], check=True, timeout=600, env=env, cwd=tmp_path)
    scf = functions.client(server)
    code = {"index.py": HANDLER, "call": program.read_bytes()}
    functions.deploy(scf, "goes-home", code, Timeout=60, MemorySize=512)
    call = """
import os, shutil, subprocess
shutil.copy('/var/user/call', '/tmp/call'); os.chmod('/tmp/call', 0o700)
result = [subprocess.run(['/tmp/call', url], capture_output=True, text=True).stdout for url in %r]
"""
    urls = ["https://b-1250000000.cos.ap-guangzhou.myqcloud.com/", "https://www.example.com/", "http://db.example.com:5432/"]
    text = call % urls
    answer = functions.call(scf, "Invoke", FunctionName="goes-home", ClientContext=json.dumps(text))["Result"]
    assert answer["InvokeResult"] == 0, answer
    home, other, third = json.loads(answer["RetMsg"])
    assert home.startswith(("403", "404")), home
    assert "access denied" in other and not third.startswith("200"), (other, third)
    record = next(r for r in server.admin("GET", "invocations")["invocations"] if r["requestId"] == answer["FunctionRequestId"])
    assert record["refused"] == ["www.example.com:443", "db.example.com:5432"]
