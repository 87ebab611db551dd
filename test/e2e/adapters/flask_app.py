"""The adapters' common small app, on Flask."""
import json
import os

from flask import Flask, jsonify, request, session
from sessiongate_flask import GatewaySessionInterface

app = Flask(__name__)
app.session_interface = GatewaySessionInterface(secrets={"a1": os.environ["ASSERTION_SECRET"]}, audience="app")


@app.get("/session")
def show():
    return jsonify(dict(session))


@app.post("/set")
def set_member():
    session[request.args["name"]] = json.loads(request.args["value"])
    return "ok"


@app.post("/drop")
def drop():
    session.pop(request.args["name"], None)
    return "ok"


@app.post("/visit")
def visit():
    session["user"]["visits"] += 1  # nested: Flask's own sessions would not notice
    return "ok"


@app.post("/login")
def login():
    session.rotate()
    session["user"] = {"id": request.args["user"], "visits": 0}
    return "ok"


@app.post("/remember")
def remember():
    session.permanent = True
    return "ok"


@app.post("/restart")
def restart():
    session.clear()
    session["fresh"] = True
    return "ok"


@app.post("/logout")
def logout():
    session.clear()
    return "ok"


app.run(host="127.0.0.1", port=int(os.environ["PORT"]), threaded=True)
