"""A list of students that only a signed-in teacher may see. The session comes from sessiongate."""
import functools
import hmac
import os

from flask import Flask, redirect, render_template_string, request, session, url_for
from sessiongate_flask import GatewaySessionInterface

STUDENTS = {
    1: {"name": "Ada Okafor", "age": 17, "course": "Algebra"},
    2: {"name": "Li Wei", "age": 19, "course": "Physics"},
    3: {"name": "Zoë Brandt", "age": 18, "course": "Music"},
}

app = Flask(__name__)
app.session_interface = GatewaySessionInterface(
    secrets={os.environ.get("ASSERTION_KEY_ID", "a1"): os.environ["ASSERTION_SECRET"]},
    audience=os.environ.get("AUDIENCE", "students"),
)

PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>{{ title }}</title><h1>{{ title }}</h1>"""
LOGIN = PAGE + """{% if error %}<p role="alert">{{ error }}</p>{% endif %}
<form method="post"><label>User <input name="user" autocomplete="username"></label>
<label>Password <input name="password" type="password" autocomplete="current-password"></label> <button>Sign in</button></form>"""
LIST = PAGE + """<ul>{% for id, student in students %}<li><a href="{{ url_for('student', id=id) }}">{{ student.name }}</a></li>{% endfor %}</ul>
<form method="post" action="{{ url_for('logout') }}"><button>Sign out</button></form>"""
DETAIL = PAGE + """<dl>{% for term, value in student.items() %}<dt>{{ term }}</dt><dd>{{ value }}</dd>{% endfor %}</dl>
<a href="{{ url_for('students') }}">All students</a>"""


def signed_in(view):
    @functools.wraps(view)
    def guarded(*args, **kwargs):
        if "user" in session:
            return view(*args, **kwargs)
        session["next"] = request.path
        return redirect(url_for("login"))
    return guarded


@app.route("/login", methods=["GET", "POST"])
def login():
    if request.method == "GET":
        return render_template_string(LOGIN, title="Sign in")
    user, password = request.form.get("user", ""), request.form.get("password", "")
    if not (user == "teacher" and hmac.compare_digest(password.encode(), b"chalk")):
        session["failures"] = session.get("failures", 0) + 1
        return render_template_string(LOGIN, title="Sign in", error="Wrong user or password."), 401
    session.rotate()
    session.pop("failures", None)
    session["user"] = {"id": user}
    return redirect(session.pop("next", url_for("students")))


@app.post("/logout")
def logout():
    session.clear()
    return redirect(url_for("login"))


@app.get("/")
@signed_in
def students():
    return render_template_string(LIST, title="Students", students=STUDENTS.items())


@app.get("/student/<int:id>")
@signed_in
def student(id):
    if id not in STUDENTS:
        return render_template_string(PAGE, title="No such student"), 404
    return render_template_string(DETAIL, title=STUDENTS[id]["name"], student=STUDENTS[id])


if __name__ == "__main__":
    app.run(host="127.0.0.1", port=int(os.environ.get("PORT", "5002")), threaded=True)
