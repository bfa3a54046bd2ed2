"""Every operation through the COS Node.js SDK, its current major version and the one before."""

import pytest


@pytest.mark.parametrize("way", ["proxy", "ip"])
@pytest.mark.parametrize("sdk", ["cos-nodejs-sdk-v5", "cos-nodejs-sdk-v5-2"])
def test_every_operation(server, node, new_bucket, tmp_path, sdk, way):
    done = node(
        "operations.cjs",
        {
            "sdk": sdk,
            "way": way,
            "server": server.host,
            "proxy": server.url,
            "id": server.secret_id,
            "key": server.secret_key,
            "bucket": new_bucket("node"),
            "directory": str(tmp_path),
        },
    )
    assert len(done["passed"]) == 18
