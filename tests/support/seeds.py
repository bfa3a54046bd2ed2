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
    "cron": lambda: [b"\x60\0\0\0" + text for text in (b"0 */5 * * * * *", b"30 15 10 1-7 JAN,MAR MON 2030-2031", b"*/5 * * * *")],
    "place": lambda: ["http://a.b/%e4%BD%A0/x?y=%20#z", "https://a.b:443?q"],
    "opening": lambda: [
        b"PROXY TCP4 10.0.0.1 db.test 1 5432\r\nrest",
        b"\x05\x01\x00\x05\x01\x00\x03\x01a\x00\x50rest",
        b"\x05\x01\x00\x05\x01\x00\x01\x7f\0\0\x01\x00\x50",
        b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00",
    ],
    "gob": lambda: [
        b"\x1f\xff\x81\x03\x01\x01\x05Point\x01\xff\x82\x00\x01\x02\x01\x01X\x01\x04\x00\x01\x01Y\x01\x04\x00\x00\x00"
        b"\x07\xff\x82\x01\x2c\x01\x42\x00",
    ],
    "name": lambda: [b"\0\x01\x01\0\0\x01\0\0\0\0\0\0\x01a\x04test\0\0\x01\0\x01"],
    "head": lambda: [
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        b"HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\n\r\n",
    ],
    "action": lambda: ['{"FunctionName":"f"}', "Action=A&Version=1&Filters.0.Name=a&Filters.0.Values.0=b"],
}


def main(target, directory):
    directory = pathlib.Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(SEEDS.get(target, list)()):
        (directory / f"seed-{number}").write_bytes(seed if isinstance(seed, bytes) else seed.encode())


if __name__ == "__main__":
    main(*sys.argv[1:])
