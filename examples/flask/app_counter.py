"""Login, logout and a counter. The session comes from sessiongate; nothing else is special about this app."""
import os

from flask import Flask, flash, redirect, render_template_string, request, session, url_for
from sessiongate_flask import GatewaySessionInterface

app = Flask(__name__)
app.session_interface = GatewaySessionInterface(
    secrets={os.environ.get("ASSERTION_KEY_ID", "a1"): os.environ["ASSERTION_SECRET"]},
    audience=os.environ.get("AUDIENCE", "counter"),
)

PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Counter</title>
<h1>{{ 'Signed in as ' ~ session.user.name if session.user else 'Nobody is signed in' }}</h1>
{% for note in get_flashed_messages() %}<p role="status">{{ note }}</p>{% endfor %}
<p>Count: <b id="count">{{ session.get('count', 0) }}</b></p>
<form method="post" action="{{ url_for('count') }}"><button>Count</button></form>
{% if session.user %}<form method="post" action="{{ url_for('logout') }}"><button>Sign out</button></form>
{% else %}<form method="post" action="{{ url_for('login') }}"><label>Name <input name="name" required></label>
<label><input type="checkbox" name="remember"> Keep me signed in</label> <button>Sign in</button></form>{% endif %}"""


@app.get("/")
def home():
    return render_template_string(PAGE)


@app.post("/login")
def login():
    name = request.form.get("name", "").strip()
    if not name:
        return "a name is required", 400
    session.rotate()
    session["user"] = {"id": name.lower(), "name": name}
    session.permanent = "remember" in request.form
    flash("Welcome, " + name)
    return redirect(url_for("home"))


@app.post("/count")
def count():
    session["count"] = session.get("count", 0) + 1
    return redirect(url_for("home"))


@app.post("/logout")
def logout():
    session.clear()
    return redirect(url_for("home"))


if __name__ == "__main__":
    app.run(host="127.0.0.1", port=int(os.environ.get("PORT", "5001")), threaded=True)
