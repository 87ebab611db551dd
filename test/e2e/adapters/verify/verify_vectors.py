"""Runs the shared vectors through examples/verify/python."""
import json
import sys

import jwt
from verify import verify

vectors = json.load(open(sys.argv[1]))
keys = {"HS256": vectors["secrets"]}
for alg, jwks in vectors["jwks"].items():
    keys[alg] = {jwk["kid"]: jwt.PyJWK(jwk).key for jwk in jwks["keys"]}
assertions = {}
for vector in vectors["assertions"]:
    try:
        claims = verify(vector["token"], keys[vector["alg"]], vector["alg"], vectors["audience"])
        assertions[vector["id"]] = {"ok": True, "data": claims["data"]}
    except (jwt.InvalidTokenError, KeyError):
        assertions[vector["id"]] = {"ok": False}
print(json.dumps({"assertions": assertions}))
