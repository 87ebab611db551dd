"""Flask sessions from sessiongate: copy this file beside your app.

    from sessiongate_flask import GatewaySessionInterface
    app.session_interface = GatewaySessionInterface(secrets={"a1": os.environ["ASSERTION_SECRET"]}, audience="app")

`flask.session` then works as ever (also flash messages, tuples, datetimes, nested changes), but the data lives in the
gateway: it arrives with the request in X-Session-Assertion and what the view changed leaves in X-Session-Patch. No cookie,
no SECRET_KEY, no store in the app. `session.sid` is a public handle, `session.rotate()` asks for a new id (do it at login).

A request that did not come through the gateway has no session: reads find nothing, writes raise. Needs Flask 2.2 or newer
and nothing else. Instances hold no state of a request, so threads and workers may share them.
"""
import base64
import hashlib
import hmac
import json
import re
import time

from flask.json.tag import TaggedJSONSerializer
from flask.sessions import SessionInterface, SessionMixin

_SEGMENT = re.compile(r"[A-Za-z0-9_-]+\Z")
_MISSING = object()
_tagged = TaggedJSONSerializer()


class Refused(ValueError):
    """The assertion is not one the gateway made for us, now."""


def verify_hs256(token, secrets, audience):
    """The claims of a compact JWS; Refused unless HS256 by one of `secrets` (by key id), for `audience`, and not expired."""
    parts = token.split(".")
    if len(parts) != 3 or not all(map(_SEGMENT.match, parts)):
        raise Refused("form")
    header = _json_object(parts[0])
    if header.get("alg") != "HS256" or header.get("typ") != "session+jwt" or "crit" in header:
        raise Refused("algorithm, type or critical header")
    kid = header.get("kid")
    secret = secrets.get(kid) if isinstance(kid, str) else None
    if secret is None:
        raise Refused("key")
    mac = hmac.new(secret.encode(), (parts[0] + "." + parts[1]).encode(), hashlib.sha256).digest()
    if not hmac.compare_digest(base64.urlsafe_b64encode(mac).rstrip(b"=").decode(), parts[2]):
        raise Refused("signature")
    return check_claims(_json_object(parts[1]), audience)


def check_claims(claims, audience):
    """`claims` when they are for `audience`, not expired and carry data; else Refused."""
    expires = claims.get("exp")
    if claims.get("aud") != audience:
        raise Refused("audience")
    if isinstance(expires, bool) or not isinstance(expires, (int, float)) or expires <= time.time():
        raise Refused("expired")
    if not isinstance(claims.get("data"), dict):
        raise Refused("data")
    return claims


def _json_object(segment):
    try:
        value = json.loads(base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4)))
    except ValueError:
        raise Refused("form") from None
    if not isinstance(value, dict):
        raise Refused("form")
    return value


def difference(before, after, cleared=False):
    """(patch or None, directives) by which the gateway turns `before` into `after`. Both are plain JSON objects."""
    if cleared and before:
        return (after, ["replace"]) if after else (None, ["destroy"])
    try:
        return _merge_patch(before, after) or None, []
    except _NeedsNull:
        return after, ["replace"]


class _NeedsNull(Exception):
    """A merge patch (RFC 7396) has no way to set a member to null."""


def _merge_patch(before, after):
    patch = {name: None for name in before if name not in after}
    for name, value in after.items():
        old = before.get(name, _MISSING)
        if isinstance(old, dict) and isinstance(value, dict):
            nested = _merge_patch(old, value)
            if nested:
                patch[name] = nested
        elif old is _MISSING or _text(old) != _text(value):
            _refuse_null(value)
            patch[name] = value
    return patch


def _refuse_null(value):
    if value is None:
        raise _NeedsNull
    if isinstance(value, dict):
        for member in value.values():
            _refuse_null(member)


def _text(value):
    """JSON in printable ASCII: what a header can carry, and how values are compared (in Python, True == 1)."""
    return json.dumps(value, sort_keys=True, allow_nan=False, separators=(",", ":"))


class GatewaySession(dict, SessionMixin):
    """The session of one request. A dict; permanence is beside the data, not in it."""

    def __init__(self, claims):
        self.before = claims["data"]
        super().__init__(_tagged.loads(json.dumps(self.before)))
        self.sid = claims.get("sid")
        self.new = bool(claims.get("new"))
        self.was_permanent = self._permanent = bool(claims.get("permanent"))
        self.cleared = self.rotated = False

    @property
    def permanent(self):
        return self._permanent

    @permanent.setter
    def permanent(self, value):
        self._permanent = bool(value)

    def clear(self):
        self.cleared = True
        super().clear()

    def rotate(self):
        """Keep the data, get a new id: the old one stops opening the session."""
        self.rotated = True


class GatewaySessionInterface(SessionInterface):
    """`secrets`: key id -> secret, as in the gateway's keys.assertion. `audience`: this upstream's name there.
    `verify`: another function token -> claims, for keys that are not HS256 (see examples/verify/python)."""

    def __init__(self, secrets=None, audience=None, prefix="X-Session-", verify=None):
        if verify is None and not (secrets and audience):
            raise ValueError("give secrets and audience, or verify")
        self.prefix = prefix
        self.verify = verify or (lambda token: verify_hs256(token, secrets, audience))

    def open_session(self, app, request):
        token = request.headers.get(self.prefix + "Assertion")
        if not token:
            return None  # Flask makes its null session: reads find nothing, writes raise
        try:
            claims = self.verify(token)
        except Exception as problem:  # whatever a JWT library raises
            app.logger.warning("session assertion refused: %s", problem)
            return None
        return GatewaySession(claims)

    def make_null_session(self, app):
        return NoGatewaySession()

    def is_null_session(self, obj):
        return isinstance(obj, NoGatewaySession)

    def regenerate(self, session):
        """As Flask-Session names it."""
        session.rotate()

    def save_session(self, app, session, response):
        after = json.loads(_tagged.dumps(dict(session)))
        patch, control = difference(session.before, after, session.cleared)
        if "destroy" not in control and (after or session.before):
            if session.rotated:
                control.append("rotate")
            if session.permanent != session.was_permanent:
                control.append("permanent" if session.permanent else "transient")
        if patch is not None:
            response.headers[self.prefix + "Patch"] = _text(patch)
        if control:
            response.headers[self.prefix + "Control"] = ", ".join(control)


class NoGatewaySession(dict, SessionMixin):
    """No assertion, so no session: empty, and loud when written to."""

    permanent = False

    def _fail(self, *args, **kwargs):
        raise RuntimeError("no session: this request did not come through sessiongate (see its route's `session` and the keys)")

    __setitem__ = __delitem__ = setdefault = update = __ior__ = rotate = _fail
