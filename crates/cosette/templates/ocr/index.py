"""Recognises the text in an uploaded image and writes it beside the image."""

import io
import json
import os
import sys

from PIL import Image
from qcloud_cos import CosConfig, CosS3Client
from tesserocr import RIL, PyTessBaseAPI, iterate_level

LANGUAGES = os.environ.get("LANGUAGES", "eng")


def models():
    """The folder of the models: of yours, or where the package has been installed."""
    folders = [os.path.join(root, "share", "tessdata") for root in [*sys.path, sys.prefix]]
    there = [folder for folder in folders if os.path.isdir(folder)]
    return os.environ.get("MODELS") or there[0]


# Loaded once for each instance.
ENGINE = PyTessBaseAPI(path=models(), lang=LANGUAGES)


def objects(event):
    """Bucket, region and key of each object that the event tells of."""
    for record in event["Records"]:
        bucket = record["cos"]["cosBucket"]
        region = bucket.get("cosRegion") or os.environ["TENCENTCLOUD_REGION"]
        # The key begins with /<appid>/<bucket>/.
        yield f"{bucket['name']}-{bucket['appid']}", region, record["cos"]["cosObject"]["key"].split("/", 3)[3]


def client(region):
    """With the keys of the function's role."""
    return CosS3Client(
        CosConfig(
            Region=region,
            SecretId=os.environ["TENCENTCLOUD_SECRETID"],
            SecretKey=os.environ["TENCENTCLOUD_SECRETKEY"],
            Token=os.environ.get("TENCENTCLOUD_SESSIONTOKEN"),
        )
    )


def lines(image):
    """Each line of text, and how sure it is."""
    with Image.open(io.BytesIO(image)) as opened:
        ENGINE.SetImage(opened.convert("RGB"))
    ENGINE.Recognize()
    found = ENGINE.GetIterator()
    level = RIL.TEXTLINE
    rows = iterate_level(found, level) if found else []
    rows = [(row.GetUTF8Text(level), row.Confidence(level)) for row in rows if not row.Empty(level)]
    ENGINE.Clear()
    return [{"text": text.strip(), "score": round(sure / 100, 3)} for text, sure in rows]


def main_handler(event, context):
    prefix = os.environ.get("TARGET_PREFIX", "text/")
    found = []
    for bucket, region, key in objects(event):
        cos = client(region)
        image = cos.get_object(Bucket=bucket, Key=key)["Body"].get_raw_stream().read()
        texts = lines(image)
        cos.put_object(
            Bucket=os.environ.get("TARGET_BUCKET") or bucket,
            Key=f"{prefix}{key}.json",
            Body=json.dumps(texts, ensure_ascii=False).encode(),
            ContentType="application/json",
        )
        print(f"{key}: {len(texts)} lines")
        found += [line["text"] for line in texts]
    return found
