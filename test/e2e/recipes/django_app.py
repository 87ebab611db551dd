"""A Django app with django.contrib.auth, sessions and the CSRF middleware (the argument is its SQLite file). It knows nothing of a gateway."""
import os
import sys
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import django
from django.conf import settings

settings.configure(
    ALLOWED_HOSTS=["*"],
    SECRET_KEY="the secret of the app",
    ROOT_URLCONF=__name__,
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": sys.argv[1], "OPTIONS": {"timeout": 20}}},
    DEFAULT_AUTO_FIELD="django.db.models.AutoField",
    PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
    MIDDLEWARE=[
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
    ],
)
django.setup()

from django.contrib import auth  # noqa: E402
from django.contrib.auth.models import User  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.http import HttpResponse  # noqa: E402
from django.middleware.csrf import get_token  # noqa: E402
from django.urls import path  # noqa: E402

call_command("migrate", verbosity=0)
for name in ("ann", "bob"):
    User.objects.create_user(name, password="right")


def whoami(request):
    return HttpResponse(request.user.get_username() or "nobody")


def count(request):
    request.session["count"] = request.session.get("count", 0) + 1
    return HttpResponse(str(request.session["count"]))


def cookies(request):
    return HttpResponse(" ".join(sorted(request.COOKIES)))


def login(request):
    if request.method == "GET":
        return HttpResponse(get_token(request))
    user = auth.authenticate(request, username=request.POST["user"], password=request.POST["password"])
    if user is None:
        return HttpResponse("wrong", status=403)
    auth.login(request, user)
    return HttpResponse("ok")


def logout(request):
    auth.logout(request)
    return HttpResponse("bye")


urlpatterns = [path("whoami", whoami), path("count", count), path("cookies", cookies), path("login", login), path("logout", logout)]


class Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    request_queue_size = 64


class Quiet(WSGIRequestHandler):
    def log_message(self, *_):
        pass


make_server("127.0.0.1", int(os.environ["PORT"]), get_wsgi_application(), Server, Quiet).serve_forever()
