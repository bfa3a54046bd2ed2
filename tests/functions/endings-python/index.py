"""A function that ends in every way there is."""

import os
import subprocess
import sys
import threading

if os.environ.get("FAIL") == "init":
    raise RuntimeError("cannot begin")
if os.environ.get("FAIL") == "wait":
    threading.Event().wait()

calls = 0


def tell(event, context):
    return {
        **context,
        "calls": calls,
        "text": event["text"],
        "directory": os.getcwd(),
        "variables": dict(os.environ),
        "room": os.statvfs("/tmp").f_blocks * os.statvfs("/tmp").f_frsize,
    }


def hang(event, context):
    children = [subprocess.Popen(["sleep", "600"], start_new_session=away).pid for away in (False, True)]
    with open(event["pids"], "w") as pids:
        pids.write(" ".join(map(str, [os.getpid(), *children])))
    threading.Event().wait()


def memory(event, context):
    kept = []
    while True:
        kept.append(b"x" * (1 << 20))


def throw(event, context):
    raise ValueError("thrown on purpose")


def show(event, context):
    print("to standard output")
    print("to standard error", file=sys.stderr)


WAYS = {
    "tell": tell,
    "print": show,
    "large": lambda event, context: "x" * event["size"],
    "throw": throw,
    "hang": hang,
    "memory": memory,
    "exit": lambda event, context: os._exit(7),
}


def main_handler(event, context):
    global calls
    calls += 1
    return WAYS[event["do"]](event, context)
