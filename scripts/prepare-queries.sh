#!/usr/bin/env bash
# Checks every SQL query of the server against a database with our schema, and writes what the compiler needs to know of them
# into server/.sqlx, so that a build needs no database. To be run after a change of a query or of the schema.
# PostgreSQL runs in a temporary folder for as long as this takes.
source "$(dirname "$0")/env.sh"
cd "$ROOT"

BIN="$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1)"
[ -n "$BIN" ] || fail "no PostgreSQL in /usr/lib/postgresql; run scripts/setup.sh run"
SCRATCH="$(mktemp -d)"
PORT="$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')"
as_postgres() { if [ "$(id -u)" = 0 ]; then setpriv --reuid postgres --regid postgres --clear-groups "$@"; else "$@"; fi; }
if [ "$(id -u)" = 0 ]; then chown postgres "$SCRATCH"; fi
clean_up() {
  as_postgres "$BIN/pg_ctl" -D "$SCRATCH/cluster" -m immediate stop >/dev/null 2>&1 || true
  rm -rf "$SCRATCH"
}
trap clean_up EXIT

say "Starting PostgreSQL"
as_postgres "$BIN/initdb" -D "$SCRATCH/cluster" -U streamlinehub --auth trust -E UTF8 --locale C.UTF-8 >/dev/null
as_postgres "$BIN/pg_ctl" -D "$SCRATCH/cluster" -l "$SCRATCH/log" -w \
  -o "-p $PORT -c listen_addresses=127.0.0.1 -c unix_socket_directories=" start >/dev/null
export DATABASE_URL="postgres://streamlinehub@127.0.0.1:$PORT/postgres"
for migration in server/migrations/*.sql; do
  "$BIN/psql" -q -v ON_ERROR_STOP=1 "$DATABASE_URL" -f "$migration"
done

say "Checking the queries"
rm -rf server/.sqlx
mkdir -p server/.sqlx
# The macros write what they learn where this names.
touch server/src/lib.rs
SQLX_OFFLINE=false SQLX_OFFLINE_DIR="$ROOT/server/.sqlx" cargo build --workspace --bins
echo "$(ls server/.sqlx | wc -l) queries"
