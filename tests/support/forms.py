"""POST forms of COS."""

import base64
import hashlib
import hmac
import json
import time

FOREVER = "2037-12-31T00:00:00.000Z"


def cos_fields(server, bucket, conditions=(), expiration=FOREVER, **fields):
    """A form as cos-api 2.8 has it signed."""
    now = int(time.time())
    key_time = f"{now - 60};{now + 600}"
    policy = {
        "expiration": expiration,
        "conditions": [
            {"bucket": bucket},
            {"q-sign-algorithm": "sha1"},
            {"q-ak": server.secret_id},
            {"q-sign-time": key_time},
            *conditions,
        ],
    }
    text = json.dumps(policy)
    sign_key = hmac.new(server.secret_key.encode(), key_time.encode(), hashlib.sha1).hexdigest()
    string_to_sign = hashlib.sha1(text.encode()).hexdigest()
    return {
        **fields,
        "policy": base64.b64encode(text.encode()).decode(),
        "q-sign-algorithm": "sha1",
        "q-ak": server.secret_id,
        "q-key-time": key_time,
        "q-signature": hmac.new(sign_key.encode(), string_to_sign.encode(), hashlib.sha1).hexdigest(),
    }
