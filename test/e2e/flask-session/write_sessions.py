"""
Writes sessions by real Flask-Session into real databases. The argument is a list of {type, url, options} as JSON, where type is sqlalchemy or
mongodb. Prints for each the cookies its visitors have then.
"""
import json
import sys
from datetime import timedelta

from flask import Flask, session
from flask_session import Session


def app_of(type, url, options):
    app = Flask(__name__)
    app.secret_key = "the key of the app"
    app.config.update(SESSION_TYPE=type, PERMANENT_SESSION_LIFETIME=timedelta(hours=2), **options)
    if type == "sqlalchemy":
        from flask_sqlalchemy import SQLAlchemy
        app.config["SQLALCHEMY_DATABASE_URI"] = url
        app.config["SESSION_SQLALCHEMY"] = db = SQLAlchemy(app)
        with app.app_context():
            Session(app)
            db.create_all()                                     # 0.3 never does
    else:
        from pymongo import MongoClient
        app.config["SESSION_MONGODB"] = MongoClient(url)
        Session(app)

    @app.route("/login/<name>")
    def login(name):
        session["user"] = name
        session["cart"] = [1, {"two": 2.5}]
        return name

    return app


def cookie_after_login(app, name):
    [line] = [line for line in app.test_client().get("/login/" + name).headers.getlist("Set-Cookie") if line.startswith("session=")]
    return line.split(";")[0]


def cookies_of(job):
    app = app_of(**job)
    return {name: cookie_after_login(app, name) for name in ("ann", "bob", "Zoé")}


print(json.dumps([cookies_of(job) for job in json.loads(sys.argv[1])]))
