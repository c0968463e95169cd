#!/usr/bin/env bash
# Installs what is missing, builds, and runs StreamlineHub with the demo data. Ctrl-C stops it.
# Settings are overridden by the environment, such as: PORT=4000 LIVE_RATE=20 scripts/run.sh
source "$(dirname "$0")/env.sh"
cd "$ROOT"

scripts/setup.sh run
source scripts/env.sh
scripts/fetch-data.sh
scripts/build-web.sh

if [ ! -x "$CARGO_TARGET_DIR/debug/streamlinehub" ]; then
  say "Building for the first time: several hundred dependencies, up to half an hour on a small machine"
else
  say "Building"
fi
cargo build --bins

# For trying it out: an administrator whose password is printed at the first start.
export DEMO_ADMINISTRATOR="${DEMO_ADMINISTRATOR:-true}"
export REPLAY_ENABLED="${REPLAY_ENABLED:-true}"
export REPLAY_PATH="${REPLAY_PATH:-$CACHE/datasets/completejourney-0.1.0}"
export LEPTOS_SITE_ROOT="${LEPTOS_SITE_ROOT:-$CARGO_TARGET_DIR/site}"
# In place of this shell, so that Ctrl-C goes to the program alone.
exec "$CARGO_TARGET_DIR/debug/streamlinehub"
