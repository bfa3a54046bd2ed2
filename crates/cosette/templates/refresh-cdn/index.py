"""Purges the URLs of objects that have changed from the CDN."""

import json
import os
from urllib.parse import quote

from tencentcloud.cdn.v20180606 import cdn_client, models
from tencentcloud.common import credential

# As many as one call takes.
URLS_MAX = 1000


def main_handler(event, context):
    domains = os.environ["CDN_DOMAINS"].split(",")
    scheme = os.environ.get("CDN_SCHEME", "https")
    urls = []
    for record in event["Records"]:
        key = record["cos"]["cosObject"]["key"].split("/", 3)[3]
        urls += [f"{scheme}://{domain.strip()}/{quote(key)}" for domain in domains]
    keys = credential.Credential(
        os.environ["TENCENTCLOUD_SECRETID"],
        os.environ["TENCENTCLOUD_SECRETKEY"],
        os.environ.get("TENCENTCLOUD_SESSIONTOKEN"),
    )
    cdn = cdn_client.CdnClient(keys, "")
    tasks = []
    for start in range(0, len(urls), URLS_MAX):
        request = models.PurgeUrlsCacheRequest()
        request.Urls = urls[start : start + URLS_MAX]
        tasks.append(cdn.PurgeUrlsCache(request).TaskId)
    print(json.dumps({"urls": urls, "tasks": tasks}))
    return tasks
