#!/usr/bin/env bash
# `npm test`: installs the servers the tests talk to where it can, says plainly what is missing where it cannot, then runs
# everything. Arguments go to vitest.
set -uo pipefail
cd "$(dirname "$0")/.."

# binary (or file) -> Debian package
declare -A needed=(
  [redis-server]=redis-server [memcached]=memcached [chromium]=chromium [nginx]=nginx-light
  [apache2]=apache2 [gunicorn]=gunicorn [php]=php-cli [ruby]=ruby [openssl]=openssl [mariadbd]=mariadb-server
)
missing=()
for binary in "${!needed[@]}"; do
  PATH="$PATH:/usr/sbin:/sbin" command -v "$binary" >/dev/null || missing+=("${needed[$binary]}")
done
ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || missing+=(postgresql)
/usr/bin/python3 -c 'import flask' 2>/dev/null || missing+=(python3-flask)

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

npm run --silent build || exit 1
mkdir -p coverage
npx vitest run --reporter=default --reporter=json --outputFile.json=coverage/report.json "$@"
