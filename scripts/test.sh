#!/usr/bin/env bash
# Every test: those of the crates, then those in a browser against the built program with the whole demo data set.
# Usage: scripts/test.sh [argument of playwright ...]     such as: scripts/test.sh --project hydrated-wide
source "$(dirname "$0")/env.sh"
cd "$ROOT"

# What the data set holds, as it was published.
ORDERS=155848
REVENUE=4596039.58
# The longest that loading it may take, in seconds; minutes are usual.
PATIENCE="${REPLAY_PATIENCE:-900}"

scripts/setup.sh test
source scripts/env.sh
scripts/fetch-data.sh
scripts/build-web.sh

# Apache Kafka itself, once for all tests that need it, with listeners for TLS. Without it there is no passing.
KAFKA_FOLDER="$(mktemp -d)"
stop_kafka() { scripts/apache-kafka.sh stop "$KAFKA_FOLDER"; rm -rf "$KAFKA_FOLDER"; }
trap stop_kafka EXIT
say "Starting Apache Kafka"
KAFKA="$(KAFKA_SECURE=1 scripts/apache-kafka.sh start "$KAFKA_FOLDER")" || fail "the tests need Apache Kafka; see above"

say "Tests of the crates"
# The whole workspace, always: a selection of crates may unify other features, and dependencies would be compiled anew.
TEST_KAFKA_FOLDER="$KAFKA_FOLDER" cargo test --workspace
say "The pipeline's tests once more, on Apache Kafka"
TEST_KAFKA="$KAFKA" cargo test --workspace --test pipeline --test ledger -- --test-threads 1
trap - EXIT
stop_kafka
cargo build --workspace --bins

CHROMIUM="${CHROMIUM:-$(command -v chromium || command -v google-chrome || true)}"
[ -n "$CHROMIUM" ] || fail "no chromium; run scripts/setup.sh test"
export CHROMIUM
source scripts/demo-server.sh

say "The demo data, without live baskets: the totals are exact to the cent"
start_server 0
wait_for_replay "$PATIENCE"
EXPECT_ORDERS=$ORDERS EXPECT_REVENUE=$REVENUE playwright test -c end2end --project=hydrated-wide overview.spec.ts -g "the year shows the totals"
stop_server

say "The same data folder again, with live baskets: nothing is loaded twice"
start_server 5
wait_for_replay 60 loaded
playwright test -c end2end "$@"
stop_server

say "The first start of a server without users"
start_empty_server
playwright test -c end2end --project=hydrated-wide access.spec.ts -g "the first administrator"
stop_server

say "All tests passed"
