# Answers for Python: each line of standard input is a JSON list of what to do and
# a text, each line of standard output the value in JSON, with types in it.
import ast
import json
import shlex
import sys
import warnings

import yaml

warnings.simplefilter("ignore")


class Loader(yaml.SafeLoader):
    pass


def typed(v):
    if v is None or isinstance(v, (bool, str)):
        return v
    if isinstance(v, int):
        if not -(2**63) <= v < 2**64:
            raise OverflowError
        return {"int": str(v)}
    if isinstance(v, float):
        if v != v or v in (float("inf"), float("-inf")):
            raise OverflowError
        return {"float": repr(v)}
    if isinstance(v, (list, tuple)):
        return [typed(x) for x in v]
    if isinstance(v, dict):
        for k in v:
            if not isinstance(k, (str, int, float, bool, type(None))):
                raise OverflowError
            typed(k)
        return {"dict": {k: typed(x) for k, x in json.loads(json.dumps({k: i for i, k in enumerate(v)})).items() for k, x in [(k, list(v.values())[x])]}}
    if hasattr(v, "isoformat"):
        return v.isoformat()
    raise OverflowError


def answer(what, text):
    if what == "literal":
        try:
            v = ast.literal_eval(text)
        except (ValueError, SyntaxError):
            return text
        except (MemoryError, RecursionError, TypeError):
            return text
        if isinstance(v, bytes):
            return v.decode()
        v.encode() if isinstance(v, str) else None
        return typed(v)
    if what == "words":
        try:
            return shlex.split(text, comments=True)
        except ValueError:
            return None
    if what == "scalar":
        node = yaml.ScalarNode(Loader.yaml_implicit_resolvers and yaml.resolver.Resolver().resolve(yaml.ScalarNode, text, (True, False)), text)
        if node.tag.endswith((":merge", ":value")):
            raise OverflowError
        return typed(Loader("").construct_object(node))


for line in sys.stdin:
    what, text = json.loads(line)
    try:
        out = {"value": answer(what, text)}
        json.dumps(out, ensure_ascii=False).encode()
    except Exception as e:
        out = {"odd": repr(e)}
    print(json.dumps(out), flush=True)
