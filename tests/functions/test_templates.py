"""Each template of `cosette function new`: made, deployed by the command line, run by an upload with the COS SDK."""

import hashlib
import hmac
import io
import json
import os
import pathlib
import pwd
import shutil
import socket
import sqlite3
import subprocess
import sys
import tarfile
import zipfile

import pytest
import requests
from PIL import Image, ImageDraw, ImageFont
from tencentcloud.cdn.v20180606 import cdn_client, models
from tencentcloud.common.credential import Credential
from tencentcloud.common.profile.client_profile import ClientProfile
from tencentcloud.common.profile.http_profile import HttpProfile

from support import web
from support.clients import cos_client
from support.instance import Instance, clean_environment
from support.receiver import Receiver

# Functions run on the Python that has the packages the templates ask for.
PACKAGES = pathlib.Path(sys.executable).parent
RUNTIMES = {"python": "Python3.9", "node": "Nodejs18.15"}
NEW = {"unzip", "thumbnail", "database", "call-service", "ocr", "archive-index", "replicate", "refresh-cdn", "webhook-relay"}


def house(where, folder):
    path = f"{folder}:{clean_environment()['PATH']}"
    # The database is a file of the test's.
    shared = ["--share", str(where.parent)]
    return Instance(None, "--retry-interval", "100ms", *shared, log=where / "log", env={"PATH": path})


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    with house(tmp_path_factory.mktemp("home"), PACKAGES) as server:
        yield server


@pytest.fixture
def receiver():
    with Receiver() as one:
        yield one


def install(folder):
    """What `npm install` would bring, of the packages that the tests have."""
    packages = {}
    for name in json.loads((folder / "package.json").read_text())["dependencies"]:
        web.node_modules(name, packages)
    for name, content in packages.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


class Bench:
    """A bucket, and a template that is deployed for it in one of its languages."""

    def __init__(self, server, where, template, language):
        self.server = server
        self.where = where
        self.template = template
        self.language = language
        self.name = f"{template}-{language}"
        self.cos = cos_client(server)
        self.bucket = self.new_bucket()

    def new_bucket(self):
        number = len(self.cos.list_buckets()["Buckets"].get("Bucket", []) if self.cos.list_buckets()["Buckets"] else [])
        bucket = f"templates-{number}-{self.server.appid}"
        self.cos.create_bucket(Bucket=bucket)
        return bucket

    def deploy(self, *triggers, memory=256, **env):
        folder = self.where / self.name
        made = self.server.cli("function", "new", "--template", self.template, "--language", self.language, folder)
        assert made.stdout == f"{folder}\n"
        if (folder / "package.json").exists():
            install(folder)
        more = [f"--trigger={self.bucket},{trigger}" for trigger in triggers]
        more += [f"--env={name}={value}" for name, value in env.items()]
        self.server.cli(
            *["function", "deploy", folder, "--name", self.name, "--runtime", RUNTIMES[self.language]],
            *["--handler", "index.main_handler", "--timeout", "60", "--memory", memory, *more],
        )

    def put(self, key, body):
        self.cos.put_object(Bucket=self.bucket, Key=key, Body=body)

    def wait(self):
        """Until all has run; every run must have succeeded."""
        self.server.wait()
        runs = self.server.invocations(self.name)
        assert {run["status"] for run in runs} == {200}, "\n".join(run["log"] for run in runs)

    def get(self, key, bucket=None):
        return self.cos.get_object(Bucket=bucket or self.bucket, Key=key)["Body"].get_raw_stream().read()

    def keys(self, prefix="", bucket=None):
        listed = self.cos.list_objects(Bucket=bucket or self.bucket, Prefix=prefix).get("Contents", [])
        return [row["Key"] for row in listed]


@pytest.fixture
def bench(home, tmp_path, request):
    return Bench(home, tmp_path, *request.param)


def template(name):
    made = [pytest.param((name, language), id=language) for language in RUNTIMES]
    return pytest.mark.parametrize("bench", made, indirect=True)


