#!/usr/bin/env bash
# The same work by Apache Spark: Structured Streaming with Delta, from an Apache Kafka to Gold (bench/spark/Pipeline.java).
#
# Each stage takes all that there is and ends (Trigger.AvailableNow). Printed are its seconds and the CPU seconds of the Java
# process, from the start of the query; the start of Java and of Spark is left out, the warming up of the compiler is not.
# Before and after it a worker of ours does the same over the same topic, all stages at once, its start included; twice, since
# machines are not always equally fast.
#
# EVENTS, BYTES   how many events (4000000) and how long each is (250)
# PER_BATCH       Spark's events of a batch (1000000)
# HEAP            memory of its process (6g)
source "$(dirname "$0")/env.sh"
source "$(dirname "$0")/maven.sh"
cd "$ROOT"

SPARK_VERSION=4.0.0
DELTA_VERSION=4.0.0
SCALA_VERSION=2.13
LIBS="$TOOLS/spark-$SPARK_VERSION"

command -v javac >/dev/null || fail "Spark's part is compiled first: install a JDK 17, such as default-jdk-headless"

scripts/setup.sh test
source scripts/env.sh
fetch_jars "$LIBS" "Apache Spark $SPARK_VERSION" "org.apache.spark:spark-sql_$SCALA_VERSION:$SPARK_VERSION" \
  "org.apache.spark:spark-sql-kafka-0-10_$SCALA_VERSION:$SPARK_VERSION" "io.delta:delta-spark_$SCALA_VERSION:$DELTA_VERSION"
say "Building"
cargo build --workspace --bins --examples

scratch="$(mktemp -d)"
trap 'scripts/apache-kafka.sh stop "$scratch/kafka" || true; kill "${redis_pid:-}" 2>/dev/null || true; rm -rf "$scratch"' EXIT
kafka="$(scripts/apache-kafka.sh start "$scratch/kafka")"
KAFKA_BOOTSTRAP_SERVERS="$kafka" "$CARGO_TARGET_DIR/debug/streamlinehub-worker" produce generate \
  --count "${EVENTS:-4000000}" --bytes "${BYTES:-250}"
# Nobody's figures are of a disk that still writes the topic.
sync

redis_port="$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')"
redis-server --port "$redis_port" --bind 127.0.0.1 --save '' --appendonly no --maxmemory 2gb --maxmemory-policy noeviction \
  >"$scratch/redis.log" 2>&1 &
redis_pid=$!

ours() {
  say "StreamlineHub"
  mkdir "$scratch/$1"
  KAFKA_BOOTSTRAP_SERVERS="$kafka" REDIS_URL="redis://127.0.0.1:$redis_port" "$CARGO_TARGET_DIR/debug/examples/pipeline_bench" \
    --worker "$CARGO_TARGET_DIR/debug/streamlinehub-worker" --folder "$scratch/$1" --events "${EVENTS:-4000000}" \
    --bytes "${BYTES:-250}" --filled >/dev/null
  rm -rf "${scratch:?}/$1"
}

ours before
say "Spark"
# What Spark's own launcher opens to it.
opens=()
for package in lang lang.invoke lang.reflect io net nio util util.concurrent util.concurrent.atomic; do
  opens+=("--add-opens=java.base/java.$package=ALL-UNNAMED")
done
for package in sun.nio.ch sun.nio.cs sun.security.action sun.util.calendar jdk.internal.ref; do
  opens+=("--add-opens=java.base/$package=ALL-UNNAMED")
done
mkdir "$scratch/classes" "$scratch/lake"
javac -cp "$LIBS/*" -d "$scratch/classes" bench/spark/Pipeline.java
java "-Xmx${HEAP:-6g}" "${opens[@]}" -cp "$scratch/classes:$LIBS/*" Pipeline "$kafka" "$scratch/lake" "${PER_BATCH:-1000000}" \
  "$(nproc)" 2>"$scratch/spark.log" || { tail -n 20 "$scratch/spark.log" >&2; fail "Spark did not come to its end"; }
ours after
