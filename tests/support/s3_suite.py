"""A pytest plugin for runs of the public S3 suite (scripts/s3-tests): a server for each worker,
a name of its own for each test's buckets, and the three counts at the end.
"""

import hashlib
import os
import pathlib
import sys
import tempfile

import pytest

from support.counts import Counts
from support.instance import Instance

CLASSIFIED = pathlib.Path(__file__).resolve().parents[1] / "s3-tests.toml"

# Section of the suite's configuration, secret id, secret key, APPID, UIN, name.
ACCOUNTS = [
    ("s3 main", "AKIDSuiteMain", "SuiteMainKey", "1250000001", "100000000011", "main"),
    ("s3 alt", "AKIDSuiteAlt", "SuiteAltKey", "1250000002", "100000000012", "alt"),
    ("s3 tenant", "AKIDSuiteTenant", "SuiteTenantKey", "1250000003", "100000000013", "tenant"),
    ("iam", "AKIDSuiteIam", "SuiteIamKey", "1250000004", "100000000014", "iam"),
    ("iam root", "AKIDSuiteRoot", "SuiteRootKey", "1250000005", "100000000015", "root"),
    ("iam alt root", "AKIDSuiteAltRoot", "SuiteAltRootKey", "1250000006", "100000000016", "altroot"),
]


# The day of the suite's lifecycle tests, in seconds. Our own is a little shorter: some of the tests look after
# exactly as many days as an object may take.
DAY_S = 2
DAY = f"--day={DAY_S * 1000 - 100}ms"

# Tests that count days of 24 hours.
FULL_DAYS = "test_lifecycle_expiration_header"

# Classes that S3 moves objects to at any age. The suite would make more cases of tests that copy for each class,
# so only tests of transitions hear of them.
CLASSES = "INTELLIGENT_TIERING GLACIER"


def configuration(port):
    """The suite's configuration file for a server on this port."""
    lines = ["[DEFAULT]", "host = localhost", f"port = {port}", "is_secure = False", "ssl_verify = False"]
    lines += ["[fixtures]", "bucket prefix = cosette-{random}-"]
    for section, secret_id, secret_key, _, uin, name in ACCOUNTS:
        lines += [
            f"[{section}]",
            f"access_key = {secret_id}",
            f"secret_key = {secret_key}",
            f"user_id = {hashlib.sha256(uin.encode()).hexdigest()}",
            f"display_name = {name}",
            f"email = {name}@example.com",
        ]
        if section == "s3 main":
            # Its lifecycle tests sleep for multiples of this.
            lines += ["api_name = us-east-1", f"lc_debug_interval = {DAY_S}", "rgw_restore_debug_interval = 1"]
            lines += ["rgw_restore_processor_period = 1"]
        if section == "s3 tenant":
            lines += ["tenant = tenant"]
    return "\n".join(lines) + "\n"


class Suite:
    """Runs where the tests run."""

    def pytest_sessionstart(self, session):
        arguments = [f"--account={':'.join(account[1:])}" for account in ACCOUNTS]
        # Its logging tests wait five seconds and a half.
        arguments.append("--log-interval=5s")
        log = os.environ.get("COSETTE_SUITE_LOG")
        worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0")
        log = log and f"{log}.{worker}"
        arguments += ["--region=us-east-1", "--dialect=s3", "--log=debug"]
        self.server = Instance(None, *arguments, DAY, log=log)
        self.full_days = Instance(None, *arguments, log=log and f"{log}.full")
        self.file = tempfile.NamedTemporaryFile("w", prefix="s3-tests-", suffix=".conf")
        self.file.write(configuration(self.server.port))
        self.file.flush()
        os.environ["S3TEST_CONF"] = self.file.name

    def pytest_sessionfinish(self, session):
        self.server.stop()
        self.full_days.stop()
        self.file.close()

    def pytest_collection_modifyitems(self, items):
        # Wants an account without buckets, so it comes before those that leave some.
        items.sort(key=lambda item: item.name != "test_list_buckets_paginated")

    @pytest.hookimpl(tryfirst=True)
    def pytest_fixture_setup(self, fixturedef, request):
        # The suite removes what has its prefix before and after each test. One name for each test
        # keeps what one could not remove from failing all that follow.
        if fixturedef.argname == "setup_teardown":
            functional = sys.modules["s3tests.functional"]
            functional.prefix = functional.choose_bucket_prefix("cosette-{random}-")
            server = self.full_days if request.node.name.startswith(FULL_DAYS) else self.server
            functional.config.default_port = server.port
            functional.config.default_endpoint = f"http://localhost:{server.port}"
            transitions = request.node.get_closest_marker("lifecycle_transition")
            functional.config.storage_classes = CLASSES if transitions else ""


def pytest_configure(config):
    worker = hasattr(config, "workerinput")
    if worker or not config.getoption("numprocesses", None):
        config.pluginmanager.register(Suite())
    if not worker:
        config.pluginmanager.register(Counts(CLASSIFIED, {"not-aws", "out-of-scope", "gap"}))
