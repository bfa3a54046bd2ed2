"""Which operations real clients have got an answer to, in which dialect, as the server's log tells it."""

import re

from support.instance import ROOT

LINE = re.compile(
    r'dialect=(?P<dialect>\w+) op="?(?P<op>\w+)"? .*status=(?P<status>\d+) micros=\d+ agent="?(?P<agent>[^" ]+)'
)
# Asked for by browsers alone, for which the tests speak plain HTTP.
BROWSERS = {"OptionsObject", "ServeWebsite"}
# No COS SDK has it; what is signed as AWS signs is answered as S3 does.
NO_CLIENT = {("ListObjectsV2", "COS")}
ROW = re.compile(r"^\| (?P<op>\w+) \| (?P<services>[A-Z0-9, ]+) \| (?:yes|kept only) \|", re.M)


def answered(log):
    """Of one server's log at the level debug. Only what succeeded counts, and only clients that name themselves:
    `raw.py` does not."""
    return {
        (line["op"], line["dialect"].upper())
        for line in LINE.finditer(log)
        if int(line["status"]) < 400 and (line["agent"] != "-" or line["op"] in BROWSERS)
    }


def promised():
    """What docs/api-support.md says is supported, where there are clients that can ask for it."""
    table = (ROOT / "docs/api-support.md").read_text()
    rows = {(row["op"], service) for row in ROW.finditer(table) for service in row["services"].split(", ")}
    return rows - NO_CLIENT
