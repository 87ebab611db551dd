"""django.contrib.auth and messages on the gateway's session, with a real user in SQLite (its file is the argument)."""
import os
import sys
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIServer, make_server

import django
from django.conf import settings

settings.configure(
    ALLOWED_HOSTS=["*"],
    SECRET_KEY="not used for sessions",
    ROOT_URLCONF=__name__,
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.messages"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": sys.argv[1]}},
    DEFAULT_AUTO_FIELD="django.db.models.AutoField",
    PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
    SESSION_ENGINE="sessiongate_django",
    MESSAGE_STORAGE="django.contrib.messages.storage.session.SessionStorage",
    MIDDLEWARE=[
        "sessiongate_django.SessionMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django.contrib.messages.middleware.MessageMiddleware",
    ],
    SESSIONGATE={"secrets": {"a1": os.environ["ASSERTION_SECRET"]}, "audience": "app"},
)
django.setup()

from django.contrib import auth, messages  # noqa: E402
from django.contrib.auth.models import User  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.http import HttpResponse, JsonResponse  # noqa: E402
from django.urls import path  # noqa: E402

call_command("migrate", verbosity=0)
User.objects.create_user("ann", password="chalk")


def show(request):
    return JsonResponse({"user": request.user.get_username(), "messages": [str(note) for note in messages.get_messages(request)]})


def browse(request):
    request.session["seen"] = True
    return HttpResponse("ok")


def login(request):
    user = auth.authenticate(request, username=request.GET["user"], password=request.GET["password"])
    if user is None:
        return HttpResponse("no", status=403)
    auth.login(request, user)
    messages.success(request, "Welcome")
    return HttpResponse("ok")


def logout(request):
    auth.logout(request)
    return HttpResponse("ok")


urlpatterns = [path("session", show), path("browse", browse), path("login", login), path("logout", logout)]


class Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


make_server("127.0.0.1", int(os.environ["PORT"]), get_wsgi_application(), Server).serve_forever()
