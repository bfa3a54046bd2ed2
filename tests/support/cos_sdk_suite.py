"""A pytest plugin for runs of the COS Python SDK's own tests (scripts/cos-sdk-tests): one server in memory, which
the SDK reaches as its proxy, and the three counts at the end. The tests build on each other, so they run in order.
"""

import os
import pathlib
import time
import types

import pytest

from support.counts import Counts, short
from support.instance import Instance

CLASSES = {"out-of-scope", "gap"}
CLASSIFIED = pathlib.Path(__file__).resolve().parents[1] / "cos-sdk-tests.toml"


def environment(server):
    """What the tests read when they are imported. Every request goes through the proxy, so none leaves the machine."""
    vectors = {"BUCKET": "vectors", "BUCKET_FOR_CREATE_DELETE": "more-vectors", "USE_IP": "false"}
    vectors |= {"APPID": server.appid, "SECRET_ID": server.secret_id, "SECRET_KEY": server.secret_key}
    return {
        "COS_SECRET_ID": server.secret_id,
        "COS_SECRET_KEY": server.secret_key,
        "COS_APPID": server.appid,
        "COS_REGION": server.region,
        "TRAVIS_FLAG": "true",
        "TEST_CI": "true",
        "USE_CREDENTIAL_INST": "false",
        "ERR_HOST": "127.0.0.1:9",
        **{f"COS_VECTORS_{name}": value for name, value in vectors.items()},
        "COS_VECTORS_REGION": server.region,
        "http_proxy": server.url,
        "https_proxy": server.url,
    }


class Suite:
    def __init__(self, counts):
        self.counts = counts

    def pytest_sessionstart(self, session):
        for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
            del os.environ[name]
        self.server = Instance(None, "--log=debug", log=os.environ.get("COSETTE_SUITE_LOG"))
        os.environ.update(environment(self.server))

    def pytest_sessionfinish(self, session):
        self.server.stop()

    @pytest.hookimpl(hookwrapper=True)
    def pytest_pycollect_makemodule(self, module_path, parent):
        # The tests name no scheme, and without one the SDK takes https, which no proxy can read.
        from qcloud_cos import cos_client

        made = cos_client.CosConfig.__init__
        if not hasattr(made, "__wrapped__"):

            def plain(self, *arguments, **more):
                made(self, *arguments, **{"Scheme": "http", **more})

            plain.__wrapped__ = made
            cos_client.CosConfig.__init__ = plain
        yield

    def pytest_collection_modifyitems(self, items):
        for item in items:
            # Most are for hosts of other services, and the SDK asks each several times.
            if self.counts.classify(short(item.nodeid)) == "out-of-scope":
                item.add_marker(pytest.mark.skip("out of scope"))


@pytest.fixture(scope="session", autouse=True)
def prepared(request):
    """The buckets that the tests expect."""
    module = request.session.items[0].module
    # They wait for settings to spread, which here is done when it is answered.
    module.time = types.SimpleNamespace(**{**vars(time), "sleep": lambda seconds: None})
    module.setUp()
    # The account they were written for has a bucket there.
    module._create_test_bucket(f"beijing-{module.APPID}", "ap-beijing")


def pytest_configure(config):
    counts = Counts(CLASSIFIED, CLASSES)
    config.pluginmanager.register(counts)
    config.pluginmanager.register(Suite(counts))
