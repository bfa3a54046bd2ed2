"""kill -9 of the real process, many times, under load: nothing acknowledged is lost, nothing half is seen.

The moment of the kill is drawn among the steps of the writers' own requests (before a request,
half-way through a body, before the answer is read, after it), so no clock is involved.
`COSETTE_KILL_ROUNDS` and `COSETTE_KILL_SEED` choose how often and which moments;
`COSETTE_KILL_MINUTES` goes on for so long instead (scripts/crash).
"""

import hashlib
import http.client
import os
import random
import threading
import time

import pytest

from support import functions, raw
from support.instance import Instance, cosette
from support.process import gone

ROUNDS = int(os.environ.get("COSETTE_KILL_ROUNDS", 20))
MINUTES = float(os.environ.get("COSETTE_KILL_MINUTES", 0))
SEED = int(os.environ.get("COSETTE_KILL_SEED", random.SystemRandom().randrange(1 << 32)))
WRITERS = 6
KEYS = 12
MIB = 1 << 20
BUCKET = "crash-1250000000"
WATCHED = "watched/"
CLOSED = (ConnectionError, http.client.HTTPException, TimeoutError, OSError)

# Tells the outside, in one atomic append, that it ran and which request it ran for.
NOTE = """
import os

def main_handler(event, context):
    request = event["Records"][0]["cos"]["cosObject"]["meta"]["x-cos-request-id"]
    note = os.open(os.environ["NOTES"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(note, f"{request} {os.getpid()}\\n".encode())
    os.close(note)
"""


class Killed(Exception):
    """The server went away before the answer was read."""


class Trap:
    """Kills the server when the writers have taken a drawn number of steps together."""

    def __init__(self, server, steps):
        self.server, self.left = server, steps
        self.lock = threading.Lock()

    def step(self):
        with self.lock:
            self.left -= 1
            if self.left == 0:
                self.server.kill()


class Body:
    """What a key holds: bytes made from a number, so that nothing large is kept."""

    def __init__(self, number, size):
        self.number, self.size = number, size

    def bytes(self):
        return hashlib.shake_128(str(self.number).encode()).digest(self.size)

    def etag(self):
        return f'"{raw.md5(self.bytes())}"'


class Key:
    """The model of one key: what was acknowledged, and what may or may not have happened since."""

    def __init__(self, name):
        self.name = name
        self.now = None
        self.maybe = []

    def expects(self):
        return [self.now, *self.maybe]


class Acknowledged:
    """One acknowledged change, for looking it up in the change log."""

    def __init__(self, request_id, key, kind, etag):
        self.request_id, self.key, self.kind, self.etag = request_id, key, kind, etag