def test_there_are_these(home, tmp_path):
    listed = home.cli("function", "new", "--list").stdout.splitlines()
    assert {line.split()[0] for line in listed} == NEW
    done = home.cli("function", "new", "--template", "none", check=False)
    assert done.returncode == 2 and "there is no template none; there are unzip, " in done.stderr
    done = home.cli("function", "new", "--template", "thumbnail", "--language", "node", tmp_path / "n")
    assert "--runtime Nodejs18.15 --handler index.main_handler --install" in done.stderr
    assert {file.name for file in (tmp_path / "n").iterdir()} == {"README.md", "index.js", "package.json"}
    folder = tmp_path / "a/b"
    done = home.cli("function", "new", "--template", "unzip", folder)
    assert f"cosette function deploy {folder} --name unzip --runtime Python3.9" in done.stderr
    (folder / "index.py").write_text("mine")
    done = home.cli("function", "new", "--template", "unzip", folder, check=False)
    assert done.returncode == 2 and "is there already" in done.stderr
    assert (folder / "index.py").read_text() == "mine"


def archive(files):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
        for name, body in files.items():
            made.writestr(name, body)
    return out.getvalue()


@template("unzip")
def test_unzip(bench):
    bench.deploy("created,in/,.zip")
    files = {"a.txt": b"one", "d/ü 1.bin": os.urandom(300_000), "../out": b"", "/etc/out": b"", "empty/": b""}
    bench.put("in/album.zip", archive(files))
    bench.put("in/note.txt", b"no archive")
    bench.wait()
    assert bench.keys("unzipped/") == ["unzipped/album/a.txt", "unzipped/album/d/ü 1.bin"]
    assert bench.get("unzipped/album/d/ü 1.bin") == files["d/ü 1.bin"]
    assert len(bench.server.invocations(bench.name)) == 1


@template("thumbnail")
def test_thumbnail(bench):
    bench.deploy("created,in/", SIZE=64)
    out = io.BytesIO()
    Image.effect_mandelbrot((640, 320), (-2, -1, 1, 1), 50).convert("RGBA").save(out, "PNG")
    bench.put("in/fractal.png", out.getvalue())
    bench.wait()
    with Image.open(io.BytesIO(bench.get("thumbnails/fractal.jpg"))) as small:
        assert (small.format, small.size) == ("JPEG", (64, 32))
    assert bench.cos.head_object(Bucket=bench.bucket, Key="thumbnails/fractal.jpg")["Content-Type"] == "image/jpeg"


def node_has_sqlite():
    """Node.js from 22.5 on."""
    return subprocess.run(["node", "-e", "require('node:sqlite')"], capture_output=True, timeout=60).returncode == 0


@template("database")
def test_database_sqlite(bench):
    # The other database's test makes a function, too.
    bench.name += "-sqlite"
    file = bench.where / "objects.db"
    bench.deploy("created", "removed", DATABASE_URL=f"sqlite:///{file}")
    if bench.language == "node" and not node_has_sqlite():
        bench.put("a", b"one")
        bench.server.wait()
        assert "No such built-in module: node:sqlite" in bench.server.invocations(bench.name)[0]["log"]
        return
    bench.put("a", b"one")
    bench.put("b", b"two, longer")
    bench.wait()
    bench.cos.delete_object(Bucket=bench.bucket, Key="b")
    bench.put("a", b"again")
    bench.wait()
    with sqlite3.connect(file) as database:
        rows = database.execute("SELECT bucket, key, size, etag FROM objects").fetchall()
    assert rows == [(bench.bucket, "a", 5, hashlib.md5(b"again").hexdigest())]


def postgres_programs():
    """The newest PostgreSQL that Debian has installed, or what PATH has."""
    found = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name))
    here = shutil.which("initdb")
    return found[-1] if found else here and pathlib.Path(here).parent


