#!/usr/bin/env bash
# Measures the pipeline from an Apache Kafka to Gold, a fresh replay of the demo data and the overview's questions; writes
# bench/results.json.
# Usage: scripts/bench.sh [ROUNDS]     ROUNDS: how often each question is asked (200)
# EVENTS, BYTES: how many events the pipeline is measured with (5000000) and how long each is (250).
# LATENCY_SECONDS: how long 10,000 events a second are sent for the time from event to Gold (60).
source "$(dirname "$0")/env.sh"
cd "$ROOT"
ROUNDS="${1:-200}"

scripts/setup.sh test
source scripts/env.sh
scripts/fetch-data.sh
scripts/build-web.sh
say "Building"
cargo build --workspace --bins --examples
source scripts/demo-server.sh

say "The pipeline, with Apache Kafka and a Redis of its own"
kafka_folder="$SCRATCH/kafka"
end_services() {
  scripts/apache-kafka.sh stop "$kafka_folder" || true
  if [ -n "${redis_pid:-}" ]; then kill "$redis_pid" 2>/dev/null || true; fi
}
trap 'end_services; clean_up' EXIT
kafka="$(scripts/apache-kafka.sh start "$kafka_folder")"
# As the embedded one is set up: a buffer, and no store.
redis_port="$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')"
redis-server --port "$redis_port" --bind 127.0.0.1 --save '' --appendonly no --maxmemory 2gb --maxmemory-policy noeviction \
  >"$SCRATCH/redis.log" 2>&1 &
redis_pid=$!
mkdir -p "$SCRATCH/lakes"
env -u STREAMLINEHUB_CONFIG KAFKA_BOOTSTRAP_SERVERS="$kafka" REDIS_URL="redis://127.0.0.1:$redis_port" \
  "$CARGO_TARGET_DIR/debug/examples/pipeline_bench" --worker "$CARGO_TARGET_DIR/debug/streamlinehub-worker" \
  --folder "$SCRATCH/lakes" --events "${EVENTS:-5000000}" --bytes "${BYTES:-250}" --latency-seconds "${LATENCY_SECONDS:-60}" \
  >"$SCRATCH/pipeline.json" || { tail -n 20 "$SCRATCH/lakes/worker.log" >&2; fail "the pipeline was not measured"; }
end_services
redis_pid=
rm -rf "$SCRATCH/lakes" "$kafka_folder"

say "Replay into an empty data folder"
start_server 0
# Looks ten times a second: from the moment at which the first event is about to be sent until the last is in Gold.
python3 - "$BASE_URL" "${REPLAY_PATIENCE:-1800}" >"$SCRATCH/replay.json" <<'PYTHON'
import json, sys, time, urllib.error, urllib.request

url, patience = sys.argv[1] + "/api/v1/health", float(sys.argv[2])
begun = first = None
start = time.monotonic()
told = 0
while True:
    try:
        with urllib.request.urlopen(url, timeout=5) as response:
            replay = json.load(response)["replay"]
    except urllib.error.HTTPError as error:
        replay = json.load(error)["replay"]
    except OSError as error:
        sys.exit(f"error: the server does not answer: {error}")
    now = time.monotonic()
    if replay["state"] == "failed":
        sys.exit(f"error: the replay failed: {replay['detail']}")
    if replay["state"] == "running" and begun is None:
        begun = now
    if replay["state"] == "done":
        break
    if now - start > patience:
        sys.exit(f"error: the replay is not done after {patience:.0f} s")
    if now - told > 5:
        told = now
        print(f"   {replay['state']} {100 * replay['share']:.0f} %", file=sys.stderr)
    time.sleep(0.1)
if begun is None:
    sys.exit("error: the replay was never seen running")
json.dump({"seconds": now - begun, "events": replay["events"]}, sys.stdout)
PYTHON
# From Kafka's time of the first transaction to the last commit of Silver that has one, as the lake itself says.
python3 - "$SCRATCH/data/lake" >"$SCRATCH/transactions.json" <<'PYTHON'
import json, pathlib, sys
from datetime import datetime

