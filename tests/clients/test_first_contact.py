"""Command-line tools that people already have."""

import pathlib
import subprocess
import sys

import pytest

from support.instance import clean_environment


@pytest.fixture
def coscmd(server, bucket, tmp_path):
    """`coscmd`, told of the server by the usual proxy variable."""
    settings = tmp_path / "cos.conf"
    command = [str(pathlib.Path(sys.executable).parent / "coscmd"), "-c", str(settings), "-l", str(tmp_path / "log")]
    env = clean_environment(HOME=tmp_path, http_proxy=server.url)

    def run(*arguments, status=0):
        done = subprocess.run([*command, *arguments], capture_output=True, text=True, timeout=120, env=env)
        assert done.returncode == status, f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr

    run(
        "config", "-a", server.secret_id, "-s", server.secret_key, "-b", bucket, "-r", server.region, "--do-not-use-ssl"
    )
    return run


def test_coscmd_uploads_lists_downloads_deletes(coscmd, s3, bucket, tmp_path):
    (tmp_path / "tree/照片").mkdir(parents=True)
    (tmp_path / "tree/a b.txt").write_text("one")
    (tmp_path / "tree/照片/二.txt").write_text("two")
    (tmp_path / "big").write_bytes(b"m" * (21 << 20))
    coscmd("upload", "-r", f"{tmp_path}/tree/", "up/")
    coscmd("upload", str(tmp_path / "big"), "big")
    assert s3.get_object(Bucket=bucket, Key="up/照片/二.txt")["Body"].read() == b"two"
    listed = coscmd("list", "-ar")
    for key in ("up/a b.txt", "up/照片/二.txt", "big"):
        assert key in listed
    coscmd("download", "up/a b.txt", str(tmp_path / "down.txt"))
    assert (tmp_path / "down.txt").read_text() == "one"
    coscmd("download", "-r", "up", str(tmp_path / "back"))
    assert sorted(p.name for p in (tmp_path / "back").rglob("*.txt")) == ["a b.txt", "二.txt"]
    coscmd("download", "big", str(tmp_path / "big.back"))
    assert (tmp_path / "big.back").read_bytes() == (tmp_path / "big").read_bytes()
    assert "Content-Length" in coscmd("info", "big")
    coscmd("copy", f"{bucket}.cos.ap-guangzhou.myqcloud.com/up/a b.txt", "copied.txt")
    assert s3.get_object(Bucket=bucket, Key="copied.txt")["Body"].read() == b"one"
    coscmd("delete", "-f", "copied.txt")
    coscmd("delete", "-rf", "up/")
    assert [row["Key"] for row in s3.list_objects_v2(Bucket=bucket)["Contents"]] == ["big"]
