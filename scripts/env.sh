# Sourced by every script: where builds and tools live, and which Rust toolchain serves them.
# Nothing is kept in the clone itself, so that a second clone reuses what the first one built.

set -euo pipefail

ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
CACHE="${STREAMLINEHUB_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/streamlinehub}"
TOOLS="$CACHE/tools"
DEBIAN_TOOLCHAIN="streamlinehub-debian"

# What the SQL queries need to be compiled is in the repository: DATABASE_URL is for running only.
export SQLX_OFFLINE="${SQLX_OFFLINE:-true}"
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$CACHE/target}"
export PATH="$TOOLS/bin:$ROOT/node_modules/.bin:$HOME/.cargo/bin:$PATH"
export CARGO_TERM_PROGRESS_WHEN="${CARGO_TERM_PROGRESS_WHEN:-auto}"
mkdir -p "$TOOLS/bin"

# Debian's compiler is used only where rustup could not supply the wasm target (see scripts/setup.sh).
# It does not link with lld by itself as rustup's does, so it is told to: half the link time.
flags=()
if [ -f "$TOOLS/use-debian-toolchain" ]; then
  export RUSTUP_TOOLCHAIN="$DEBIAN_TOOLCHAIN"
  flags+=(-C "link-arg=-B$TOOLS/lld" -C link-arg=-fuse-ld=lld)
fi
# Programs are built where they run, so they may use what this processor has: those with AVX2 (since about 2013) get its
# instructions, with which JSON and Arrow are read faster. BASELINE_CPU=1 builds for any x86-64.
if [ -z "${BASELINE_CPU:-}" ] && [ "$(grep -m 1 '^flags' /proc/cpuinfo 2>/dev/null | grep -owE 'avx2|bmi1|bmi2|fma|f16c|movbe|abm|aes|pclmulqdq' |
  sort -u | wc -l)" = 9 ]; then
  flags+=(-C target-cpu=x86-64-v3 -C target-feature=+aes,+pclmulqdq)
fi
export CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUSTFLAGS="${flags[*]-}"
unset flags

say() { printf '\033[1m== %s\033[0m\n' "$*" >&2; }
fail() { printf 'error: %s\n' "$*" >&2; exit 1; }

# The version of a crate as Cargo.lock pins it.
locked_version() {
  awk -v name="\"$1\"" '$1 == "name" && $3 == name { getline; gsub(/"/, "", $3); print $3; exit }' "$ROOT/Cargo.lock"
}
