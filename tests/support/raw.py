"""Requests no SDK would send: signed by hand, byte for byte as wanted. Standard library only."""

import base64
import datetime
import hashlib
import hmac
import http.client
import socket
import time
import urllib.parse
import xml.etree.ElementTree as ElementTree
import zlib

EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()
UNSIGNED = "UNSIGNED-PAYLOAD"
REGION = "ap-guangzhou"


class Response:
    def __init__(self, status, headers, body):
        self.status = status
        self.headers = headers
        self.body = body

    def header(self, name, default=None):
        """By name, whatever its case."""
        return next((v for k, v in self.headers if k.lower() == name.lower()), default)

    def names(self):
        """Header names as they were spelled on the wire."""
        return [name for name, _ in self.headers]

    def xml(self):
        """The document without its namespaces."""
        tree = ElementTree.fromstring(self.body)
        for element in tree.iter():
            element.tag = element.tag.rpartition("}")[2]
        return tree

    @property
    def code(self):
        """The error document's code, or None."""
        try:
            tree = self.xml()
        except ElementTree.ParseError:
            return None
        return tree.findtext("Code") if tree.tag == "Error" else None

    def __repr__(self):
        return f"<{self.status} {self.headers} {self.body[:600]!r}>"


def connect(server, timeout=60):
    return http.client.HTTPConnection("127.0.0.1", server.port, timeout=timeout)


def send(server, method, target, headers=(), body=None, connection=None):
    """One request with exactly these headers (a dict or pairs; `Host` must be among them)."""
    own = connection or connect(server)
    try:
        own.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
        for name, value in headers.items() if isinstance(headers, dict) else headers:
            own.putheader(name, value)
        own.endheaders()
        if body is not None:
            for chunk in [body] if isinstance(body, (bytes, bytearray)) else body:
                own.send(chunk)
        got = own.getresponse()
        return Response(got.status, got.getheaders(), got.read())
    finally:
        if connection is None:
            own.close()


