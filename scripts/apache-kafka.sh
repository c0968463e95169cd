#!/usr/bin/env bash
# A real Apache Kafka (KRaft, one node) for tests and benchmarks, from the artifacts that Maven has of it.
#
# Usage: scripts/apache-kafka.sh install                 fetch it; what is there is kept
#        scripts/apache-kafka.sh start FOLDER [PORT]     start it with its data in FOLDER; prints host:port when it answers
#        scripts/apache-kafka.sh stop FOLDER             stop it in order; the data stay
#
# FOLDER/server.properties may be edited between two starts, FOLDER/kafka.log says what happened.
# KAFKA_HEAP: the memory of the Java process (512m).
# KAFKA_SECURE=1: at the first start, make listeners with TLS too. FOLDER/tls then has the authority's certificate (ca.pem), one of
# another authority (other-ca.pem), a client's certificate and key (client.pem, client.key), and the listeners' addresses:
# `sasl_ssl` for the user streamlinehub with the password correct-horse (SCRAM-SHA-256, SCRAM-SHA-512, PLAIN), and `ssl` for
# clients with a certificate.
source "$(dirname "$0")/env.sh"
source "$(dirname "$0")/maven.sh"

KAFKA_VERSION=4.3.1
SCALA_VERSION=2.13
# What Kafka logs through; of the line that its own version of SLF4J needs.
LOG4J_VERSION=2.25.4
LIBS="$TOOLS/apache-kafka-$KAFKA_VERSION"
PATIENCE=60

install() {
  fetch_jars "$LIBS" "Apache Kafka $KAFKA_VERSION" "org.apache.kafka:kafka_$SCALA_VERSION:$KAFKA_VERSION" \
    "org.apache.logging.log4j:log4j-slf4j-impl:$LOG4J_VERSION"
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
# The tests send an event that is too large for the pipeline; the broker is not to be the one who refuses it.
message.max.bytes=16777216
PROPERTIES
}

# A certificate of the authority, with its key.
certificate() {
  local tls="$1" name="$2" extensions="$3"
  openssl req -newkey rsa:2048 -nodes -subj "/CN=$name" -keyout "$tls/$name.key" -out "$tls/$name.csr"
  openssl x509 -req -in "$tls/$name.csr" -CA "$tls/ca.pem" -CAkey "$tls/ca.key" -CAcreateserial -days 30 \
    -extfile <(printf '%s\n' "$extensions") -out "$tls/$name.pem"
}

authority() {
  openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj "/CN=Test authority" -keyout "$1.key" -out "$1.pem"
}

# Listeners with TLS, whose certificate is for 127.0.0.1 and no other name.
secure() {
  local folder="$1" tls="$1/tls" sasl ssl listeners
  mkdir -p "$tls"
  { authority "$tls/ca" && authority "$tls/other-ca" && certificate "$tls" server "subjectAltName=IP:127.0.0.1" &&
    certificate "$tls" client "extendedKeyUsage=clientAuth"; } >"$tls/openssl.log" 2>&1 ||
    { tail -n 5 "$tls/openssl.log" >&2; fail "openssl could not make the certificates"; }
  cat "$tls/server.key" "$tls/server.pem" "$tls/ca.pem" >"$tls/keystore.pem"
  sasl="127.0.0.1:$(free_port)" ssl="127.0.0.1:$(free_port)"
  echo "$sasl" >"$tls/sasl_ssl"
  echo "$ssl" >"$tls/ssl"
  listeners="SASL_SSL://$sasl,SSL://$ssl"
  sed -i -e "s#^listeners=.*#&,$listeners#" -e "s#^advertised.listeners=.*#&,$listeners#" \
    -e "s#^listener.security.protocol.map=.*#&,SASL_SSL:SASL_SSL,SSL:SSL#" "$folder/server.properties"
  cat >>"$folder/server.properties" <<PROPERTIES
ssl.keystore.type=PEM
ssl.keystore.location=$tls/keystore.pem
ssl.truststore.type=PEM
ssl.truststore.location=$tls/ca.pem
listener.name.ssl.ssl.client.auth=required
sasl.enabled.mechanisms=SCRAM-SHA-256,SCRAM-SHA-512,PLAIN
listener.name.sasl_ssl.scram-sha-256.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.sasl_ssl.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_streamlinehub="correct-horse";
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
    [ -z "${KAFKA_SECURE:-}" ] || secure "$folder"
  fi
  port="$(sed -n 's/^listeners=PLAINTEXT:\/\/127.0.0.1:\([0-9]*\).*/\1/p' "$folder/server.properties")"
  if [ ! -d "$folder/data" ]; then
    local id scram=()
    if [ -d "$folder/tls" ]; then
      scram=(--add-scram 'SCRAM-SHA-256=[name=streamlinehub,password=correct-horse]'
        --add-scram 'SCRAM-SHA-512=[name=streamlinehub,password=correct-horse]')
    fi
    id="$(java_with_kafka kafka.tools.StorageTool random-uuid 2>/dev/null | tail -n 1)"
    # KAFKA_FORMAT: more arguments, such as --add-scram.
    java_with_kafka kafka.tools.StorageTool format -t "$id" -c "$folder/server.properties" "${scram[@]}" ${KAFKA_FORMAT:-} >"$folder/format.log" 2>&1 ||
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
