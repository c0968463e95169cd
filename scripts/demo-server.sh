# Sourced by test.sh and bench.sh: the built server on a free port, with the demo data, in a temporary data folder.
# Whatever happens, the server is stopped and the folder removed when the script ends.

SERVER="$CARGO_TARGET_DIR/debug/streamlinehub"
SCRATCH="$(mktemp -d)"
# As root, PostgreSQL runs as a user of its own, who has to get through to its folder.
chmod 755 "$SCRATCH"
LOG="$SCRATCH/server.log"
server_pid=

# start_server LIVE_RATE: starts it and sets server_pid and BASE_URL; on new data also ADMIN_EMAIL and ADMIN_PASSWORD, which are
# printed once.
start_server() {
  launch "$SCRATCH/data" LIVE_RATE="$1" DEMO_ADMINISTRATOR=true REPLAY_ENABLED=true REPLAY_PATH="$CACHE/datasets/completejourney-0.1.0"
  if [ -z "${ADMIN_PASSWORD:-}" ]; then
    wait_for_line 's/^Log in as \([^ ]*\) with the password \([^ ]*\)$/\1 \2/p'
    read -r ADMIN_EMAIL ADMIN_PASSWORD <<<"$line"
    export ADMIN_EMAIL ADMIN_PASSWORD
  fi
}

# start_empty_server: starts one without data and users, and sets SETUP_LINK.
start_empty_server() {
  launch "$SCRATCH/empty" LIVE_RATE=0 DEMO_ADMINISTRATOR=false REPLAY_ENABLED=false
  wait_for_line 's/^\(http:[^ ]*\/setup?token=[^ ]*\)$/\1/p'
  export SETUP_LINK="$line"
}

# launch DATA_DIR VARIABLE=VALUE ...: nothing of the caller's own set-up takes part.
launch() {
  local data="$1"
  shift
  : >"$LOG"
  env -u STREAMLINEHUB_CONFIG -u KAFKA_BOOTSTRAP_SERVERS -u REDIS_URL -u DATABASE_URL -u DELTA_LAKE_PATH -u LOG_LEVEL -u LOG_JSON \
    -u WEB_PUBLIC_URL -u WEB_TLS_CERTIFICATE -u WEB_TLS_KEY -u SECRETS_PATH \
    RATE_LIMIT_PER_MINUTE=0 RATE_LIMIT_LOGIN_PER_MINUTE=0 ADDRESS=127.0.0.1 PORT=0 KAFKA_EMBEDDED_PORT=0 \
    DATA_DIR="$data" LEPTOS_SITE_ROOT="$CARGO_TARGET_DIR/site" "$@" "$SERVER" >>"$LOG" 2>&1 &
  server_pid=$!
  wait_for_line 's/.*open \(http:[^ ]*\) in a browser.*/\1/p'
  export BASE_URL="$line"
}

# wait_for_line EXPRESSION: until the server has printed what this expression of sed prints, which is then in `line`.
wait_for_line() {
  local deadline=$((SECONDS + 90))
  while true; do
    line="$(sed -n "$1" "$LOG" | head -n 1)"
    if [ -n "$line" ]; then return; fi
    kill -0 "$server_pid" 2>/dev/null || fail "the server ended"
    [ $SECONDS -lt $deadline ] || fail "the server has not printed within 90 s what is waited for"
    sleep 0.1
  done
}

# The state of the demo data and the share of it that is in Gold, such as "running 42 %"; empty while nothing answers.
replay_state() {
  curl -s --max-time 5 "$BASE_URL/api/v1/health" | python3 -c '
import json, sys
try:
    replay = json.load(sys.stdin)["replay"]
except ValueError:
    sys.exit()
share = "{:.0f} %".format(100 * replay["share"]) if replay["state"] == "running" else ""
print(replay["state"], share, replay["detail"] or "")' || true
}

# wait_for_replay SECONDS [loaded]: until every event of the demo data is in Gold. "loaded" says that they are there already,
# and that loading them is a fault.
wait_for_replay() {
  local deadline=$((SECONDS + $1)) state shown=
  while true; do
    state="$(replay_state)"
    case "$state" in
      done*) break ;;
      failed*) fail "the replay $state" ;;
      running*) [ "${2:-}" != loaded ] || fail "the demo data are loaded a second time" ;;
    esac
    if [ "$state" != "$shown" ]; then
      printf '   replay: %s\n' "${state:-no answer yet}" >&2
      shown="$state"
    fi
    kill -0 "$server_pid" 2>/dev/null || fail "the server ended"
    [ $SECONDS -lt $deadline ] || fail "the replay is not done after $1 s"
    sleep 1
  done
}

# Every process below the given one.
descendants() {
  local child
  for child in $(pgrep -P "$1"); do
    echo "$child"
    descendants "$child"
  done
}

# stop_server: asks it to stop, and checks that it does so in order and leaves no process behind.
stop_server() {
  local pid="$server_pid" below child code=0 deadline=$((SECONDS + 60))
  below="$(descendants "$pid")"
  kill -TERM "$pid"
  while kill -0 "$pid" 2>/dev/null; do
    [ $SECONDS -lt $deadline ] || fail "the server does not stop within 60 s"
    sleep 0.2
  done
  wait "$pid" || code=$?
  server_pid=
  [ $code = 0 ] || fail "the server ended with code $code"
  for child in $below; do
    if kill -0 "$child" 2>/dev/null; then fail "the server left process $child ($(ps -o comm= -p "$child")) behind"; fi
  done
}

clean_up() {
  local code=$? database
  trap - EXIT
  # 130 and 143: somebody stopped us, which is nobody's fault.
  if [ $code != 0 ] && [ $code != 130 ] && [ $code != 143 ] && [ -s "$LOG" ]; then
    printf '\nThe last warnings of the server, and its last lines:\n' >&2
    grep -E ' (WARN|ERROR) |panicked' "$LOG" | tail -n 15 >&2 || true
    tail -n 5 "$LOG" >&2
  fi
  if [ -n "$server_pid" ]; then
    kill -TERM "$server_pid" 2>/dev/null || true
    for _ in $(seq 100); do kill -0 "$server_pid" 2>/dev/null || break; sleep 0.2; done
    # Its children end with it: the kernel sees to that.
    kill -KILL "$server_pid" 2>/dev/null || true
    wait "$server_pid" 2>/dev/null || true
  fi
  # Where the user of PostgreSQL cannot reach the temporary folder, the databases live where these notes say.
  for database in $(cat "$SCRATCH"/*/postgres/location 2>/dev/null || true); do
    case "$database" in /var/lib/streamlinehub/?*) rm -rf "$database" ;; esac
  done
  rm -rf "$SCRATCH"
  exit $code
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
