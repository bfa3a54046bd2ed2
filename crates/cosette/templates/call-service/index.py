"""Tells an HTTP service of its owner what has happened to objects."""

import json
import os
import urllib.request


def main_handler(event, context):
    url = os.environ["SERVICE_URL"]
    for record in event["Records"]:
        cos = record["cos"]
        told = {
            "event": record["event"]["eventName"],
            "time": record["event"]["eventTime"],
            "bucket": f"{cos['cosBucket']['name']}-{cos['cosBucket']['appid']}",
            "key": cos["cosObject"]["key"].split("/", 3)[3],
            "size": cos["cosObject"]["size"],
        }
        headers = {"Content-Type": "application/json", "X-Request-Id": context["request_id"]}
        if token := os.environ.get("SERVICE_TOKEN"):
            headers["Authorization"] = f"Bearer {token}"
        request = urllib.request.Request(url, json.dumps(told).encode(), headers)
        # An answer other than 2xx raises: the event is tried again.
        with urllib.request.urlopen(request, timeout=10) as answer:
            print(f"{told['event']} {told['key']}: {answer.status}")
