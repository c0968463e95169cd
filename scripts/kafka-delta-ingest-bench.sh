#!/usr/bin/env bash
# The first stage alone, from an Apache Kafka to a Delta table, by kafka-delta-ingest, which is Rust as well: each event's JSON
# becomes columns, by date.
#
# Usage: scripts/kafka-delta-ingest-bench.sh PROGRAM
#
# PROGRAM is its binary: a clone of https://github.com/delta-io/kafka-delta-ingest, and there `cargo build --release --features s3`.
# Printed are the events of its commits, the seconds from its start to its last commit of a full file, and its CPU seconds. What is
# left after that waits for ALLOWED_LATENCY, which is no work: it counts for the CPU seconds, and not for the time.
#
# EVENTS, BYTES     how many events (4000000) and how long each is (250)
# PER_BATCH         its events of a Parquet row group (100000; its own default is 5000)
# FILE_BYTES        its least bytes of a file (32000000; its own default is 134217728)
# ALLOWED_LATENCY   seconds after which it writes whatever it has (20)
source "$(dirname "$0")/env.sh"
cd "$ROOT"
program="$(realpath "${1:?which program? see the beginning of this file}")"

scripts/setup.sh test
source scripts/env.sh
say "Building"
cargo build --workspace --bins

scratch="$(mktemp -d)"
trap 'scripts/apache-kafka.sh stop "$scratch/kafka" || true; rm -rf "$scratch"' EXIT
kafka="$(scripts/apache-kafka.sh start "$scratch/kafka")"
KAFKA_BOOTSTRAP_SERVERS="$kafka" "$CARGO_TARGET_DIR/debug/streamlinehub-worker" produce generate \
  --count "${EVENTS:-4000000}" --bytes "${BYTES:-250}"

say "kafka-delta-ingest"
python3 - "$program" "$kafka" "$scratch" "${EVENTS:-4000000}" "${PER_BATCH:-100000}" "${FILE_BYTES:-32000000}" \
  "${ALLOWED_LATENCY:-20}" <<'PYTHON'
import json, os, pathlib, resource, subprocess, sys, time

program, kafka, scratch, events, per_batch, file_bytes, latency = sys.argv[1:]
events, table, PATIENCE = int(events), pathlib.Path(scratch) / "table", 900

# It writes into a table that is there.
names = ["event_id", "event_type", "customer_id", "session_id", "properties", "date"]
fields = [{"name": name, "type": "string", "nullable": True, "metadata": {}} for name in names]
fields += [{"name": "occurred_at", "type": "timestamp", "nullable": True, "metadata": {}}]
fields += [{"name": name, "type": kind, "nullable": True, "metadata": {}} for name, kind in [("partition", "integer"), ("offset", "long")]]
log = table / "_delta_log"
log.mkdir(parents=True)
actions = [
    {"protocol": {"minReaderVersion": 1, "minWriterVersion": 2}},
    {"metaData": {"id": "22ef18ba-191c-4c36-a606-3dad5cdf3830", "format": {"provider": "parquet", "options": {}},
                  "schemaString": json.dumps({"type": "struct", "fields": fields}), "partitionColumns": ["date"],
                  "configuration": {}, "createdTime": 0}},
]
(log / f"{0:020}.json").write_text("\n".join(map(json.dumps, actions)))

def rows(path):
    added = [json.loads(line).get("add") for line in path.read_text().splitlines()]
    return sum(json.loads(add["stats"])["numRecords"] for add in added if add)

began = time.monotonic()
with open(scratch + "/log", "w") as output:
    child = subprocess.Popen(
        [program, "ingest", "analytics-events", str(table), "--kafka", kafka, "--consumer_group", "comparison", "--json", "",
         "--allowed_latency", latency, "--max_messages_per_batch", per_batch, "--min_bytes_per_file", file_bytes,
         "--transform", "date: substr(occurred_at, `0`, `10`)", "--transform", "partition: kafka.partition",
         "--transform", "offset: kafka.offset",
         "--auto_offset_reset", "earliest"],
        stdout=output, stderr=output)
commits, seen = [], 0
while sum(count for _, count in commits) < events:
    time.sleep(0.05)
    if child.poll() is not None or time.monotonic() - began > PATIENCE:
        print(*pathlib.Path(scratch + "/log").read_text().splitlines()[-20:], sep="\n", file=sys.stderr)
        sys.exit(f"error: it ended after {sum(count for _, count in commits)} events")
    for path in sorted(log.glob("*.json"))[1 + seen:]:
        commits.append((time.monotonic() - began, rows(path)))
        seen += 1
peak = next(int(line.split()[1]) for line in open(f"/proc/{child.pid}/status") if line.startswith("VmHWM"))
child.terminate()
_, _, used = os.wait4(child.pid, 0)
total = sum(count for _, count in commits)
# The last commit is of what was left over.
at, full = (commits[-2][0], total - commits[-1][1]) if len(commits) > 1 else (commits[-1][0], total)
cpu = used.ru_utime + used.ru_stime
print(f"{total} events in {len(commits)} commits; {full} of them after {at:.1f} s: {full / at:.0f} events/s; "
      f"{cpu:.1f} CPU s: {total / cpu:.0f} events per CPU second; peak memory {peak / 1024:.0f} MB")
PYTHON
