"""An HTTP server to fetch from: says what it is told to, and remembers what it was asked."""

import collections
import http.server
import threading

import pytest
from qcloud_cos import CosServiceError

Asked = collections.namedtuple("Asked", "path headers")


class Origin:
    """`serve(path, body)` or `serve(path, function of the handler)`; everything else is 404."""

    def __init__(self, wrap=None):
        self.asked, self.answers = [], {}
        origin = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                asked = Asked(self.path, {name.lower(): value for name, value in self.headers.items()})
                origin.asked.append(asked)
                answer = origin.answers.get(self.path.partition("?")[0])
                if callable(answer):
                    return answer(self)
                status, headers, body = answer or (404, {}, b"nothing here")
                origin.answer(self, status, headers, body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        if wrap:
            self.server.socket = wrap(self.server.socket)
        self.host = f"127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @staticmethod
    def answer(handler, status, headers, body):
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    def serve(self, path, answer, status=200, **headers):
        """Header names with `_` for `-`."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.answers[path] = answer if callable(answer) else (status, named, answer)

    def paths(self):
        return [asked.path for asked in self.asked]

    def close(self):
        self.server.shutdown()
        self.server.server_close()


# Rules for it, and what comes of them, by the COS Python SDK


def rule(origin, kind="Mirror", condition=None, priority=1, file=None, standby=(), codes=None, **parameter):
    host = {"HostName": getattr(origin, "host", origin)}
    host.update({f"StandbyHostName_{number}": name for number, name in enumerate(standby, 1)})
    made = {
        "RulePriority": str(priority),
        "OriginType": kind,
        "OriginCondition": {"HTTPStatusCode": "404", **(condition or {})},
        "OriginParameter": {"Protocol": "HTTP", **parameter},
        "OriginInfo": {"HostInfo": host, **({"FileInfo": file} if file else {})},
    }
    if codes:
        made["HTTPStandbyCode"] = {"StatusCode": codes}
    return made


def put_rules(cos, bucket, *rules):
    cos.put_bucket_origin(Bucket=bucket, OriginConfiguration={"OriginRule": list(rules)})


def read(cos, bucket, key, **more):
    got = cos.get_object(Bucket=bucket, Key=key, **more)
    return b"".join(got["Body"].get_stream())


def error(call, *arguments, **more):
    with pytest.raises(CosServiceError) as caught:
        call(*arguments, **more)
    return caught.value.get_status_code(), caught.value.get_error_code()