lake = pathlib.Path(sys.argv[1])

def entries(table):
    for path in sorted((lake / table / "_delta_log").glob("*.json")):
        yield [json.loads(line) for line in path.read_text().splitlines()]

def added(entry):
    return [json.loads(action["add"]["stats"]) for action in entry if "add" in action and action["add"]["dataChange"]]

first = min(stats["minValues"]["kafka_time"] for entry in entries("bronze/transaction_events") for stats in added(entry))
begin = datetime.fromisoformat(first.replace("Z", "+00:00")).timestamp()
rows, end = 0, None
for entry in entries("silver/transactions"):
    new = sum(stats["numRecords"] for stats in added(entry))
    if new:
        rows += new
        end = next(action["commitInfo"]["timestamp"] for action in entry if "commitInfo" in action) / 1000
json.dump({"rows": rows, "seconds": end - begin}, sys.stdout)
PYTHON
peak_kb="$(awk '/^VmHWM:/ { print $2 }' "/proc/$server_pid/status")"
stop_server

say "The overview's questions over that lake"
"$CARGO_TARGET_DIR/debug/examples/query_bench" "$SCRATCH/data/lake" "$ROUNDS" | tee "$SCRATCH/queries.txt"

mkdir -p bench
python3 - "$SCRATCH" "$peak_kb" "$ROUNDS" <<'PYTHON' >"$SCRATCH/results.json"
import json, os, pathlib, platform, sys

scratch, peak_kb, rounds = pathlib.Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
replay = json.loads((scratch / "replay.json").read_text())
transactions = json.loads((scratch / "transactions.json").read_text())
cpus = len(os.sched_getaffinity(0))
memory = round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30)
machine = f"{cpus} CPUs, {memory} GiB, {platform.system()} {platform.machine()}; dev profile"
whole = f"{machine}; replay of the demo data into an empty lake; producer, broker, pipeline and web server in one process"
results = json.loads((scratch / "pipeline.json").read_text())
slowest = []

def add(name, value, unit, conditions):
    results.append({"name": name, "value": round(value, 2), "unit": unit, "conditions": conditions})

add("replay_time", replay["seconds"], "s", whole + "; first event sent until every event is in Gold")
add("replay_events", replay["events"] / replay["seconds"], "events/s", whole + "; events of all topics")
add("replay_transactions", transactions["rows"] / transactions["seconds"], "events/s",
    whole + "; baskets with their lines, from the first one's arrival in the broker to the last one's commit in Silver")
add("replay_peak_memory", peak_kb / 1024, "MiB", whole + "; peak resident memory of that process, without its redis-server and postgres")

for line in (scratch / "queries.txt").read_text().splitlines():
    words = line.split()
    try:
        p50, p95, p99, _ = map(float, words[-4:])
    except ValueError:
        continue
    name = "query_" + "_".join(words[:-4])
    conditions = f"{machine}; warehouse over that lake, no remembered answers, one at a time, {rounds} rounds"
    slowest.append((p99, name))
    for label, value in (("p50", p50), ("p95", p95), ("p99", p99)):
        add(f"{name}_{label}", value, "ms", conditions)
if not any(result["name"].startswith("query_") for result in results):
    sys.exit("error: the output of query_bench could not be read")
p99, name = max(slowest)
add("query_p99_ms", p99, "ms", f"the slowest of these questions, {name}; " + conditions)
json.dump(results, sys.stdout, indent=2)
print()
PYTHON
mv "$SCRATCH/results.json" bench/results.json
chmod 644 bench/results.json

python3 - <<'PYTHON'
import json
for result in json.load(open("bench/results.json")):
    print(f"{result['name']:<46}{result['value']:>14.2f} {result['unit']}")
PYTHON
say "Written to bench/results.json"
