"""Prints the event exactly as it came: the order of its names too."""

import json


def main_handler(event, context):
    print("EVENT " + json.dumps(event, ensure_ascii=False))
    return "done"