@pytest.fixture
def postgres(tmp_path_factory):
    """A PostgreSQL of our own on a free port. It does not run as root."""
    programs = postgres_programs()
    if not programs:
        pytest.skip("no PostgreSQL is installed (Debian: postgresql)")
    is_root = os.geteuid() == 0
    user = {}
    where = tmp_path_factory.mktemp("postgres")
    if is_root:
        try:
            who = pwd.getpwnam("postgres")
        except KeyError:
            pytest.skip("PostgreSQL does not run as root, and there is no user postgres")
        where = pathlib.Path("/var/tmp") / f"cosette-postgres-{os.getpid()}"
        where.mkdir(mode=0o700)
        os.chown(where, who.pw_uid, who.pw_gid)
        user = {"user": who.pw_uid, "group": who.pw_gid, "extra_groups": []}
    run = lambda *command: subprocess.run(command, check=True, capture_output=True, cwd="/", timeout=120, **user)
    try:
        (password := where / "password").write_text("p w/d")
        password.chmod(0o644)
        run(programs / "initdb", "-D", where / "data", "-U", "me", "-A", "scram-sha-256", f"--pwfile={password}", "-E", "UTF8", "--no-sync")
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        options = f"-p {port} -h 127.0.0.1 -k {where} -F"
        # It returns once it takes connections.
        run(programs / "pg_ctl", "-D", where / "data", "-o", options, "-l", where / "log", "-w", "start")
        try:
            yield f"postgresql://me:p%20w%2Fd@127.0.0.1:{port}/postgres"
        finally:
            run(programs / "pg_ctl", "-D", where / "data", "-m", "immediate", "-w", "stop")
    finally:
        shutil.rmtree(where, ignore_errors=True)


@template("database")
def test_database_postgresql(bench, postgres):
    import pg8000.dbapi

    bench.deploy("created", "removed", DATABASE_URL=postgres)
    bench.put("a ü", b"one")
    bench.put("b", b"two")
    bench.wait()
    bench.cos.delete_object(Bucket=bench.bucket, Key="b")
    bench.wait()
    port = int(postgres.rpartition(":")[2].split("/")[0])
    database = pg8000.dbapi.connect(user="me", password="p w/d", host="127.0.0.1", port=port, database="postgres")
    try:
        cursor = database.cursor()
        cursor.execute("SELECT bucket, key, size, etag FROM objects")
        rows = [tuple(row) for row in cursor.fetchall()]
    finally:
        database.close()
    assert rows == [(bench.bucket, "a ü", 3, hashlib.md5(b"one").hexdigest())]


@template("call-service")
def test_call_service(bench, receiver):
    answers = iter([503, 200])
    receiver.answers["told"] = lambda _: next(answers, 200)
    bench.deploy("created", "removed", SERVICE_URL=f"{receiver.url}/told", SERVICE_TOKEN="secret")
    bench.put("new", b"12345")
    bench.server.wait()
    first, again = receiver.next("told"), receiver.next("told")
    assert first.message == again.message
    assert first.headers["Authorization"] == "Bearer secret"
    assert {k: v for k, v in first.message.items() if k != "time"} == {
        "event": "cos:ObjectCreated:Put",
        "bucket": bench.bucket,
        "key": "new",
        "size": 5,
    }
    assert [run["status"] for run in bench.server.invocations(bench.name)] == [200, 430]
    bench.cos.delete_object(Bucket=bench.bucket, Key="new")
    bench.server.wait()
    assert receiver.next("told").message["event"] == "cos:ObjectRemove:Delete"


@template("archive-index")
def test_archive_index(bench):
    bench.deploy("created,in/")
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as made:
        about = tarfile.TarInfo("d/f.txt")
        about.size = 7
        made.addfile(about, io.BytesIO(b"content"))
    bench.put("in/a.tar.gz", out.getvalue())
    bench.put("in/b.zip", archive({"x": b"123", "y/": b""}))
    bench.wait()
    listed = json.loads(bench.get("index/in/a.tar.gz.json"))
    assert listed == {"archive": "in/a.tar.gz", "entries": [{"name": "d/f.txt", "size": 7}]}
    assert json.loads(bench.get("index/in/b.zip.json"))["entries"] == [{"name": "x", "size": 3}]


@template("replicate")
def test_replicate(bench):
    other = bench.new_bucket()
    bench.deploy("created", "removed", TARGET_BUCKET=other, TARGET_PREFIX="copy/")
    bench.cos.put_object(Bucket=bench.bucket, Key="a ü/b", Body=b"one", Metadata={"x-cos-meta-who": "me"})
    bench.put("c", b"two")
    bench.wait()
    assert bench.keys(bucket=other) == ["copy/a ü/b", "copy/c"]
    assert bench.get("copy/a ü/b", other) == b"one"
    assert bench.cos.head_object(Bucket=other, Key="copy/a ü/b")["x-cos-meta-who"] == "me"
    bench.cos.delete_object(Bucket=bench.bucket, Key="c")
    bench.wait()
    assert bench.keys(bucket=other) == ["copy/a ü/b"]


