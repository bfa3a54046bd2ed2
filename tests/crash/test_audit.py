"""A delivery audit under fire: clients write, functions fail, hang and crash at random, and the server is killed again
and again. In the end every change that matches a rule has come to its function at least once, nothing else has, and
twice only what was tried again or was running when the server died.

What there was to deliver is read from the change log; what was delivered, the functions write down outside of the
server. `COSETTE_AUDIT_WRITES`, `COSETTE_AUDIT_KILLS` and `COSETTE_AUDIT_SEED` choose (scripts/audit).
"""

import collections
import os
import random
import time

from crash.test_kill import BUCKET, Body, Key, Killed, Trap, Writer
from support import functions, raw
from support.instance import Instance, cosette
from support.process import gone

WRITES = int(os.environ.get("COSETTE_AUDIT_WRITES", 300))
KILLS = int(os.environ.get("COSETTE_AUDIT_KILLS", 3))
SEED = int(os.environ.get("COSETTE_AUDIT_SEED", random.SystemRandom().randrange(1 << 32)))
CLIENTS = 4
KEYS = 9
# Of a client's requests: before it, after its head, before its answer, after it.
STEPS = 4
# As many as the service allows: an attempt and two more.
ATTEMPTS = 3
PREFIXES = ("steady/", "moody/", "plain/")
CREATED = "cos:ObjectCreated:"

# Notes the delivery, the request, the server's life it runs in and its process, and then does what it may.
CODE = """
import os, random, time

def main_handler(event, context):
    record = event["Records"][0]
    request = record["cos"]["cosObject"]["meta"]["x-cos-request-id"]
    with open(os.environ["LIFE"]) as file:
        life = file.read()
    note = os.open(os.environ["NOTES"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    line = f"{os.environ['NAME']} {context['request_id']} {request} {life} {os.getpid()}\\n"
    os.write(note, line.encode())
    os.close(note)
    mood = random.random() if os.environ["NAME"] == "moody" else 1
    if mood < 0.02:
        time.sleep(600)
    if mood < 0.10:
        os._exit(3)
    if mood < 0.35:
        raise RuntimeError("not now")
    return "done"
"""


class Client(Writer):
    """Small writes until the server is gone, or there are enough."""

    def __init__(self, *of_writer, enough):
        super().__init__(*of_writer)
        self.enough = enough

    def run(self):
        try:
            while not self.enough():
                self.one()
        except Killed:
            pass
        except BaseException as failure:
            self.failure = failure
            raise

    def body(self):
        return Body(self.chance.getrandbits(64), self.chance.choice([0, 100, 4096, 40_000]))

    def one(self):
        key = self.chance.choice(self.keys)
        action = self.chance.choices(["put", "copy", "delete"], [10, 2, 1])[0]
        getattr(self, action)(key)


class Note(collections.namedtuple("Note", "function delivery request life pid")):
    """That a function got an event."""


def notes(path):
    lines = path.read_text().splitlines() if path.exists() else []
    return [Note(*line.split()) for line in lines]


def audit(changes, deliveries, noted, killed):
    """What was told too often, too seldom, or of nothing; and figures."""
    rules = {"steady": "steady/", "moody": "moody/"}
    due = {
        (function, change["requestId"])
        for change in changes
        for function, prefix in rules.items()
        if change["kind"].startswith(CREATED) and change["key"].startswith(prefix)
    }
    told = collections.Counter((note.function, note.request) for note in noted)
    wrong = [f"never delivered: {one}" for one in due - told.keys()]
    wrong += [f"delivered, and nothing was due: {one}" for one in told.keys() - due]
    filed = collections.Counter((d["function"]["name"], d["source"]["requestId"]) for d in deliveries)
    wrong += [f"filed {count} times: {one}" for one, count in filed.items() if count > 1]
    wrong += [f"never filed: {one}" for one in due - filed.keys()]
    wrong += [f"filed, and nothing was due: {one}" for one in filed.keys() - due]
    runs = collections.defaultdict(list)
    for note in noted:
        runs[note.delivery].append(note)
    figures = collections.Counter()
    for delivery in deliveries:
        own, attempts = runs.pop(delivery["id"], []), len(delivery["attempts"])
        ended = delivery["state"] == "succeeded" or (delivery["state"] == "dead" and attempts == ATTEMPTS)
        if not ended:
            wrong.append(f"{delivery['id']} is {delivery['state']} after {attempts} attempts: {delivery['detail']}")
        # An attempt that is on no record was under way when the server died, at most one in each of its lives.
        repeated = len(own) - attempts
        if repeated > len({note.life for note in own} & killed):
            wrong.append(f"{delivery['id']}: {len(own)} runs, {attempts} attempts on record")
        figures["retries"] += attempts - 1
        figures["runs cut off by a kill"] += max(repeated, 0)
        figures[delivery["state"]] += 1
    wrong += [f"run of no delivery: {delivery}" for delivery in runs]
    return wrong, {"due": len(due), "runs": len(noted), **figures, "wrong": len(wrong)}


