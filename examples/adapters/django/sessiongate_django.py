"""Django sessions from sessiongate: copy this file into your project and change two settings.

    SESSION_ENGINE = "sessiongate_django"
    MIDDLEWARE = [..., "sessiongate_django.SessionMiddleware", ...]   # instead of django.contrib.sessions.middleware.SessionMiddleware
    SESSIONGATE = {"secrets": {"a1": os.environ["ASSERTION_SECRET"]}, "audience": "app"}

`request.session`, `django.contrib.auth` and messages work as ever, nested changes included. The data lives in the gateway: it
arrives in X-Session-Assertion, what the view changed leaves in X-Session-Patch. `login()` gets a new id (cycle_key), `logout()`
ends the session (flush). No session table, no cookie; `clearsessions` has nothing to do. Django's own rule stays: an answer
with status 500 changes nothing. Needs Django 3.2 or newer and nothing else.
"""
import base64
import copy
import hashlib
import hmac
import json
import logging
import re
import time
from datetime import datetime, timedelta

from django.conf import settings
from django.contrib.sessions.backends.base import SessionBase
from django.utils import timezone
from django.utils.deprecation import MiddlewareMixin

_SEGMENT = re.compile(r"[A-Za-z0-9_-]+\Z")
_MISSING = object()
_log = logging.getLogger("sessiongate")


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


class SessionStore(SessionBase):
    """The session of one request. Without claims (not through the gateway) it is empty and must stay so."""

    def __init__(self, session_key=None, claims=None):
        super().__init__(None)
        self.claims = claims or {"data": {}, "new": True, "permanent": False}
        self.from_gateway = claims is not None
        self.sid = self.claims.get("sid")
        self.cleared = self.rotated = False
        self.permanent = None
        self.idle_seconds = None

    @property
    def session_key(self):
        return self.sid

    def load(self):
        return copy.deepcopy(self.claims["data"])

    def save(self, must_create=False):
        """Nothing: the middleware says what changed when the view is done."""

    create = save

    def exists(self, session_key):
        return False

    def delete(self, session_key=None):
        self.cleared = True

    def clear(self):
        self.cleared = True
        super().clear()

    def flush(self):
        self.clear()
        self.rotated = True

    def cycle_key(self):
        self.rotated = True

    def set_expiry(self, value):
        """As Django's, but beside the data: 0 ends with the browser, a time span or date also shortens the idle lifetime."""
        if value is None:
            self.permanent = self.idle_seconds = None
            return
        if isinstance(value, datetime):
            value = value - timezone.now()
        seconds = int(value.total_seconds()) if isinstance(value, timedelta) else int(value)
        self.permanent = seconds > 0
        self.idle_seconds = seconds if seconds > 0 else None

    @classmethod
    def clear_expired(cls):
        """The gateway's store expires by itself."""

    def changes(self):
        """(patch or None, directives) for the gateway."""
        before, after = self.claims["data"], json.loads(json.dumps(self._session, allow_nan=False))
        patch, control = difference(before, after, self.cleared)
        if "destroy" not in control and (before or after):
            if self.rotated:
                control.append("rotate")
            if self.permanent is not None and self.permanent != self.claims.get("permanent", False):
                control.append("permanent" if self.permanent else "transient")
            if self.idle_seconds is not None:
                control.append("idle=%d" % self.idle_seconds)
        return patch, control


class SessionMiddleware(MiddlewareMixin):
    """Reads the assertion before the view and writes the changes after it."""

    def process_request(self, request):
        request.session = SessionStore(claims=self.claims_of(request))

    def process_response(self, request, response):
        session = getattr(request, "session", None)
        if session is None or response.status_code == 500:
            return response
        patch, control = session.changes()
        if (patch is not None or control) and not session.from_gateway:
            raise RuntimeError("no session: this request did not come through sessiongate (see its route's `session` and the keys)")
        prefix = settings.SESSIONGATE.get("prefix", "X-Session-")
        if patch is not None:
            response[prefix + "Patch"] = _text(patch)
        if control:
            response[prefix + "Control"] = ", ".join(control)
        return response

    def claims_of(self, request):
        options = settings.SESSIONGATE
        token = request.headers.get(options.get("prefix", "X-Session-") + "Assertion")
        if not token:
            return None
        try:
            verify = options.get("verify")
            return verify(token) if verify else verify_hs256(token, options["secrets"], options["audience"])
        except Exception as problem:  # whatever a JWT library raises
            _log.warning("session assertion refused: %s", problem)
            return None
