"""SDK clients, set up as docs/clients.md shows."""

import boto3
from botocore.config import Config
from qcloud_cos import CosConfig, CosS3Client


def s3_client(server, style="path", secret_id=None, secret_key=None, token=None, endpoint=None, **config):
    """boto3, as docs/clients.md shows it."""
    config.setdefault("retries", {"total_max_attempts": 1})
    return boto3.client(
        "s3",
        endpoint_url=endpoint or server.url,
        region_name=server.region,
        aws_access_key_id=secret_id or server.secret_id,
        aws_secret_access_key=secret_key or server.secret_key,
        aws_session_token=token,
        config=Config(s3={"addressing_style": style}, **config),
    )


def cos_client(server, way="proxy", retry=0, **more):
    """The COS Python SDK in each way docs/clients.md shows."""
    ways = {
        "proxy": {"Region": server.region, "Proxies": {"http": server.url}},
        "ip": {"Region": server.region, "IP": "127.0.0.1", "Port": server.port, "ServiceDomain": server.host},
        "endpoint": {"Endpoint": f"localhost:{server.port}", "ServiceDomain": f"localhost:{server.port}"},
    }
    keys = {"SecretId": server.secret_id, "SecretKey": server.secret_key}
    return CosS3Client(CosConfig(**{"Scheme": "http", **keys, **ways[way], **more}), retry=retry)
