"""The COS Go SDK, which checks every CRC-64 it is given."""

import subprocess

from support.instance import ROOT


def test_every_operation(server, new_bucket, tmp_path):
    program = tmp_path / "client"
    subprocess.run(["go", "build", "-o", program, "."], cwd=ROOT / "tests/go", check=True, timeout=600)
    arguments = [server.url, new_bucket("go"), server.secret_id, server.secret_key, tmp_path]
    done = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=120)
    assert done.stdout.splitlines()[-1:] == ["done"], done.stdout + done.stderr
