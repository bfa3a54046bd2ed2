"""Looking for damage: `cosette scrub` of a running server, `cosette verify` of what it leaves."""

import http.client
import io
import json
import os
import pty
import socket
import threading

import pytest
from boto3.s3.transfer import TransferConfig
from botocore.exceptions import BotoCoreError, ClientError
from support import raw
from support.clients import cos_client, s3_client
from support.instance import Instance, cosette

MIB = 1 << 20
BLOCK = 64 << 10
B = "checked-1250000000"
LARGE = os.urandom(5 * BLOCK - 7)


def verify(directory, *arguments, **options):
    return cosette("verify", directory, *arguments, **options)


def fill(server):
    """Small and large objects, some gone, some copied, one of parts, and an upload that stays open."""
    s3, cos = s3_client(server), cos_client(server)
    s3.create_bucket(Bucket=B)
    for number in range(20):
        s3.put_object(Bucket=B, Key=f"small/{number}", Body=b"body %d" % number)
    for number in range(0, 20, 3):
        s3.delete_object(Bucket=B, Key=f"small/{number}")
    s3.put_object(Bucket=B, Key="empty", Body=b"")
    cos.put_object(Bucket=B, Key="photos/a cat.jpg", Body=LARGE)
    s3.copy_object(Bucket=B, Key="copy", CopySource={"Bucket": B, "Key": "small/1"})
    config = TransferConfig(multipart_threshold=5 * MIB, multipart_chunksize=5 * MIB)
    s3.upload_fileobj(io.BytesIO(os.urandom(11 * MIB)), B, "parts", Config=config)
    upload = s3.create_multipart_upload(Bucket=B, Key="open")["UploadId"]
    s3.upload_part(Bucket=B, Key="open", UploadId=upload, PartNumber=1, Body=b"o" * 100_000)


