"""Runs a Python handler as SCF does (scf.md 5.3), for Python 3.6 and later.

Started by the runtime with one private variable, COSETTE_BOOT. Talks to its host over the
custom-runtime protocol on one connection that is opened before any user code is loaded, so
that nothing user code does to the network modules can touch it.
"""
import importlib.util
import json
import logging
import os
import socket
import sys
import traceback

SHOWN_ROOT = "/var/user"


class Host:
    """The host's end of the protocol. Ends the process when the host has gone."""

    def __init__(self, boot):
        self.pid = os.getpid()
        self.secret = boot["secret"]
        self.name = "%s:%d" % (boot["address"], boot["port"])
        self.socket = socket.create_connection((boot["address"], boot["port"]))
        self.socket.settimeout(None)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.reader = self.socket.makefile("rb")

    def call(self, method, path, body=b"", status=None):
        if os.getpid() != self.pid:
            # A child forked by the handler came back here; only its parent may answer.
            os._exit(0)
        lines = [
            "%s %s HTTP/1.1" % (method, path),
            "host: " + self.name,
            "x-cosette-secret: " + self.secret,
            "content-length: %d" % len(body),
        ]
        if status is not None:
            lines.append("x-cosette-status: %d" % status)
        try:
            self.socket.sendall(("\r\n".join(lines) + "\r\n\r\n").encode("ascii") + body)
            return self.reply()
        except OSError:
            os._exit(1)

    def reply(self):
        if not self.reader.readline():
            os._exit(1)
        headers = {}
        while True:
            line = self.reader.readline()
            if line in (b"\r\n", b"\n", b""):
                break
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.strip().lower()] = value.strip()
        size = int(headers.get("content-length", "0"))
        body = self.reader.read(size) if size else b""
        if len(body) < size:
            os._exit(1)
        return headers, body

    def fail(self, path, status, message, stack=None):
        document = {"errorCode": -1, "errorMessage": message}
        if stack is not None:
            document["stackTrace"] = stack
        self.call("POST", path, json.dumps(document).encode("ascii"), status)


class HandlerNotFound(Exception):
    pass


def stack_of(error, root):
    """The traceback as the user would see it in the cloud: no frame of ours, the cloud's paths."""
    frames = error.__traceback__
    while frames is not None:
        file = frames.tb_frame.f_code.co_filename
        if file != __file__ and not file.startswith("<frozen importlib"):
            break
        frames = frames.tb_next
    text = "".join(traceback.format_exception(type(error), error, frames))
    return text.replace(root + os.sep, SHOWN_ROOT + "/")


def load(root, handler):
    path, dot, name = handler.rpartition(".")
    file = os.path.normpath(os.path.join(root, path + ".py"))
    if not dot or not path or not name:
        raise HandlerNotFound("handler %s is not of the form file.function" % handler)
    if not file.startswith(root + os.sep) or not os.path.isfile(file):
        raise HandlerNotFound("handler %s: there is no file %s.py" % (handler, path))
    folder = os.path.dirname(file)
    os.chdir(folder)
    sys.path[:] = [folder] + [p for p in sys.path if p != folder]
    if root not in sys.path:
        sys.path.insert(1, root)
    module_name = os.path.splitext(os.path.basename(file))[0]
    spec = importlib.util.spec_from_file_location(module_name, file)
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module
    spec.loader.exec_module(module)
    function = getattr(module, name, None)
    if not callable(function):
        raise HandlerNotFound("handler %s: %s.py has no function %s" % (handler, path, name))
    return function


class OlderName:
    """SCF has the COS SDK under an older name too, which published functions import (scf.md 5.3)."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        if name != "qcloud_cos_v5":
            return None
        own = importlib.util.find_spec("qcloud_cos")
        return own and importlib.util.spec_from_file_location(
            name, own.origin, submodule_search_locations=own.submodule_search_locations
        )


def encode_decimal(value):
    # Not imported for its own sake: a value of this kind exists only if user code has done it.
    decimal = sys.modules.get("decimal")
    if decimal is not None and isinstance(value, decimal.Decimal):
        return str(value)
    raise TypeError("Object of type %s is not JSON serializable" % type(value).__name__)


def wait_for_debugger(host, port):
    try:
        import debugpy
    except ImportError as error:
        message = "debugging needs debugpy, which %s does not find (%s): install it with pip"
        host.fail("/runtime/init/error", 443, message % (sys.executable, error))
        os._exit(1)
    debugpy.listen(("127.0.0.1", port))
    debugpy.wait_for_client()


def flush():
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except Exception:
            # The user may have closed or replaced it; there is nothing left to write then.
            pass


def main():
    boot = json.loads(os.environ.pop("COSETTE_BOOT"))
    root = boot["code"]
    host = Host(boot)
    if boot.get("gateway"):
        import cosette_home

        cosette_home.install(**boot["gateway"])
    own_folder = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [p for p in sys.path if p not in ("", own_folder)]
    sys.argv = ["bootstrap"]
    log = logging.StreamHandler(sys.stdout)
    log.setLevel(logging.DEBUG)
    logging.getLogger().addHandler(log)
    logging.getLogger().setLevel(logging.DEBUG)

    # A package that has the name itself comes first.
    sys.meta_path.append(OlderName)

    if boot["debug"]:
        wait_for_debugger(host, boot["debug"])
    try:
        handler = load(root, boot["handler"])
    except HandlerNotFound as error:
        flush()
        host.fail("/runtime/init/error", 437, str(error))
        os._exit(1)
    except Exception as error:
        flush()
        host.fail("/runtime/init/error", 443, str(error) or type(error).__name__, stack_of(error, root))
        os._exit(1)
    flush()
    host.call("POST", "/runtime/init/ready", b" ")

    while True:
        headers, body = host.call("GET", "/runtime/invocation/next")
        for pair in boot["context"]["environ"].split(";"):
            name, _, value = pair.partition("=")
            if name:
                os.environ[name] = value
        source = headers.get("x-cosette-trigger-src")
        if source:
            os.environ["TRIGGER_SRC"] = source
        elif source is not None:
            os.environ.pop("TRIGGER_SRC", None)
        context = dict(boot["context"])
        context["request_id"] = headers.get("request_id", "")
        context["memory_limit_in_mb"] = int(headers.get("memory_limit_in_mb", "0"))
        context["time_limit_in_ms"] = int(headers.get("time_limit_in_ms", "0"))
        try:
            value = handler(json.loads(body.decode("utf-8")), context)
            result = json.dumps(value, ensure_ascii=False, default=encode_decimal).encode("utf-8")
        except Exception as error:
            flush()
            host.fail(
                "/runtime/invocation/error", 430, "user code exception caught", stack_of(error, root)
            )
            continue
        flush()
        if len(result) > boot["result_bytes_max"]:
            host.fail("/runtime/invocation/error", 407, "body size is too long")
        else:
            host.call("POST", "/runtime/invocation/response", result)


main()
