#!/usr/bin/env bash
# The first stage alone, from an Apache Kafka to a Delta table, by kafka-delta-ingest, which is written in Rust too, and by ours.
#
# Usage: scripts/kafka-delta-ingest-bench.sh PROGRAM
#
# PROGRAM is its binary: a clone of https://github.com/delta-io/kafka-delta-ingest, and there `cargo build --release --features s3`.
# It makes columns of each event's JSON, without a transformation or partitions; ours buffers in Redis, checks, keeps dead letters and
# books. Both read the same topic into a folder of this machine, ours before and after, since machines are not always equally fast.
# Printed are the seconds from the start of each to its last commit, its start included, and its CPU seconds and peak memory.
#
# EVENTS, BYTES     how many events (1000000) and how long each is (250)
# PER_BATCH         its events of a batch (100000; its own default is 5000)
# FILE_BYTES        its least bytes of a file (16000000; its own default is 134217728)
source "$(dirname "$0")/env.sh"
cd "$ROOT"
program="$(realpath "${1:?which program? see the beginning of this file}")"

scripts/setup.sh test
source scripts/env.sh
say "Building"
cargo build --workspace --bins
worker="$CARGO_TARGET_DIR/debug/streamlinehub-worker"

scratch="$(mktemp -d)"
trap 'scripts/apache-kafka.sh stop "$scratch/kafka" || true; kill "${redis_pid:-}" 2>/dev/null || true; rm -rf "$scratch"' EXIT
kafka="$(scripts/apache-kafka.sh start "$scratch/kafka")"
KAFKA_BOOTSTRAP_SERVERS="$kafka" "$worker" produce generate --count "${EVENTS:-1000000}" --bytes "${BYTES:-250}"
redis_port="$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')"
redis-server --port "$redis_port" --bind 127.0.0.1 --save '' --appendonly no --maxmemory 2gb --maxmemory-policy noeviction \
  >"$scratch/redis.log" 2>&1 &
redis_pid=$!

python3 - "$program" "$worker" "$kafka" "redis://127.0.0.1:$redis_port" "$scratch" "${EVENTS:-1000000}" "${PER_BATCH:-100000}" \
  "${FILE_BYTES:-16000000}" <<'PYTHON'
import json, os, pathlib, subprocess, sys, time

program, worker, kafka, redis, scratch, events, per_batch, file_bytes = sys.argv[1:]
scratch, events, PATIENCE = pathlib.Path(scratch), int(events), 900

def rows(path):
    added = [json.loads(line).get("add") for line in path.read_text().splitlines()]
    return sum(json.loads(add["stats"])["numRecords"] for add in added if add)

def measure(name, command, table, env={}):
    """Runs the command until the table has all events."""
    began, commits, output = time.monotonic(), {}, scratch / f"{name}.log"
    with open(output, "w") as log:
        child = subprocess.Popen(command, stdout=log, stderr=log, env=dict(os.environ, **env), cwd=scratch)
    while sum(commits.values()) < events:
        time.sleep(0.05)
        if child.poll() is not None or time.monotonic() - began > PATIENCE:
            print(*output.read_text().splitlines()[-20:], sep="\n", file=sys.stderr)
            child.kill()
            sys.exit(f"error: {name} ended after {sum(commits.values())} events")
        for path in (table / "_delta_log").glob("*.json"):
            if path not in commits:
                try:
                    commits[path] = rows(path)
                except json.JSONDecodeError:
                    pass  # it is being written
    took = time.monotonic() - began
    peak = next(int(line.split()[1]) for line in open(f"/proc/{child.pid}/status") if line.startswith("VmHWM"))
    child.terminate()
    _, _, used = os.wait4(child.pid, 0)
    cpu, files = used.ru_utime + used.ru_stime, sum(1 for count in commits.values() if count)
    print(f"{name}: {events} events in {took:.1f} s, {events / took:.0f} per second; {cpu:.1f} CPU s, {events / cpu:.0f} per CPU "
          f"second; {files} commits; peak memory {peak / 1024:.0f} MB", flush=True)

def ours(name):
    lake = scratch / name
    measure(name, [worker, "run"], lake / "bronze" / "analytics_events", {
        "KAFKA_BOOTSTRAP_SERVERS": kafka, "REDIS_URL": redis, "DATABASE_URL": "postgres://unused", "DELTA_LAKE_PATH": str(lake),
        "DATA_DIR": str(lake / "data"), "PIPELINE_STAGES": "bronze", "LOG_LEVEL": "warn"})

ours("StreamlineHub before")

# It writes into a table that is there.
table = scratch / "table"
def field(name, kind):
    return {"name": name, "type": kind, "nullable": True, "metadata": {}}
fields = [field(name, "string") for name in ("event_id", "event_type", "customer_id", "session_id", "device")]
fields += [field("occurred_at", "timestamp"), field("properties", {"type": "struct", "fields": [field("path", "string")]})]
(table / "_delta_log").mkdir(parents=True)
(table / "_delta_log" / f"{0:020}.json").write_text("\n".join(map(json.dumps, [
    {"protocol": {"minReaderVersion": 1, "minWriterVersion": 2}},
    {"metaData": {"id": "22ef18ba-191c-4c36-a606-3dad5cdf3830", "format": {"provider": "parquet", "options": {}},
                  "schemaString": json.dumps({"type": "struct", "fields": fields}), "partitionColumns": [],
                  "configuration": {}, "createdTime": 0}},
])))
measure("kafka-delta-ingest", [
    program, "ingest", "analytics-events", str(table), "--kafka", kafka, "--consumer_group", "comparison", "--json", "",
    "--allowed_latency", "5", "--max_messages_per_batch", per_batch, "--min_bytes_per_file", file_bytes,
    "--auto_offset_reset", "earliest"], table)

ours("StreamlineHub after")
PYTHON
