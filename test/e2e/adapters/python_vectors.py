"""Runs the shared vectors (argument 1) through a Python adapter (argument 2, a module); prints what it accepted and emitted."""
import importlib
import json
import sys

adapter = importlib.import_module(sys.argv[2])
vectors = json.load(open(sys.argv[1]))
assertions, patches = {}, {}
for vector in vectors["assertions"]:
    try:
        claims = adapter.verify_hs256(vector["token"], vectors["secrets"], vectors["audience"])
        assertions[vector["id"]] = {"ok": True, "data": claims["data"]}
    except adapter.Refused:
        assertions[vector["id"]] = {"ok": False}
for vector in vectors["patches"]:
    patch, control = adapter.difference(vector["before"], vector["after"], vector["cleared"])
    patches[vector["id"]] = {"patch": None if patch is None else adapter._text(patch), "control": control}
print(json.dumps({"assertions": assertions, "patches": patches}))