def flip(directory, content, at):
    """Flips a bit of the byte `at` of a body, in the one file below the directory that holds it."""
    (holder,) = (path for path in directory.rglob("*") if path.is_file() and content in path.read_bytes())
    at += holder.read_bytes().index(content)
    with open(holder, "r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ 1]))


def test_what_is_sound_is_found_sound(tmp_path):
    data, log = tmp_path / "data", tmp_path / "log"
    with Instance(data, log=log) as server:
        fill(server)
        scrubbed = server.cli("scrub")
        assert scrubbed.stdout.splitlines()[-1].startswith("sound: 17 objects, 1 part, 11."), scrubbed.stdout
        assert scrubbed.stderr == "", "nobody looks at a bar"
        report = json.loads(server.cli("scrub", "--json").stdout)
        assert (report["sound"], report["complete"], report["objects"], report["parts"]) == (True, True, 17, 1)
        assert (report["found"], report["findings"]) == (0, [])
        assert report["bytes"] > 11 * MIB
        assert server.stop() == 0
    verified = verify(data)
    assert verified.returncode == 0, verified
    assert verified.stdout.startswith("sound: 17 objects, 1 part, "), verified.stdout
    report = json.loads(verify(data, "--json").stdout)
    assert (report["sound"], report["objects"], report["notes"]) == (True, 17, [])
    assert report["rows"] > 0 and report["changes"] > 0


def test_what_a_kill_leaves_is_sound(tmp_path):
    data, log = tmp_path / "data", tmp_path / "log"
    with Instance(data, log=log) as server:
        fill(server)
        server.kill()
    verified = verify(data)
    assert verified.returncode == 0, verified
    with Instance(data, log=log) as server:
        assert server.cli("scrub").stdout.startswith("sound: 17 objects, 1 part, ")
        server.kill()
    assert verify(data).returncode == 0


def test_a_damaged_block_is_named_and_never_served(tmp_path):
    data, log = tmp_path / "data", tmp_path / "log"
    key = "photos/a cat.jpg"
    with Instance(data, log=log) as server:
        fill(server)
        flip(data / "bodies", LARGE, 2 * BLOCK + 5)
        scrubbed = server.cli("scrub", check=False)
        assert scrubbed.returncode == 5, scrubbed
        (finding, summary) = scrubbed.stdout.splitlines()
        assert finding.startswith(f"{B}/{key}: ") and "block 2" in finding, finding
        assert summary.startswith("1 finding: 17 objects"), summary
        assert "damage" in scrubbed.stderr
        as_json = server.cli("scrub", "--json", check=False)
        assert as_json.returncode == 5
        report = json.loads(as_json.stdout)
        assert (report["sound"], report["found"]) == (False, 1)
        assert [found["what"] for found in report["findings"]] == [f"{B}/{key}"]

        s3 = s3_client(server)
        with pytest.raises((ClientError, BotoCoreError)):
            s3.get_object(Bucket=B, Key=key)["Body"].read()
        for first, last in [(0, len(LARGE) - 1), (2 * BLOCK + 5, 2 * BLOCK + 5), (2 * BLOCK, 3 * BLOCK - 1), (BLOCK, 2 * BLOCK)]:
            with pytest.raises((ClientError, BotoCoreError)):
                s3.get_object(Bucket=B, Key=key, Range=f"bytes={first}-{last}")["Body"].read()
        for first, last in [(0, 2 * BLOCK - 1), (3 * BLOCK, len(LARGE) - 1), (7, 7)]:
            got = s3.get_object(Bucket=B, Key=key, Range=f"bytes={first}-{last}")["Body"].read()
            assert got == LARGE[first : last + 1]
        assert s3.get_object(Bucket=B, Key="copy")["Body"].read() == b"body 1"
        assert server.stop() == 0
        assert "panicked" not in server.log_text()
    verified = verify(data)
    assert verified.returncode == 5, verified
    assert verified.stdout.splitlines()[0].startswith(f"{B}/{key}: "), verified.stdout
    assert json.loads(verify(data, "--json").stdout)["findings"][0]["what"] == f"{B}/{key}"


def test_what_is_cut_off_is_not_taken_for_whole(tmp_path):
    """The bytes that do come are the object's, and fewer than were announced."""
    with Instance(tmp_path / "data", log=tmp_path / "log") as server:
        body = os.urandom(3 * MIB)
        s3_client(server).create_bucket(Bucket=B)
        s3_client(server).put_object(Bucket=B, Key="k", Body=body)
        flip(tmp_path / "data/bodies", body, 2 * MIB)
        signed = raw.SigV4(server).headers("GET", raw.path_of(B, "k"), [], {"Host": server.host}, raw.UNSIGNED)
        link = raw.connect(server)
        link.request("GET", raw.path_of(B, "k"), headers=signed)
        answer = link.getresponse()
        assert (answer.status, answer.getheader("Content-Length")) == (200, str(len(body)))
        with pytest.raises(http.client.IncompleteRead) as caught:
            answer.read()
        assert len(caught.value.partial) <= 2 * MIB and body.startswith(caught.value.partial)
        link.close()


def test_a_damaged_small_body_is_found(tmp_path):
    """It lies in the journal, among the records."""
    with Instance(tmp_path / "data", log=tmp_path / "log") as server:
        s3 = s3_client(server)
        s3.create_bucket(Bucket=B)
        small = os.urandom(1000)
        s3.put_object(Bucket=B, Key="small", Body=small)
        s3.put_object(Bucket=B, Key="other", Body=b"other")
        flip(tmp_path / "data/journal", small, 500)
        scrubbed = server.cli("scrub", check=False)
        assert scrubbed.returncode == 5 and scrubbed.stdout.startswith(f"{B}/small: "), scrubbed
        with pytest.raises((ClientError, BotoCoreError)):
            s3.get_object(Bucket=B, Key="small")["Body"].read()
        assert s3.get_object(Bucket=B, Key="other")["Body"].read() == b"other"
        assert server.stop() == 0
    assert verify(tmp_path / "data").returncode == 5


def test_a_missing_body_is_found(tmp_path):
    with Instance(tmp_path / "data", log=tmp_path / "log") as server:
        s3 = s3_client(server)
        s3.create_bucket(Bucket=B)
        s3.put_object(Bucket=B, Key="large", Body=LARGE)
        (body,) = (path for path in (tmp_path / "data/bodies").rglob("*") if path.is_file())
        body.unlink()
        scrubbed = server.cli("scrub", check=False)
        assert scrubbed.returncode == 5
        assert scrubbed.stdout.startswith(f"{B}/large: ") and "missing" in scrubbed.stdout, scrubbed
        assert server.stop() == 0
    verified = verify(tmp_path / "data")
    assert verified.returncode == 5 and "missing" in verified.stdout, verified


def test_what_cannot_be_verified_is_refused(tmp_path):
    data = tmp_path / "data"
    with Instance(data, log=tmp_path / "log") as server:
        refused = verify(data)
        assert (refused.returncode, refused.stdout) == (4, "")
        assert f"{data} is in use by another process" in refused.stderr
        assert server.health()["status"] == "ok"
    assert verify(data).returncode == 0, "an empty store is sound"
    (data / "format").write_text("cosette data format 999\n")
    refused = verify(data)
    assert refused.returncode == 4 and "use a newer build" in refused.stderr, refused
    for other in (tmp_path / "nowhere", tmp_path / "empty"):
        if other.name == "empty":
            other.mkdir()
        refused = verify(other)
        assert refused.returncode == 4 and "is not a data directory" in refused.stderr, refused
        assert not other.exists() or not list(other.iterdir()), "nothing is made"


def test_no_server_to_scrub():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    done = cosette("scrub", "--endpoint", f"http://127.0.0.1:{port}")
    assert (done.returncode, done.stdout) == (3, ""), done


def test_a_bar_for_who_looks(tmp_path):
    data = tmp_path / "data"
    with Instance(data, log=tmp_path / "log") as server:
        s3_client(server).create_bucket(Bucket=B)
        s3_client(server).put_object(Bucket=B, Key="k", Body=LARGE)
        assert server.stop() == 0
    terminal, side = pty.openpty()
    try:
        verified = verify(data, stderr=side)
        drawn = os.read(terminal, 4096).decode()
    finally:
        os.close(side)
        os.close(terminal)
    assert verified.stdout.startswith("sound: 1 object, ")
    assert "100% 320.0 KiB of 320.0 KiB" in drawn and drawn.endswith("\r\x1b[K"), drawn


def test_scrubs_of_the_admin_api(tmp_path):
    with Instance(None, log=tmp_path / "log") as server:
        s3 = s3_client(server)
        s3.create_bucket(Bucket=B)
        s3.put_object(Bucket=B, Key="k", Body=LARGE)
        look = {"start": False, "wait_ms": 60_000}
        never = {"running": False, "done_bytes": 0, "total_bytes": 0, "report": None}
        assert server.admin("POST", "scrub", look) == never
        server.admin("POST", "scrub")
        ended = server.admin("POST", "scrub", look)
        assert (ended["running"], ended["done_bytes"], ended["total_bytes"]) == (False, len(LARGE), len(LARGE))
        assert ended["report"]["sound"] and ended["report"]["objects"] == 1
        assert server.admin("POST", "scrub", look) == ended, "told as often as it is asked for"
        s3.put_object(Bucket=B, Key="k2", Body=b"x")
        assert server.admin("POST", "scrub", look) == ended
        assert server.admin("POST", "scrub", {"wait_ms": 60_000})["report"]["objects"] == 2
        for nonsense in ({"wait_ms": -1}, {"start": "yes"}, {"wait": 1}):
            with pytest.raises(AssertionError, match="400"):
                server.admin("POST", "scrub", nonsense)
        with pytest.raises(AssertionError, match="405"):
            server.admin("GET", "scrub")
        server.admin("POST", "scrub")
        assert server.stop() == 0, "a scrub does not keep it"


def test_a_store_in_use_is_sound(tmp_path):
    """What is overwritten, moved or removed while a scrub comes by is not called damaged."""
    with Instance(tmp_path / "data", "--durability", "relaxed", log=tmp_path / "log") as server:
        s3_client(server).create_bucket(Bucket=B)
        failures = []

        def write(writer):
            link = raw.connect(server)
            try:
                for number in range(300):
                    path = raw.path_of(B, f"{writer}/{number % 7}")
                    body = os.urandom((100, 5_000, 70_000)[number % 3])
                    assert raw.s3(server, "PUT", path, body=body, payload=raw.UNSIGNED, connection=link).status == 200
                    if number % 5 == 0:
                        assert raw.s3(server, "DELETE", path, connection=link).status == 204
            except BaseException as failure:
                failures.append(failure)
            finally:
                link.close()

        writers = [threading.Thread(target=write, args=(writer,)) for writer in range(3)]
        for writer in writers:
            writer.start()
        scrubs = 0
        while any(writer.is_alive() for writer in writers):
            ended = server.admin("POST", "scrub", {"wait_ms": 60_000})
            assert ended["report"]["sound"], ended
            scrubs += 1
        for writer in writers:
            writer.join()
        assert not failures and scrubs > 0, failures
