"""Posts each event, signed, to the URLs of whoever listens."""

import hashlib
import hmac
import json
import os
import time
import urllib.error
import urllib.request

TRIES = 3


def post(url, body, headers):
    """Whether it was taken; tries again what may be better the next time."""
    for attempt in range(TRIES):
        try:
            with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=5) as answer:
                print(f"{url}: {answer.status}")
                return True
        except urllib.error.HTTPError as error:
            print(f"{url}: {error.code}")
            if error.code < 500 and error.code != 429:
                return False
        except OSError as error:
            print(f"{url}: {error}")
        if attempt + 1 < TRIES:
            time.sleep(0.2 * 2**attempt)
    return False


def main_handler(event, context):
    urls = [url.strip() for url in os.environ["WEBHOOK_URLS"].split(",")]
    secret = os.environ.get("WEBHOOK_SECRET", "").encode()
    failed = []
    for record in event["Records"]:
        body = json.dumps(record, ensure_ascii=False).encode()
        stamp = str(int(time.time()))
        signature = hmac.new(secret, stamp.encode() + b"." + body, hashlib.sha256).hexdigest()
        headers = {
            "Content-Type": "application/json",
            "X-Webhook-Id": context["request_id"],
            "X-Webhook-Timestamp": stamp,
            "X-Webhook-Signature": f"sha256={signature}",
        }
        failed += [url for url in urls if not post(url, body, headers)]
    if failed:
        raise RuntimeError(f"not taken by {', '.join(failed)}")