class Writer(threading.Thread):
    """Puts, overwrites, deletes and multipart-uploads its own keys until the server is gone."""

    def __init__(self, number, server, trap, keys, uploads, seed):
        super().__init__(daemon=True)
        self.number, self.server, self.trap = number, server, trap
        self.keys, self.uploads = keys, uploads
        self.chance = random.Random(seed)
        self.acknowledged = []
        self.link = raw.connect(server, timeout=60)
        self.failure = None

    def run(self):
        try:
            while True:
                self.one()
        except Killed:
            pass
        except BaseException as failure:
            self.failure = failure
            raise

    def send(self, method, key, query=(), headers=None, body=b"", statuses=(200, 204)):
        """A COS-signed request in steps; the answer, or `Killed`."""
        path = f"/{BUCKET}/{key}"
        headers = {"Host": self.server.host, "Content-Length": str(len(body)), **(headers or {})}
        headers["Authorization"] = raw.cos_authorization(self.server, method, path, query, headers)
        try:
            self.trap.step()
            self.link.putrequest(method, raw.target_of(path, query), skip_host=True, skip_accept_encoding=True)
            for name, value in headers.items():
                self.link.putheader(name, value)
            self.link.endheaders()
            if body:
                self.link.send(body[: len(body) // 2])
                self.trap.step()
                self.link.send(body[len(body) // 2 :])
            self.trap.step()
            got = self.link.getresponse()
            answer = raw.Response(got.status, got.getheaders(), got.read())
        except CLOSED as failure:
            raise Killed from failure
        assert answer.status in statuses, (method, key, query, answer)
        self.trap.step()
        return answer

    def body(self):
        size = self.chance.choice([0, 1, 100, 4096, 4096, 30_000, 70_000, 300_000, MIB])
        return Body(self.chance.getrandbits(64), size)

    def one(self):
        key = self.chance.choice(self.keys)
        action = self.chance.choices(["put", "delete", "multipart", "copy"], [10, 3, 2, 1])[0]
        getattr(self, action)(key)

    def settle(self, key, now, answer, kind):
        key.maybe, key.now = [], now
        etag = None if now is None else now[1]
        self.acknowledged.append(Acknowledged(answer.header("x-cos-request-id"), key.name, kind, etag))

    def put(self, key):
        body = self.body()
        key.maybe = [(body, body.etag())]
        answer = self.send("PUT", key.name, body=body.bytes())
        assert answer.header("etag") == body.etag()
        self.settle(key, (body, body.etag()), answer, "cos:ObjectCreated:Put")

    def delete(self, key):
        known = key.now
        key.maybe = [None]
        answer = self.send("DELETE", key.name)
        if known is None:
            key.maybe = []
        else:
            self.settle(key, None, answer, "cos:ObjectRemove:Delete")

    def copy(self, key):
        source = self.chance.choice(self.keys)
        if source.now is None or source is key:
            return
        key.maybe = [source.now]
        where = {"x-cos-copy-source": f"{BUCKET}.cos.ap-guangzhou.myqcloud.com/{source.name}"}
        answer = self.send("PUT", key.name, headers=where)
        etag = answer.xml().findtext("ETag")
        self.settle(key, (source.now[0], etag), answer, "cos:ObjectCreated:Copy")

    def multipart(self, key):
        body = Body(self.chance.getrandbits(64), MIB + self.chance.randrange(1, 200_000))
        data = body.bytes()
        upload = self.send("POST", key.name, [("uploads", "")]).xml().findtext("UploadId")
        parts = self.uploads[upload] = (key.name, {})
        rows = ""
        for number, part in ((1, data[:MIB]), (2, data[MIB:])):
            query = [("partNumber", str(number)), ("uploadId", upload)]
            etag = self.send("PUT", key.name, query, body=part).header("etag")
            assert etag == f'"{raw.md5(part)}"'
            parts[1][number] = etag
            rows += f"<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>"
        if self.chance.random() < 0.2:
            self.uploads[upload] = None
            self.send("DELETE", key.name, [("uploadId", upload)])
            del self.uploads[upload]
            return
        digests = hashlib.md5(data[:MIB]).digest() + hashlib.md5(data[MIB:]).digest()
        etag = f'"{hashlib.md5(digests).hexdigest()}-2"'
        key.maybe = [(body, etag)]
        # From here on the upload may be gone or not.
        self.uploads[upload] = None
        document = f"<CompleteMultipartUpload>{rows}</CompleteMultipartUpload>".encode()
        answer = self.send("POST", key.name, [("uploadId", upload)], body=document)
        del self.uploads[upload]
        self.settle(key, (body, answer.xml().findtext("ETag")), answer, "cos:ObjectCreated:CompleteMultipartUpload")


class Reader(threading.Thread):
    """Reads any key while it is being written: what is visible is always whole."""

    def __init__(self, server, names, seed):
        super().__init__(daemon=True)
        self.server, self.names, self.chance = server, names, random.Random(seed)
        self.failure = None
        self.reads = 0

    def run(self):
        link = raw.connect(self.server)
        try:
            while True:
                name = self.chance.choice(self.names)
                got = raw.s3(self.server, "GET", raw.path_of(BUCKET, name), connection=link)
                assert got.status in (200, 404), got
                etag = got.header("etag")
                if got.status == 200 and "-" not in etag:
                    assert etag == f'"{raw.md5(got.body)}"', name
                self.reads += 1
        except CLOSED:
            pass
        except BaseException as failure:
            self.failure = failure
            raise


def listed(server):
    """Every key of the bucket with its ETag and size, page by page."""
    rows, query = {}, {"list-type": "2", "max-keys": "100"}
    while True:
        tree = raw.s3(server, "GET", raw.path_of(BUCKET), query).xml()
        for row in tree.iter("Contents"):
            assert row.findtext("Key") not in rows
            rows[row.findtext("Key")] = (row.findtext("ETag"), int(row.findtext("Size")))
        if tree.findtext("IsTruncated") == "false":
            return rows
        query["continuation-token"] = tree.findtext("NextContinuationToken")


class Notes:
    """What the function noted: the requests it ran for, and in which processes."""

    def __init__(self, path):
        self.path, self.at = path, 0
        self.runs, self.requests = 0, set()

    def read(self):
        """Takes in what is new; the processes that wrote it."""
        if not self.path.exists():
            return set()
        with open(self.path, "rb") as file:
            file.seek(self.at)
            whole, newline, _ = file.read().rpartition(b"\n")
        self.at += len(whole + newline)
        new = [line.decode().split() for line in whole.splitlines()]
        self.runs += len(new)
        self.requests |= {request for request, _ in new}
        return {int(pid) for _, pid in new}

    def all_gone(self):
        """Asked after each end of a server, so that no process number has come round again."""
        for pid in self.read():
            assert gone(pid), f"function process {pid} outlived its server"


class Check:
    """What must hold after each restart. Losses are collected, so that all of them are told."""

    def __init__(self, server, keys, uploads, losses):
        self.server, self.keys, self.uploads, self.losses = server, keys, uploads, losses
        self.undecided = 0

    def objects(self):
        rows = listed(self.server)
        link = raw.connect(self.server)
        for key in self.keys:
            got = raw.s3(self.server, "GET", raw.path_of(BUCKET, key.name), connection=link)
            assert got.status in (200, 404), got
            allowed = key.expects()
            if got.status == 404:
                if None not in allowed:
                    self.losses.append(f"{key.name}: an acknowledged object is gone")
                assert key.name not in rows, f"{key.name}: listed but missing"
                seen = None
            else:
                matching = [
                    state
                    for state in allowed
                    if state is not None and state[0].size == len(got.body) and state[0].bytes() == got.body
                ]
                if not matching:
                    self.losses.append(f"{key.name}: {len(got.body)} bytes that are not the last write's")
                    continue
                assert rows.get(key.name) == (got.header("etag"), len(got.body)), key.name
                seen = (matching[0][0], got.header("etag"))
                if "-" not in seen[1]:
                    assert seen[1] == seen[0].etag(), key.name
            self.undecided += len(allowed) > 1
            key.now, key.maybe = seen, []
        assert set(rows) <= {key.name for key in self.keys}, "nothing else is visible"
        link.close()

    def open_uploads(self):
        """Acknowledged parts are there; then the uploads are aborted."""
        tree = raw.s3(self.server, "GET", raw.path_of(BUCKET), {"uploads": ""}).xml()
        there = {row.findtext("UploadId"): row.findtext("Key") for row in tree.iter("Upload")}
        for upload, parts in self.uploads.items():
            if parts is None:
                continue
            key, etags = parts
            if there.get(upload) != key:
                self.losses.append(f"upload {upload} of {key} was acknowledged and is gone")
                continue
            listed_parts = raw.s3(self.server, "GET", raw.path_of(BUCKET, key), {"uploadId": upload}).xml()
            have = {int(p.findtext("PartNumber")): p.findtext("ETag") for p in listed_parts.iter("Part")}
            if not etags.items() <= have.items():
                self.losses.append(f"parts of {upload} were acknowledged and are gone")
        for upload, key in there.items():
            assert raw.s3(self.server, "DELETE", raw.path_of(BUCKET, key), {"uploadId": upload}).status == 204
        self.uploads.clear()

    def changes(self, acknowledged, after):
        """Each acknowledged change is in the log once, in the order of its key's writes."""
        rows = self.server.changes(after=after, bucket=BUCKET)
        assert [row["seq"] for row in rows] == sorted({row["seq"] for row in rows})
        found = {}
        for row in rows:
            assert row["requestId"] not in found, "one change a request"
            found[row["requestId"]] = row
        last = {}
        for change in acknowledged:
            row = found.get(change.request_id)
            if not row:
                self.losses.append(f"{change.kind} of {change.key} was acknowledged and is not in the change log")
                continue
            assert (row["kind"], row["bucket"], row["key"]) == (change.kind, BUCKET, change.key)
            if change.etag:
                assert row["etag"].strip('"') == change.etag.strip('"')
            assert last.get(change.key, 0) < row["seq"], "in the order they were acknowledged"
            last[change.key] = row["seq"]


def rounds():
    """So many, or as many as there is time for."""
    if not MINUTES:
        yield from range(ROUNDS)
        return
    began = time.monotonic()
    done = 0
    while time.monotonic() < began + 60 * MINUTES:
        yield done
        done += 1


def test_nothing_acknowledged_is_lost(tmp_path, capsys):
    chance = random.Random(SEED)
    notes, data, log = Notes(tmp_path / "notes"), tmp_path / "data", tmp_path / "log"
    keys = {n: [Key(f"{WATCHED if k % 3 == 0 else 'plain/'}{n}-{k}") for k in range(KEYS)] for n in range(WRITERS)}
    every = [key for own in keys.values() for key in own]
    uploads, watched, losses = {}, set(), []
    counts = {"kills": 0, "acknowledged writes": 0, "undecided": 0, "reads": 0}

    def nothing_lost():
        told = "\n".join(losses)
        assert not losses, f"seed {SEED}, after {counts['kills']} kills; kept in {tmp_path}:\n{told}"

    def verify():
        found = cosette("verify", data)
        assert found.returncode == 0, f"seed {SEED}, after {counts['kills']} kills; kept in {tmp_path}: {found}"

    def serve():
        # Notes and process numbers are the machine's own.
        return Instance(data, "--retry-interval", "100ms", "--isolation", "off", log=log)

    server = serve()
    try:
        assert raw.s3(server, "PUT", raw.path_of(BUCKET)).status == 200
        scf = functions.client(server)
        functions.deploy(scf, "note", {"index.py": NOTE}, env={"NOTES": notes.path}, Timeout=30)
        functions.bind(scf, "note", BUCKET, "cos:ObjectCreated:*", WATCHED)
        for _ in rounds():
            head = server.head()
            trap = Trap(server, chance.randrange(1, 1500))
            writers = [Writer(n, server, trap, keys[n], uploads, chance.getrandbits(64)) for n in range(WRITERS)]
            reader = Reader(server, [key.name for key in every], chance.getrandbits(64))
            for thread in [*writers, reader]:
                thread.start()
            for thread in [*writers, reader]:
                thread.join(120)
                assert not thread.is_alive(), f"a client hangs; seed {SEED}"
                assert thread.failure is None, f"seed {SEED}: {thread.failure!r}"
            counts["reads"] += reader.reads
            server.kill()
            counts["kills"] += 1
            notes.all_gone()
            verify()

            server = serve()
            check = Check(server, every, uploads, losses)
            check.objects()
            check.open_uploads()
            for writer in writers:
                check.changes(writer.acknowledged, head)
                counts["acknowledged writes"] += len(writer.acknowledged)
                watched |= {
                    change.request_id
                    for change in writer.acknowledged
                    if change.key.startswith(WATCHED) and change.kind.startswith("cos:ObjectCreated")
                }
            counts["undecided"] += check.undecided
            nothing_lost()

        server.wait(timeout_ms=120_000)
        states = {delivery["state"] for delivery in server.deliveries("note")}
        assert server.stop() == 0
        notes.all_gone()
        verify()
        missing = watched - notes.requests
        losses += [f"request {request} was acknowledged and never ran its function" for request in missing]
        nothing_lost()
        assert states == {"succeeded"}, states
        assert "panicked" not in log.read_text(errors="replace")
    finally:
        server.kill()
        notes.read()
        counts["watched deliveries"] = len(watched & notes.requests)
        counts["repeated runs"] = notes.runs - len(notes.requests)
        counts["losses"] = len(losses)
        with capsys.disabled():
            print(f"\nkill test: seed {SEED},", ", ".join(f"{count} {what}" for what, count in counts.items()))


def test_a_delivery_in_flight_is_taken_up_again(tmp_path):
    """The server dies while the function runs; after the restart it runs to its end."""
    os.mkfifo(tmp_path / "started")
    started = os.open(tmp_path / "started", os.O_RDWR)
    code = "\n".join(
        [
            "import os, time",
            "def main_handler(event, context):",
            "    with open(os.environ['STARTED'], 'w') as started:",
            "        started.write(f'{os.getpid()}\\n')",
            "    if not os.path.exists(os.environ['FINISH']):",
            "        time.sleep(600)",
            "    return 'finished'",
        ]
    )
    env = {"STARTED": tmp_path / "started", "FINISH": tmp_path / "finish"}
    with Instance(tmp_path / "data", "--retry-interval", "100ms", "--isolation", "off", log=tmp_path / "log") as server:
        assert raw.s3(server, "PUT", raw.path_of(BUCKET)).status == 200
        scf = functions.client(server)
        functions.deploy(scf, "slow", {"index.py": code}, env=env, Timeout=60)
        functions.bind(scf, "slow", BUCKET)
        assert raw.s3(server, "PUT", raw.path_of(BUCKET, "k"), body=b"x").status == 200
        first = int(os.read(started, 100))
        server.kill()
    assert gone(first), "the function ends when its server is gone"
    (tmp_path / "finish").touch()
    with Instance(tmp_path / "data", "--retry-interval", "100ms", "--isolation", "off", log=tmp_path / "log") as server:
        assert int(os.read(started, 100)) != first
        server.wait()
        (delivery,) = server.deliveries("slow")
        assert delivery["state"] == "succeeded"
        assert [row["key"] for row in server.changes(bucket=BUCKET) if row["key"]] == ["k"]
    os.close(started)


@pytest.mark.parametrize("tail", ["garbage", "half a record"])
def test_a_torn_end_of_the_journal_is_dropped(tmp_path, tail):
    """What a power loss leaves behind the last acknowledged record is not a write."""
    data, log = tmp_path / "data", tmp_path / "log"
    with Instance(data, log=log) as server:
        assert raw.s3(server, "PUT", raw.path_of(BUCKET)).status == 200
        for number in range(20):
            raw.s3(server, "PUT", raw.path_of(BUCKET, f"k{number}"), body=b"body %d" % number)
        server.kill()
    segment = sorted((data / "journal").iterdir())[-1]
    torn = os.urandom(100) if tail == "garbage" else segment.read_bytes()[:150]
    with open(segment, "ab") as end:
        end.write(torn)
    for _ in range(2):
        with Instance(data, log=log) as server:
            rows = listed(server)
            assert len(rows) >= 20
            for number in range(20):
                assert raw.s3(server, "GET", raw.path_of(BUCKET, f"k{number}")).body == b"body %d" % number
            assert raw.s3(server, "PUT", raw.path_of(BUCKET, "after"), body=b"x").status == 200
            server.kill()
