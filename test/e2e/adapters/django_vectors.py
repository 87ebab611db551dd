"""Runs the shared vectors through examples/adapters/django/sessiongate_django.py; prints what it accepted and emitted as JSON."""
import json
import sys

from sessiongate_django import Refused, _text, difference, verify_hs256

vectors = json.load(open(sys.argv[1]))
assertions, patches = {}, {}
for vector in vectors["assertions"]:
    try:
        claims = verify_hs256(vector["token"], vectors["secrets"], vectors["audience"])
        assertions[vector["id"]] = {"ok": True, "data": claims["data"]}
    except Refused:
        assertions[vector["id"]] = {"ok": False}
for vector in vectors["patches"]:
    patch, control = difference(vector["before"], vector["after"], vector["cleared"])
    patches[vector["id"]] = {"patch": None if patch is None else _text(patch), "control": control}
print(json.dumps({"assertions": assertions, "patches": patches}))
