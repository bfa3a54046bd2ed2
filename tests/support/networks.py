"""Functions in networks of their own, and in the machine's: each has a way home of its own."""

import pytest

from .instance import Instance


@pytest.fixture(scope="module", params=["own", "machine's"])
def server(request, server, tmp_path_factory):
    """The server of the run, and then one whose functions have the machine's network."""
    if request.param == "own":
        yield server
        return
    where = tmp_path_factory.mktemp("shared")
    arguments = ["--retry-interval", "100ms", "--isolation", "off"]
    with Instance(where / "data", *arguments, log=where / "log") as one:
        yield one
        assert one.stop() == 0
