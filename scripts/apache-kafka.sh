#!/usr/bin/env bash
# A real Apache Kafka (KRaft, one node) for tests and benchmarks, from the artifacts that Maven has of it.
#
# Usage: scripts/apache-kafka.sh install                 fetch it; what is there is kept
#        scripts/apache-kafka.sh start FOLDER [PORT]     start it with its data in FOLDER; prints host:port when it answers
#        scripts/apache-kafka.sh stop FOLDER             stop it in order; the data stay
#
# FOLDER/server.properties may be edited between two starts, FOLDER/kafka.log says what happened.
# KAFKA_HEAP: the memory of the Java process (512m).
source "$(dirname "$0")/env.sh"

KAFKA_VERSION=4.3.1
SCALA_VERSION=2.13
# What Kafka logs through; of the line that its own version of SLF4J needs.
LOG4J_VERSION=2.25.4
MAVEN_DEPENDENCY_PLUGIN=3.8.1
LIBS="$TOOLS/apache-kafka-$KAFKA_VERSION"
PATIENCE=60

install() {
  if [ -f "$LIBS/.installed" ]; then return; fi
  command -v java >/dev/null || fail "Apache Kafka needs Java 17; run scripts/setup.sh test"
  command -v mvn >/dev/null || fail "Apache Kafka is fetched with Maven; run scripts/setup.sh test"
  say "Fetching Apache Kafka $KAFKA_VERSION"
  local build
  build="$(mktemp -d)"
  cat >"$build/pom.xml" <<POM
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>local</groupId><artifactId>apache-kafka</artifactId><version>1</version><packaging>pom</packaging>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId><artifactId>kafka_$SCALA_VERSION</artifactId><version>$KAFKA_VERSION</version>
    </dependency>
    <dependency>
      <groupId>org.apache.logging.log4j</groupId><artifactId>log4j-slf4j-impl</artifactId><version>$LOG4J_VERSION</version>
    </dependency>
  </dependencies>
</project>
POM
  rm -rf "$LIBS"
  mvn -q -B -f "$build/pom.xml" "org.apache.maven.plugins:maven-dependency-plugin:$MAVEN_DEPENDENCY_PLUGIN:copy-dependencies" \
    -DincludeScope=runtime -DoutputDirectory="$LIBS" >"$CACHE/apache-kafka.log" 2>&1 ||
    { tail -n 20 "$CACHE/apache-kafka.log" >&2; fail "Maven could not fetch Apache Kafka $KAFKA_VERSION"; }
  rm -rf "$build"
  touch "$LIBS/.installed"
}

java_with_kafka() { java -cp "$LIBS/*" "$@"; }

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

# The settings of a single node. Nothing but loopback is listened on.
configure() {
  local folder="$1" port="$2" controller
  controller="$(free_port)"
  cat >"$folder/server.properties" <<PROPERTIES
process.roles=broker,controller
node.id=1
listeners=PLAINTEXT://127.0.0.1:$port,CONTROLLER://127.0.0.1:$controller
advertised.listeners=PLAINTEXT://127.0.0.1:$port
controller.listener.names=CONTROLLER
controller.quorum.voters=1@127.0.0.1:$controller
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs=$folder/data
num.partitions=2
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
group.initial.rebalance.delay.ms=0
log.segment.bytes=268435456
PROPERTIES
}

start() {
  local folder port deadline=$((SECONDS + PATIENCE))
  mkdir -p "$1"
  folder="$(cd "$1" && pwd)"
  install
  if [ ! -f "$folder/server.properties" ]; then
    port="${2:-$(free_port)}"
    configure "$folder" "$port"
  fi
  port="$(sed -n 's/^listeners=PLAINTEXT:\/\/127.0.0.1:\([0-9]*\).*/\1/p' "$folder/server.properties")"
  if [ ! -d "$folder/data" ]; then
    local id
    id="$(java_with_kafka kafka.tools.StorageTool random-uuid 2>/dev/null | tail -n 1)"
    # KAFKA_FORMAT: more arguments, such as --add-scram.
    java_with_kafka kafka.tools.StorageTool format -t "$id" -c "$folder/server.properties" ${KAFKA_FORMAT:-} >"$folder/format.log" 2>&1 ||
      { tail -n 5 "$folder/format.log" >&2; fail "the folder $folder/data could not be formatted for Kafka"; }
  fi
  nohup java -Xms256m -Xmx"${KAFKA_HEAP:-512m}" -XX:+UseG1GC -XX:MaxGCPauseMillis=20 -cp "$LIBS/*" \
    kafka.Kafka "$folder/server.properties" >"$folder/kafka.log" 2>&1 </dev/null &
  echo $! >"$folder/pid"
  until (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do
    kill -0 "$(cat "$folder/pid")" 2>/dev/null || { tail -n 5 "$folder/kafka.log" >&2; fail "Apache Kafka ended; see $folder/kafka.log"; }
    [ $SECONDS -lt $deadline ] || fail "Apache Kafka does not answer within $PATIENCE s; see $folder/kafka.log"
    sleep 0.2
  done
  echo "127.0.0.1:$port"
}

stop() {
  local folder="$1" pid deadline=$((SECONDS + PATIENCE))
  pid="$(cat "$folder/pid" 2>/dev/null)" || return 0
  kill -TERM "$pid" 2>/dev/null || true
  while kill -0 "$pid" 2>/dev/null; do
    [ $SECONDS -lt $deadline ] || { kill -KILL "$pid" 2>/dev/null || true; break; }
    sleep 0.2
  done
  rm -f "$folder/pid"
}

case "${1:-}" in
  install) install ;;
  start) [ $# -ge 2 ] || fail "which folder? scripts/apache-kafka.sh start FOLDER"; start "$2" "${3:-}" ;;
  stop) [ $# -ge 2 ] || fail "which folder? scripts/apache-kafka.sh stop FOLDER"; stop "$2" ;;
  *) fail "usage: scripts/apache-kafka.sh install | start FOLDER [PORT] | stop FOLDER" ;;
esac
