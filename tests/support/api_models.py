"""What the models of the official SDK for Python know of the Cloud API's parameters."""

import importlib
import inspect
import re

VERSIONS = {"scf": "v20180416", "sts": "v20180813", "cdn": "v20180606"}


def requests(service):
    """Of each action, its parameters as paths such as `Filters[].Name`."""
    models = importlib.import_module(f"tencentcloud.{service}.{VERSIONS[service]}.models")
    return {
        name.removesuffix("Request"): list(_paths(models, model, ""))
        for name, model in vars(models).items()
        if name.endswith("Request") and inspect.isclass(model)
    }


def _paths(models, model, prefix):
    # Only the code that reads a model says what its fields are made of.
    read = inspect.getsource(model._deserialize)
    for attribute in vars(model()):
        name = attribute.removeprefix("_")
        block = re.search(rf'if params\.get\("{name}"\) is not None:\n((?: {{12}}.*\n)*)', read)
        inner = block and re.search(r"= ([A-Z]\w+)\(\)", block[1])
        if inner:
            mark = "[]" if "for item in" in block[1] else ""
            yield from _paths(models, getattr(models, inner[1]), f"{prefix}{name}{mark}.")
        else:
            yield prefix + name


def plain(path):
    """As the documentation's table has it."""
    return path.replace("[]", "")


def holding(path, value):
    """Parameters that have the value there and nothing else."""
    head, _, rest = path.partition(".")
    inside = holding(rest, value) if rest else value
    return {head.removesuffix("[]"): [inside] if head.endswith("[]") else inside}
