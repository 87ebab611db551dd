"""Answers one JSON line per JSON line, with the real Flask, itsdangerous and pickle. Bytes travel as base64."""
import base64, datetime, json, pickle, struct, sys, uuid

try:
    import itsdangerous, markupsafe
    from flask import Flask
    from flask.sessions import session_json_serializer
    from itsdangerous.encoding import base64_decode
except ImportError as error:
    print(json.dumps({"missing": str(error)}), flush=True)
    sys.exit(0)

import hashlib

MAKE = {
    "$tuple": lambda v: tuple(map(make, v)),
    "$set": lambda v: set(map(make, v)),
    "$bytes": base64.b64decode,
    "$markup": markupsafe.Markup,
    "$uuid": uuid.UUID,
    "$datetime": lambda v: datetime.datetime.fromisoformat(v),
    "$timedelta": lambda v: datetime.timedelta(*v),
    "$int": int,
    "$float": float,
    "$map": lambda v: {make(key): make(item) for key, item in v},
    "$dict": lambda v: {key: make(item) for key, item in v.items()},
}


def make(value):
    if isinstance(value, list):
        return [make(item) for item in value]
    if isinstance(value, dict):
        if len(value) == 1 and next(iter(value)) in MAKE:
            key, content = next(iter(value.items()))
            return MAKE[key](content)
        return {key: make(item) for key, item in value.items()}
    return value


def describe(value):
    """The value as text that two equal values of equal types share, dict order aside."""
    if isinstance(value, dict):
        return "{%s}" % ",".join(sorted("%s:%s" % (describe(k), describe(v)) for k, v in value.items()))
    if isinstance(value, (list, tuple)):
        return "%s(%s)" % (type(value).__name__, ",".join(map(describe, value)))
    return "%s %r" % (type(value).__name__, value)


def serializer(q):
    secrets = [base64.b64decode(secret) for secret in reversed(q["secrets"])]
    s = itsdangerous.URLSafeTimedSerializer(
        secrets, salt=q["salt"], serializer=session_json_serializer,
        signer_kwargs={"key_derivation": q["derivation"], "digest_method": getattr(hashlib, q["digest"])})

    class At(itsdangerous.TimestampSigner):
        def get_timestamp(self):
            return q["now"]

    s.signer = At
    return s


def dumps(q):
    value = make(q["value"])
    return {"text": session_json_serializer.dumps(value), "cookie": serializer(q).dumps(value)}


def loads(q):
    try:
        value = serializer(q).loads(q["cookie"], max_age=q["max_age"])
    except itsdangerous.SignatureExpired as error:
        return {"reason": "future" if "< 0" in str(error) else "expired"}
    except itsdangerous.BadSignature:
        return {"reason": "bad_signature"}
    except Exception:
        return {"reason": "bad_payload"}
    expected = describe(make(q["value"])) if "value" in q else None
    return {"reason": "ok", "equal": describe(value) == expected, "got": describe(value)[:300], "expected": (expected or "")[:300]}


def parse(q):
    try:
        value = json.loads(q["text"])
    except (ValueError, RecursionError):
        return {"ok": False}
    return {"ok": True, "canonical": json.dumps(value, separators=(",", ":"), sort_keys=True)}


def untag(q):
    try:
        session_json_serializer.loads(q["text"])
        return {"ok": True}
    except Exception:
        return {"ok": False}


def b64(q):
    try:
        return {"bytes": base64.b64encode(base64_decode(base64.b64decode(q["text"]))).decode()}
    except itsdangerous.BadData:
        return {}


def signer(q):
    s = itsdangerous.Signer(base64.b64decode(q["secret"]), salt="flask-session", key_derivation="hmac")
    return {"cookie": s.sign(q["sid"]).decode(), "valid": s.validate(q["cookie"])}


OPERATIONS = {
    "dumps": dumps, "loads": loads, "parse": parse, "untag": untag, "b64": b64, "signer": signer,
    "repr": lambda q: {"text": json.dumps(struct.unpack(">d", base64.b64decode(q["bits"]))[0])},
    "pickle": lambda q: {"bytes": base64.b64encode(pickle.dumps(make(q["value"]), q["protocol"])).decode()},
    "equal": lambda q: {"equal": describe(make(q["left"])) == describe(make(q["right"]))},
}

with Flask(__name__).app_context():
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        question = json.loads(line)
        try:
            answer = OPERATIONS[question["op"]](question)
        except Exception as error:
            answer = {"error": "%s: %s" % (type(error).__name__, error)}
        print(json.dumps(answer), flush=True)
