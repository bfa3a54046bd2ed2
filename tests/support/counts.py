"""The three counts of a run of a public suite: passed, failed with a class, failed without one. Part of a
pytest plugin."""

import fnmatch
import pathlib
import tomllib

import pytest


def read(file, classes):
    """Which tests do not pass, as (name or pattern, class), and why."""
    entries = []
    for group in tomllib.loads(file.read_text())["group"]:
        assert group["class"] in classes, group
        assert group.get("reason"), f"no reason: {group}"
        entries += [(test, group["class"]) for test in group["tests"]]
    return entries


def short(nodeid):
    """`test_s3::test_name[parameter]`."""
    file, _, name = nodeid.partition("::")
    return f"{pathlib.PurePath(file).stem}::{name}"


class Counts:
    """Runs in the one process that hears of every test."""

    def __init__(self, file, classes):
        self.file = file
        self.classes = classes
        self.entries = read(file, classes)
        self.exact = dict(entry for entry in self.entries if "*" not in entry[0])
        self.failed = {}
        self.seen = set()

    def classify(self, name):
        found = self.exact.get(name)
        return found or next((c for p, c in self.entries if "*" in p and fnmatch.fnmatchcase(name, p)), None)

    def pytest_runtest_logreport(self, report):
        # What the suite cannot clear away afterwards is no failure of the test.
        if report.when == "teardown":
            return
        name = short(report.nodeid)
        self.seen.add(name)
        if not report.passed:
            self.failed[name] = report.outcome

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session):
        classified = {name: self.classify(name) for name in self.failed}
        self.unclassified = sorted(name for name, found in classified.items() if not found)
        self.stale = sorted(name for name in self.exact if name in self.seen and name not in self.failed)
        self.by_class = {c: sum(1 for found in classified.values() if found == c) for c in sorted(self.classes)}
        session.exitstatus = 1 if self.unclassified or not self.seen else 0

    def pytest_terminal_summary(self, terminalreporter):
        say = terminalreporter.write_line
        for name in self.stale:
            say(f"listed in {self.file.name}, but passes: {name}")
        for name in self.unclassified:
            say(f"unclassified: {name}")
        of = ", ".join(f"{count} {name}" for name, count in self.by_class.items())
        passed = len(self.seen) - len(self.failed)
        classified = len(self.failed) - len(self.unclassified)
        say(f"{passed} passed, {classified} classified failures ({of}), {len(self.unclassified)} unclassified")
