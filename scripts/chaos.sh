#!/usr/bin/env bash
# The chaos suite: rounds in which the workers and their services fail, and after which everything has to be in the lake once.
# docs/chaos.md says what a round does.
#
# ROUNDS   how many (20)
# SEED     that of the first; the following ones count up. Without it any. SEED alone runs that one round again.
# JOBS     rounds at once (3)
# KAFKA    `apache` runs them against an Apache Kafka that is started for them, one after the other
source "$(dirname "$0")/env.sh"
cd "$ROOT"

if [ -n "${SEED:-}" ]; then ROUNDS="${ROUNDS:-1}"; else SEED=$((RANDOM * 32768 + RANDOM)); fi
export SEED ROUNDS="${ROUNDS:-20}"

if [ "${KAFKA:-}" = apache ]; then
  KAFKA_FOLDER="$(mktemp -d)"
  export KAFKA_FOLDER
  trap 'scripts/apache-kafka.sh stop "$KAFKA_FOLDER"; rm -rf "$KAFKA_FOLDER"' EXIT
  KAFKA_BOOTSTRAP_SERVERS="$(scripts/apache-kafka.sh start "$KAFKA_FOLDER")"
  export KAFKA_BOOTSTRAP_SERVERS
fi

say "$ROUNDS rounds from SEED=$SEED"
# The whole workspace, always: a selection of crates may unify other features, and dependencies would be compiled anew.
cargo test --locked --workspace --test chaos -- --nocapture
