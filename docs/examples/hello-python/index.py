"""Says what happened to which object. Runs unchanged on SCF and on Cosette."""


def main_handler(event, context):
    said = []
    for record in event["Records"]:
        bucket = record["cos"]["cosBucket"]
        thing = record["cos"]["cosObject"]
        # "/<appid>/<bucket>/<key>": the key may itself hold slashes.
        key = thing["key"].split("/", 3)[3]
        said.append(f"{record['event']['eventName']} {bucket['name']} {key} {thing['size']} bytes")
        print(said[-1])
    return said
