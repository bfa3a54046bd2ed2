"""A client that leaves does not cut off what it has asked for."""

import glob
import os
import socket
import stat
import tempfile
import threading
import time

import pytest
from tencentcloud.common import credential
from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException
from tencentcloud.common.profile.client_profile import ClientProfile
from tencentcloud.common.profile.http_profile import HttpProfile
from tencentcloud.scf.v20180416 import scf_client

from support.functions import base64_zip, call, client, deploy
from support.instance import Instance


def hand_on_and_leave(listener, port, has_begun):
    """Hands one request on to the server, and hangs up on both sides once that has begun with it."""
    with listener.accept()[0] as caller, socket.create_connection(("127.0.0.1", port)) as server:
        request = b""
        while b"\r\n\r\n" not in request:
            request += caller.recv(65536)
        head, body = request.split(b"\r\n\r\n", 1)
        (length,) = [int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")]
        while len(body) < length:
            body += caller.recv(65536)
        server.sendall(head + b"\r\n\r\n" + body)
        while not has_begun():
            pass


def test_an_action_goes_on_without_its_client(tmp_path):
    with Instance(tmp_path / "data") as server, socket.create_server(("127.0.0.1", 0)) as listener:
        port = int(server.url.rsplit(":", 1)[1])
        http = HttpProfile(protocol="http", endpoint=f"127.0.0.1:{listener.getsockname()[1]}")
        keys = credential.Credential(server.secret_id, server.secret_key)
        left = scf_client.ScfClient(keys, server.region, ClientProfile(httpProfile=http))
        scf = client(server)
        deploy(scf, "left", {"index.py": "def main_handler(event, context): return 1\n"})
        cache = tmp_path / "data/functions/code"
        before = len(os.listdir(cache))
        leaver = threading.Thread(
            target=hand_on_and_leave, args=(listener, port, lambda: len(os.listdir(cache)) > before)
        )
        leaver.start()
        # Thousands of files: the client is gone before they are unpacked.
        code = {f"{n}.txt": str(n) for n in range(3000)} | {"index.py": "def main_handler(event, context): return 2\n"}
        with pytest.raises(TencentCloudSDKException):
            call(left, "UpdateFunctionCode", FunctionName="left", ZipFile=base64_zip(code), Publish="TRUE")
        leaver.join()
        deadline = time.monotonic() + 60
        while len(call(scf, "ListVersionByFunction", FunctionName="left")["Versions"]) < 2:
            assert time.monotonic() < deadline, "it was not published"


def test_nobody_else_reads_what_a_server_in_memory_keeps():
    with Instance(None) as server:
        (folder,) = glob.glob(os.path.join(tempfile.gettempdir(), f"cosette-{server.pid}-*"))
        assert stat.S_IMODE(os.stat(folder).st_mode) == 0o700