def send_bytes(server, data, read=True, timeout=60):
    """Raw bytes on a socket, then what comes back until the server closes or falls silent."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=timeout) as link:
        try:
            link.sendall(data)
            if not read:
                return b""
            link.shutdown(socket.SHUT_WR)
        except (BrokenPipeError, ConnectionResetError, OSError):
            pass
        got = b""
        try:
            while chunk := link.recv(65536):
                got += chunk
        except (ConnectionResetError, TimeoutError):
            pass
        return got


def quote(text, safe=""):
    return urllib.parse.quote(text, safe=safe + "-_.~")


def path_of(bucket, key=None):
    return f"/{bucket}" if key is None else f"/{bucket}/{quote(key, '/')}"


# AWS Signature Version 4, in headers


def _hmac(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


class SigV4:
    """What signed the request, kept for the chunks that follow."""

    def __init__(self, server, region=REGION, secret_id=None, secret_key=None, now=None):
        self.secret_id = secret_id or server.secret_id
        now = now or datetime.datetime.now(datetime.timezone.utc)
        self.date = now.strftime("%Y%m%dT%H%M%SZ")
        self.scope = f"{self.date[:8]}/{region}/s3/aws4_request"
        key = _hmac(("AWS4" + (secret_key or server.secret_key)).encode(), self.date[:8])
        for part in (region, "s3", "aws4_request"):
            key = _hmac(key, part)
        self.key = key
        self.signature = None

    def sign(self, text):
        return hmac.new(self.key, text.encode(), hashlib.sha256).hexdigest()

    def headers(self, method, path, query, headers, payload):
        """`headers` with what the signature adds; `payload` is the x-amz-content-sha256."""
        headers = {**headers, "x-amz-date": self.date, "x-amz-content-sha256": payload}
        lowered = {name.lower(): " ".join(str(value).split()) for name, value in headers.items()}
        names = ";".join(sorted(lowered))
        pairs = sorted((quote(k), quote(v)) for k, v in query)
        canonical = "\n".join(
            [
                method,
                path,
                "&".join(f"{k}={v}" for k, v in pairs),
                *(f"{name}:{lowered[name]}" for name in sorted(lowered)),
                "",
                names,
                payload,
            ]
        )
        digest = hashlib.sha256(canonical.encode()).hexdigest()
        self.signature = self.sign(f"AWS4-HMAC-SHA256\n{self.date}\n{self.scope}\n{digest}")
        headers["Authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={self.secret_id}/{self.scope}, SignedHeaders={names}, "
            f"Signature={self.signature}"
        )
        return headers

    def chunk_signature(self, data):
        digest = hashlib.sha256(data).hexdigest()
        self.signature = self.sign(
            f"AWS4-HMAC-SHA256-PAYLOAD\n{self.date}\n{self.scope}\n{self.signature}\n{EMPTY_SHA256}\n{digest}"
        )
        return self.signature

    def trailer_signature(self, trailer):
        digest = hashlib.sha256(trailer).hexdigest()
        self.signature = self.sign(
            f"AWS4-HMAC-SHA256-TRAILER\n{self.date}\n{self.scope}\n{self.signature}\n{digest}"
        )
        return self.signature


def target_of(path, query):
    if not query:
        return path
    return path + "?" + "&".join(f"{quote(k)}={quote(v)}" if v else quote(k) for k, v in query)


def s3(server, method, path, query=(), headers=None, body=None, payload=None, connection=None, **signer):
    """A SigV4-signed request. `payload` overrides the x-amz-content-sha256 (say, UNSIGNED)."""
    query = list(query.items() if isinstance(query, dict) else query)
    if payload is None:
        payload = hashlib.sha256(body or b"").hexdigest()
    headers = {"Host": server.host, **(headers or {})}
    if isinstance(body, (bytes, bytearray)):
        headers.setdefault("Content-Length", str(len(body)))
    headers = SigV4(server, **signer).headers(method, path, query, headers, payload)
    return send(server, method, target_of(path, query), headers, body, connection)


def aws_chunked(server, path, data, payload, trailer=None, chunk=65536, corrupt=None, headers=None):
    """PUT with an `aws-chunked` body. `trailer` is a (name, value) sent after the last chunk.

    `corrupt` names one thing to spoil: "chunk-signature", "trailer-signature" or "data".
    """
    signer = SigV4(server)
    signed = payload.startswith("STREAMING-AWS4-HMAC-SHA256-PAYLOAD")
    headers = {
        "Host": server.host,
        "Content-Encoding": "aws-chunked",
        "x-amz-decoded-content-length": str(len(data)),
        **(headers or {}),
    }
    if trailer:
        headers["x-amz-trailer"] = trailer[0]

    def frames():
        pieces = [data[at : at + chunk] for at in range(0, len(data), chunk)] + [b""]
        for piece in pieces:
            extension = ""
            if signed:
                signature = signer.chunk_signature(piece)
                if corrupt == "chunk-signature" and piece:
                    signature = "0" * 64
                extension = f";chunk-signature={signature}"
            sent = bytes([piece[0] ^ 1]) + piece[1:] if corrupt == "data" and piece else piece
            yield f"{len(piece):x}{extension}\r\n".encode() + sent + (b"\r\n" if piece else b"")
        if trailer:
            line = f"{trailer[0]}:{trailer[1]}"
            yield f"{line}\r\n".encode()
            if signed:
                signature = signer.trailer_signature(f"{line}\n".encode())
                if corrupt == "trailer-signature":
                    signature = "0" * 64
                yield f"x-amz-trailer-signature:{signature}\r\n".encode()
        yield b"\r\n"

    # The length is part of the head, and the signatures do not change it.
    frame_bytes = 0
    pieces = [len(data[at : at + chunk]) for at in range(0, len(data), chunk)] + [0]
    for size in pieces:
        frame_bytes += len(f"{size:x}") + 2 + size + (2 if size else 0)
        frame_bytes += len(";chunk-signature=") + 64 if signed else 0
    if trailer:
        frame_bytes += len(trailer[0]) + 1 + len(trailer[1]) + 2
        frame_bytes += len("x-amz-trailer-signature:") + 64 + 2 if signed else 0
    headers["Content-Length"] = str(frame_bytes + 2)
    headers = signer.headers("PUT", path, [], headers, payload)
    return send(server, "PUT", path, headers, frames())


# COS, q-sign-algorithm=sha1


def cos_authorization(server, method, path, query=(), headers=None, start=None, end=None, **keys):
    """`path` is the decoded path. Signs every header and parameter it is given."""
    now = int(time.time())
    key_time = f"{start if start is not None else now - 60};{end if end is not None else now + 3600}"
    secret_id = keys.get("secret_id", server.secret_id)
    secret_key = keys.get("secret_key", server.secret_key)

    def lists(pairs):
        encoded = sorted((quote(k).lower(), quote(str(v))) for k, v in pairs)
        return ";".join(k for k, _ in encoded), "&".join(f"{k}={v}" for k, v in encoded)

    parameters, parameter_text = lists(query)
    names, header_text = lists((headers or {}).items())
    sign_key = hmac.new(secret_key.encode(), key_time.encode(), hashlib.sha1).hexdigest()
    text = f"{method.lower()}\n{path}\n{parameter_text}\n{header_text}\n"
    digest = hashlib.sha1(text.encode()).hexdigest()
    signature = hmac.new(sign_key.encode(), f"sha1\n{key_time}\n{digest}\n".encode(), hashlib.sha1)
    return (
        f"q-sign-algorithm=sha1&q-ak={secret_id}&q-sign-time={key_time}&q-key-time={key_time}"
        f"&q-header-list={names}&q-url-param-list={parameters}&q-signature={signature.hexdigest()}"
    )


def cos(server, method, bucket, key=None, query=(), headers=None, body=None, connection=None, **signer):
    """A COS-signed request to the bucket's own host name."""
    query = list(query.items() if isinstance(query, dict) else query)
    headers = {"Host": f"{bucket}.cos.{REGION}.myqcloud.com", **(headers or {})}
    if isinstance(body, (bytes, bytearray)):
        headers.setdefault("Content-Length", str(len(body)))
    path = "/" + (key or "")
    headers["Authorization"] = cos_authorization(server, method, path, query, headers, **signer)
    return send(server, method, target_of(quote(path, "/"), query), headers, body, connection)


# Digests


def md5(data):
    return hashlib.md5(data).hexdigest()


def base64_md5(data):
    return base64.b64encode(hashlib.md5(data).digest()).decode()


def base64_sha256(data):
    return base64.b64encode(hashlib.sha256(data).digest()).decode()


def base64_crc32(data):
    return base64.b64encode(zlib.crc32(data).to_bytes(4, "big")).decode()
