#!/usr/bin/env bash
# Feeds the readers of events with what a fuzzer comes up with: no panic, no more than 512 MB.
# Usage: scripts/fuzz.sh [SECONDS]     for each of the two targets (60)
source "$(dirname "$0")/env.sh"
cd "$ROOT"
SECONDS_EACH="${1:-60}"
CARGO_FUZZ=0.13.1

if ! cargo fuzz --version 2>/dev/null | grep -qF "$CARGO_FUZZ"; then
  say "Installing cargo-fuzz $CARGO_FUZZ"
  CARGO_TARGET_DIR="$CACHE/tools-target" cargo install --quiet --locked --root "$TOOLS" cargo-fuzz --version "$CARGO_FUZZ"
  rm -rf "$CACHE/tools-target"
fi

export CARGO_TARGET_DIR="$CACHE/fuzz-target"
# cargo-fuzz adds its own to these: the readers are tried as they are shipped.
export RUSTFLAGS="$CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUSTFLAGS"
for target in envelope silver; do
  mkdir -p "fuzz/corpus/$target"
  say "Fuzzing $target for $SECONDS_EACH s"
  # Coverage needs no nightly compiler; sanitizers would.
  cargo fuzz run --sanitizer none "$target" "fuzz/corpus/$target" fuzz/seeds -- \
    -max_total_time="$SECONDS_EACH" -rss_limit_mb=512 -timeout=5 -max_len=8192 -print_final_stats=1
done
say "Nothing was found"
