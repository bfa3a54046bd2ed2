"""An HTTP server that takes what webhooks are sent, and answers as it is told."""

import http.server
import json
import queue
import threading

TIMEOUT_S = 60


class Post:
    def __init__(self, path, headers, body):
        self.path = path
        self.headers = headers
        self.body = body

    @property
    def message(self):
        return json.loads(self.body)


class Receiver:
    """Posts to `/name` are kept under that name. `answers[name]` is a status, or a function of the post."""

    def __init__(self):
        self.answers = {}
        self._posts = {}
        self._lock = threading.Lock()
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                name = self.path.strip("/")
                post = Post(self.path, self.headers, body)
                answer = receiver.answers.get(name, 200)
                receiver.of(name).put(post)
                status = answer(post) if callable(answer) else answer
                try:
                    self.send_response(status)
                    self.send_header("Content-Length", "4")
                    self.end_headers()
                    self.wfile.write(b"said")
                except OSError:
                    pass  # nobody waits for it any more

            def log_message(self, *_):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def of(self, name):
        with self._lock:
            return self._posts.setdefault(name, queue.Queue())

    def next(self, name):
        """Waits for the next post to `/name`."""
        return self.of(name).get(timeout=TIMEOUT_S)

    def all(self, name):
        """What has come to `/name` and was not asked for yet."""
        found = []
        while not self.of(name).empty():
            found.append(self.of(name).get())
        return found

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()
