"""The adapters' common small app, on Django."""
import json
import os
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIServer, make_server

import django
from django.conf import settings

settings.configure(
    ALLOWED_HOSTS=["*"],
    SECRET_KEY="not used for sessions",
    ROOT_URLCONF=__name__,
    SESSION_ENGINE="sessiongate_django",
    MIDDLEWARE=["sessiongate_django.SessionMiddleware"],
    SESSIONGATE={"secrets": {"a1": os.environ["ASSERTION_SECRET"]}, "audience": "app"},
)
django.setup()

from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.http import HttpResponse, JsonResponse  # noqa: E402
from django.urls import path  # noqa: E402


def show(request):
    return JsonResponse(dict(request.session.items()))


def action(view):
    def respond(request):
        view(request.session, request.GET)
        return HttpResponse("ok")
    return respond


def set_member(session, query):
    session[query["name"]] = json.loads(query["value"])


def visit(session, _query):
    session["user"]["visits"] += 1  # nested: Django's own sessions would not notice


def login(session, query):
    session.cycle_key()
    session["user"] = {"id": query["user"], "visits": 0}


def restart(session, _query):
    session.flush()
    session["fresh"] = True


urlpatterns = [
    path("session", show),
    path("set", action(set_member)),
    path("drop", action(lambda session, query: session.pop(query["name"], None))),
    path("visit", action(visit)),
    path("login", action(login)),
    path("remember", action(lambda session, _query: session.set_expiry(1200))),
    path("restart", action(restart)),
    path("logout", action(lambda session, _query: session.flush())),
]


class Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


make_server("127.0.0.1", int(os.environ["PORT"]), get_wsgi_application(), Server).serve_forever()
