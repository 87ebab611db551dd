#!/usr/bin/env bash
# Brings the MongoDB server of the tests from Maven Central into $1: seconds, once.
set -euo pipefail
target=$(realpath -m "$1")
cd "$(dirname "$0")/mongodb"
mkdir -p "$target"
mvn --quiet --batch-mode dependency:copy-dependencies -DoutputDirectory="$target"
javac -cp "$target/*" -d "$target" MongodbServer.java