def test_every_delivery_is_made_and_no_other(tmp_path, capsys):
    chance = random.Random(SEED)
    data, log, seen, life = (tmp_path / name for name in ("data", "log", "notes", "life"))
    names = [[f"{PREFIXES[k % 3]}{n}-{k}" for k in range(KEYS)] for n in range(CLIENTS)]
    keys = [[Key(name) for name in own] for own in names]
    acknowledged, killed, began = [], set(), time.monotonic()

    def serve(number):
        life.write_text(str(number))
        # Notes and process numbers are the machine's own.
        return Instance(data, "--retry-interval", "200ms", "--isolation", "off", log=log)

    server = serve(0)
    try:
        assert raw.s3(server, "PUT", raw.path_of(BUCKET)).status == 200
        scf = functions.client(server)
        for name in ("steady", "moody"):
            env = {"NOTES": seen, "LIFE": life, "NAME": name}
            functions.deploy(scf, name, {"index.py": CODE}, env=env, Timeout=3)
            functions.bind(scf, name, BUCKET, CREATED + "*", f"{name}/")
        for number in range(KILLS + 1):
            last = number == KILLS
            steps = WRITES * STEPS * chance.uniform(0.5, 1.2) / (KILLS + 1)
            trap = Trap(server, -1 if last else max(1, int(steps)))
            clients = []

            def enough(clients=clients, last=last):
                return last and len(acknowledged) + sum(len(c.acknowledged) for c in clients) >= WRITES

            for n in range(CLIENTS):
                seed = chance.getrandbits(64)
                clients.append(Client(n, server, trap, keys[n], {}, seed, enough=enough))
            for client in clients:
                client.start()
            for client in clients:
                client.join(600)
                assert not client.is_alive(), f"a client hangs; seed {SEED}"
                assert client.failure is None, f"seed {SEED}: {client.failure!r}"
            acknowledged += [change for client in clients for change in client.acknowledged]
            for own in keys:
                for key in own:
                    # What an unanswered request has done is seen in the change log only.
                    key.now, key.maybe = None, []
            if not last:
                server.kill()
                killed.add(str(number))
                server = serve(number + 1)
        server.wait(timeout_ms=1_200_000)
        changes = [row for row in server.changes(bucket=BUCKET) if row["key"]]
        deliveries = server.deliveries()
        assert server.stop() == 0
        noted = notes(seen)
        logged = {row["requestId"] for row in changes}
        lost = [f"acknowledged and not in the log: {a.key}" for a in acknowledged if a.request_id not in logged]
        wrong, figures = audit(changes, deliveries, noted, killed)
        with capsys.disabled():
            figures = {"acknowledged writes": len(acknowledged), "changes": len(changes), **figures}
            told = ", ".join(f"{count} {what}" for what, count in figures.items())
            print(f"\ndelivery audit: seed {SEED}, {KILLS} kills, {told}, {time.monotonic() - began:.0f} s")
        assert not lost + wrong, f"seed {SEED}; kept in {tmp_path}:\n" + "\n".join((lost + wrong)[:50])
        assert figures["retries"] > 0 and all(gone(int(note.pid)) for note in noted)
        assert cosette("verify", data).returncode == 0
        assert "panicked" not in log.read_text(errors="replace")
    finally:
        server.kill()


def test_the_audit_finds_what_is_wrong():
    def change(request, key="steady/k"):
        return {"kind": CREATED + "Put", "key": key, "requestId": request}

    def delivery(request, attempts=1, state="succeeded"):
        source = {"requestId": request}
        return {
            "id": f"d-{request}",
            "state": state,
            "detail": None,
            "function": {"name": "steady"},
            "source": source,
            "attempts": [{}] * attempts,
        }

    def note(request, life="0"):
        return Note("steady", f"d-{request}", request, life, "1")

    def wrong(changes, deliveries, noted, killed=()):
        return audit(changes, deliveries, noted, set(killed))[0]

    assert not wrong([change("a"), change("b", "plain/k")], [delivery("a")], [note("a")])
    assert not wrong([change("a")], [delivery("a")], [note("a"), note("a", "1")], ["0"])
    assert not wrong([change("a")], [delivery("a", 2)], [note("a"), note("a")])
    assert wrong([change("a")], [delivery("a")], [])
    assert wrong([change("a")], [], [])
    assert wrong([], [delivery("a")], [note("a")])
    assert wrong([change("a")], [delivery("a")], [note("a"), note("a")], ["1"])
    assert wrong([change("a")], [delivery("a")], [note("a"), note("a"), note("a", "1")], ["0"])
    assert wrong([change("a")], [delivery("a"), delivery("a")], [note("a")])
    assert wrong([change("a")], [delivery("a", 1, "dead")], [note("a")])
    assert wrong([change("a")], [delivery("a", 1, "pending")], [note("a")])
