"""What a fuzzer starts from: the golden requests, and the documents in them.

    seeds.py TARGET DIRECTORY
"""

import pathlib
import re
import sys

GOLDEN = pathlib.Path(__file__).resolve().parents[2] / "crates/wire/tests/golden"


def requests():
    for file in sorted([*GOLDEN.glob("requests-*.txt"), *GOLDEN.glob("settings-*.txt")]):
        for section in re.split(r"^=== .*\n", file.read_text(), flags=re.M)[1:]:
            yield section.partition("\n--- ")[0]


def bodies(begins):
    bodies = (request.partition("\n\n")[2] for request in requests())
    return [body for body in bodies if body.startswith(begins)]


SEEDS = {
    "request": requests,
    "setting": lambda: bodies("<"),
    "policy": lambda: bodies("{"),
    "form": lambda: ["\x09" + body.replace("\n", "\r\n") for body in bodies("--")],
    "chunked": lambda: ["\x095\r\nhello\r\n6\r\n world\r\n0\r\nx-amz-checksum-crc32:DUoRhQ==\r\n\r\n"],
    "query": lambda: [
        "\x13SELECT s.name, COUNT(*) FROM S3Object s WHERE age > 8 LIMIT 2\nname,age\nAnn,31\n",
        "\x90SELECT a.b[0].c AS d FROM S3Object[*].x[*] a\n{\"x\":[{\"b\":[{\"c\":1.5}]}]}",
        "\x1fSELECT CAST(_1 AS DECIMAL) / 3, TRIM(_2) LIKE '%a_' ESCAPE '!' FROM S3Object\n1,\"a\"\"b\"\n",
    ],
    "action": lambda: ['{"FunctionName":"f"}', "Action=A&Version=1&Filters.0.Name=a&Filters.0.Values.0=b"],
}


def main(target, directory):
    directory = pathlib.Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(SEEDS.get(target, list)()):
        (directory / f"seed-{number}").write_bytes(seed.encode())


if __name__ == "__main__":
    main(*sys.argv[1:])
