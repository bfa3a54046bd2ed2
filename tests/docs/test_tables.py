"""Documents that must not fall behind what they describe."""

import json
import re
import tomllib

from support.instance import ROOT


def rows(heading):
    text = (ROOT / "docs/dependencies.md").read_text()
    section = text.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    return dict(re.findall(r"^\| `([^`]+)` \| [^|]+ \| ([^|]+) \|$", section, re.M))


def test_every_library_has_its_reason_and_licence():
    table = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["dependencies"]
    assert set(rows("The server")) == {name for name in table if not name.startswith("cosette-")}
    for manifest in (ROOT / "crates").glob("*/Cargo.toml"):
        crate = tomllib.loads(manifest.read_text())
        for kind in ("dependencies", "dev-dependencies", "build-dependencies"):
            for name, wanted in crate.get(kind, {}).items():
                assert wanted == {"workspace": True}, f"{manifest}: {name} is not from the workspace's table"


def test_every_client_of_the_tests_has_its_reason_and_licence():
    pinned = (ROOT / "tests/requirements.txt").read_text().partition("# What those bring")[0]
    wanted = {name.lower() for name in re.findall(r"^([A-Za-z0-9._-]+)(?:\[\w+\])?==", pinned, re.M)}
    node = json.loads((ROOT / "tests/node/package.json").read_text())["dependencies"]
    wanted |= {name.rpartition("/")[2] for name in node}
    direct = re.findall(r"^(?:require )?\s*(\S+) v\S+$", (ROOT / "tests/go/go.mod").read_text(), re.M)
    wanted |= {module.rpartition("/")[2] for module in direct}
    wanted |= set(re.findall(r"<dependency>\s*<groupId>.*?</groupId>\s*<artifactId>(.*?)<", (ROOT / "tests/java/pom.xml").read_text()))
    fuzz = tomllib.loads((ROOT / "tests/fuzz/Cargo.toml").read_text())["dependencies"]
    wanted |= {name for name in fuzz if not name.startswith("cosette-")}
    assert {name.rpartition("/")[2] for name in rows("The tests")} == wanted


def test_every_fuzzed_parser_is_there():
    """The fuzzer is not built here; what it calls is, with the unit tests."""
    calls = re.findall(r"\bcosette_(\w+)::fuzzing::(\w+)\b", (ROOT / "tests/fuzz/src/main.rs").read_text())
    made = {
        (file.relative_to(ROOT / "crates").parts[0], name)
        for file in (ROOT / "crates").glob("*/src/**/fuzzing.rs")
        for name in re.findall(r"^pub fn (\w+)", file.read_text(), re.M)
    }
    assert set(calls) == made


def test_every_python_package_is_at_an_exact_version():
    lines = (ROOT / "tests/requirements.txt").read_text().splitlines()
    for line in lines:
        assert not line or line.startswith("#") or re.fullmatch(r"[\w.-]+(\[\w+\])?==[\w.]+", line), line


def test_the_lock_file_names_no_host_to_fetch_from():
    lock = json.loads((ROOT / "tests/node/package-lock.json").read_text())
    for name, package in lock["packages"].items():
        assert "resolved" not in package, name
        assert name == "" or package["integrity"].startswith("sha512-"), name


def test_links_between_documents_lead_somewhere():
    for document in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", document.read_text()):
            assert (document.parent / target).exists(), f"{document.relative_to(ROOT)}: {target}"
