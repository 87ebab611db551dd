"""An app with Flask-Session in Redis that knows nothing of a gateway. Its settings are the environment's SESSION_* as JSON in SETTINGS."""
import json
import os
import threading
from datetime import timedelta

import redis
from flask import Flask, jsonify, request, session
from flask_session import Session

app = Flask(__name__)
app.secret_key = "the key of the app"
app.config.update(
    SESSION_TYPE="redis",
    SESSION_REDIS=redis.Redis(host="127.0.0.1", port=int(os.environ["REDIS_PORT"])),
    PERMANENT_SESSION_LIFETIME=timedelta(hours=2),
    **json.loads(os.environ.get("SETTINGS", "{}")),
)
Session(app)
begun = threading.Event()
go = threading.Event()


@app.route("/ping")
def ping():
    return "pong"


@app.route("/set")
def set_values():
    session.update(json.loads(request.args["values"]))
    return "set"


@app.route("/session")
def show():
    return jsonify({key: value for key, value in session.items() if key != "_permanent"})


@app.route("/logout")
def logout():
    session.clear()
    return "bye"


@app.route("/slow")
def slow():
    """Opens the session, and changes it when /go is asked for."""
    session.get("user")
    begun.set()
    go.wait(10)
    begun.clear()
    go.clear()
    session["slow"] = True
    return "slow"


@app.route("/begun")
def wait_for_slow():
    return str(begun.wait(10))


@app.route("/go")
def let_go():
    go.set()
    return "go"


if __name__ == "__main__":
    app.run("127.0.0.1", int(os.environ["PORT"]), threaded=True)
