"""Starts, asks and stops the real binary. Knows the command line and the admin API, no SDK."""

import contextlib
import json
import os
import pathlib
import queue
import shutil
import signal
import subprocess
import threading
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = pathlib.Path(os.environ.get("COSETTE_BINARY", ROOT / "target/release/cosette"))
READY = "cosette ready "
START_TIMEOUT_S = 60
# Of the server that most tests share; those that look at functions' process numbers start one with `off`.
ISOLATION = os.environ.get("COSETTE_TEST_ISOLATION", "auto")


def clean_environment(**extra):
    """This process's environment without what would configure a server or a client."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("COSETTE_", "TENCENTCLOUD_", "AWS_")) and not name.lower().endswith("_proxy")
    }
    return {**kept, **{name: str(value) for name, value in extra.items()}}


def cosette(*arguments, **options):
    """Runs a command of the binary that needs no server of ours."""
    options.setdefault("stderr", subprocess.PIPE)
    return subprocess.run(
        [str(BINARY), *map(str, arguments)],
        stdout=subprocess.PIPE,
        text=True,
        timeout=600,
        env=clean_environment(),
        **options,
    )


class DidNotStart(Exception):
    """The process ended before it was ready."""

    def __init__(self, status, output):
        super().__init__(f"status {status}: {output}")
        self.status = status
        self.output = output


class Instance:
    """One `cosette serve` process."""

    secret_id = "AKIDCosetteLocalDevelopment0000000000"
    secret_key = "CosetteLocalSecretKey00000000000"
    appid = "1250000000"
    uin = "100000000001"
    region = "ap-guangzhou"

    def __init__(self, data_dir, *arguments, log=None, env=None, program=(str(BINARY),)):
        """`data_dir=None` keeps everything in memory. `log` is where standard error goes. `program`
        is what is started; others may stand before the binary."""
        self.data_dir = data_dir
        where = ["--memory"] if data_dir is None else ["--data-dir", str(data_dir)]
        command = [*program, "serve", *where, *arguments]
        if "--listen" not in arguments and "COSETTE_LISTEN" not in (env or {}):
            command += ["--listen", "127.0.0.1:0"]
        self.log = log
        with open(log, "ab") if log else contextlib.nullcontext(subprocess.DEVNULL) as errors:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=clean_environment(**(env or {})),
                text=True,
            )
        self._lines = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()
        line = self._lines.get(timeout=START_TIMEOUT_S)
        if line is None or not line.startswith(READY):
            status = self.process.wait(timeout=START_TIMEOUT_S)
            raise DidNotStart(status, self.log_text() if log else (line or ""))
        self.ready_line = line
        self.url = line.removeprefix(READY).strip()
        self.host = self.url.removeprefix("http://")
        self.port = int(self.host.rsplit(":", 1)[1])

    def _read(self):
        for line in self.process.stdout:
            self._lines.put(line.rstrip("\n"))
        self._lines.put(None)

    @property
    def pid(self):
        return self.process.pid

    def log_text(self):
        return pathlib.Path(self.log).read_text(errors="replace") if self.log else ""

    # The admin API

    def admin(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/_cosette/{path}", data=data, method=method)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=120) as response:
                return json.load(response)
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{method} {path}: {error.code} {error.read()!r}") from None

    def health(self):
        return self.admin("GET", "health")

    def wait(self, request_id=None, timeout_ms=60_000):
        """Returns once quiet; fails the test when it does not become so."""
        asked = {"timeout_ms": timeout_ms}
        if request_id:
            asked["request_id"] = request_id
        answer = self.admin("POST", "wait", asked)
        assert answer["quiet"], answer
        return answer

    def is_quiet(self):
        return self.admin("POST", "wait", {"timeout_ms": 0})["quiet"]

    def head(self):
        return self.admin("GET", "changes?max=0")["head"]

    def changes(self, after=0, bucket=None, max=100_000):
        named = f"&bucket={bucket}" if bucket else ""
        return self.admin("GET", f"changes?after={after}&max={max}{named}")["changes"]

    def deliveries(self, function=None, max=100_000):
        """Newest first."""
        found = self.admin("GET", f"deliveries?max={max}")["deliveries"]
        return [d for d in found if function is None or (d["function"] or {}).get("name") == function]

    def invocations(self, function, max=1000):
        """Newest first."""
        return self.admin("GET", f"invocations?function={function}&max={max}")["invocations"]

    # Its life

    def cli(self, *arguments, check=True, **options):
        """Runs another subcommand of the binary against this server."""
        done = subprocess.run(
            [str(BINARY), *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=120,
            env=clean_environment(COSETTE_ENDPOINT=self.url),
            **options,
        )
        if check:
            assert done.returncode == 0, f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def peak_memory(self):
        """Peak resident memory of the process, in bytes."""
        status = pathlib.Path(f"/proc/{self.pid}/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024

    def stop(self, signal_number=signal.SIGTERM):
        """Asks it to end; returns its status."""
        if self.process.poll() is None:
            self.process.send_signal(signal_number)
        try:
            return self.process.wait(timeout=60)
        finally:
            if self.process.poll() is None:
                self.kill()

    def kill(self):
        """kill -9."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(timeout=60)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def remove(path):
    shutil.rmtree(path, ignore_errors=True)