@template("webhook-relay")
def test_webhook_relay(bench, receiver):
    answers = iter([500, 429])
    receiver.answers["second"] = lambda _: next(answers, 200)
    urls = f"{receiver.url}/first, {receiver.url}/second"
    bench.deploy("created", WEBHOOK_URLS=urls, WEBHOOK_SECRET="s")
    bench.put("k", b"1")
    bench.wait()
    posts = receiver.all("first") + receiver.all("second")
    assert len(posts) == 4
    for post in posts:
        signed = post.headers["X-Webhook-Timestamp"].encode() + b"." + post.body
        assert post.headers["X-Webhook-Signature"] == "sha256=" + hmac.new(b"s", signed, hashlib.sha256).hexdigest()
        assert post.message["cos"]["cosObject"]["key"].endswith("/k")
        assert post.headers["X-Webhook-Id"] == bench.server.invocations(bench.name)[0]["requestId"]


@template("ocr")
def test_ocr(bench):
    bench.deploy("created,in/", memory=512)
    out = io.BytesIO()
    image = Image.new("RGB", (640, 300), "white")
    draw = ImageDraw.Draw(image)
    for number, text in enumerate(["INVOICE 2024-117", "Total: 42.50"]):
        draw.text((20, 40 + 120 * number), text, fill="black", font=ImageFont.load_default(64))
    image.save(out, "PNG")
    bench.put("in/bill.png", out.getvalue())
    Image.new("RGB", (64, 64), "white").save(out := io.BytesIO(), "PNG")
    bench.put("in/blank.png", out.getvalue())
    bench.wait()
    lines = json.loads(bench.get("text/in/bill.png.json"))
    assert [line["text"] for line in lines] == ["INVOICE 2024-117", "Total: 42.50"]
    assert all(0.8 < line["score"] <= 1 for line in lines)
    assert json.loads(bench.get("text/in/blank.png.json")) == []


@template("refresh-cdn")
def test_an_upload_refreshes_the_cdn(bench):
    domain = f"{bench.language}.example.com"
    server = bench.server
    profile = ClientProfile(httpProfile=HttpProfile(protocol="http", endpoint=server.host))
    cdn = cdn_client.CdnClient(Credential(server.secret_id, server.secret_key), "", profile)
    asked = models.AddCdnDomainRequest()
    origin = {"Origins": [f"{bench.bucket}.cos.{server.region}.myqcloud.com"], "OriginType": "cos", "CosPrivateAccess": "on"}
    asked.from_json_string(json.dumps({"Domain": domain, "ServiceType": "web", "Origin": origin}))
    cdn.AddCdnDomain(asked)

    def edge(key):
        answer = requests.get(f"{server.url}/{key}", headers={"Host": domain}, timeout=30)
        return answer.headers["X-Cache-Lookup"], answer.text

    # Nothing purges yet.
    bench.put("in/a b.txt", b"old")
    assert [edge("in/a%20b.txt") for _ in range(2)] == [("Cache Miss", "old"), ("Cache Hit", "old")]
    bench.put("in/a b.txt", b"newer")
    server.wait()
    assert edge("in/a%20b.txt") == ("Cache Hit", "old")
    # The function's own calls go by https to cdn.tencentcloudapi.com.
    bench.deploy("created,in/", "removed,in/", CDN_DOMAINS=domain)
    bench.put("in/a b.txt", b"new")
    bench.wait()
    assert [edge("in/a%20b.txt") for _ in range(2)] == [("Cache Miss", "new"), ("Cache Hit", "new")]
    bench.cos.delete_object(Bucket=bench.bucket, Key="in/a b.txt")
    bench.wait()
    assert edge("in/a%20b.txt")[0] == "Cache Miss"
    listed = models.DescribePurgeTasksRequest()
    listed.from_json_string(json.dumps({"StartTime": "2000-01-01 00:00:00", "EndTime": "2100-01-01 00:00:00", "Keyword": domain}))
    urls = [row.Url for row in cdn.DescribePurgeTasks(listed).PurgeLogs]
    assert urls == [f"https://{domain}/in/a%20b.txt"] * 2
