#!/usr/bin/env bash
# Installs whatever the build, the run or the tests need and this machine lacks. Safe to run again: what is there is kept.
# Usage: scripts/setup.sh [test]     ("test" adds the browser)
source "$(dirname "$0")/env.sh"
PURPOSE="${1:-run}"

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"
  elif command -v sudo >/dev/null; then sudo "$@"
  else fail "installing system packages needs root; as root, run: $*"
  fi
}

# --- system packages: name what is missing, install it where apt can, tell what to install where it cannot ---

missing=()
need() { command -v "$1" >/dev/null 2>&1 || missing+=("$2"); }
need cc build-essential
need pkg-config pkg-config
need make make
pkg-config --exists openssl 2>/dev/null || missing+=(libssl-dev)
need curl curl
need python3 python3
python3 -m pip --version >/dev/null 2>&1 || missing+=(python3-pip)
need npm npm
need redis-server redis-server
command -v postgres >/dev/null 2>&1 || ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || missing+=(postgresql)
if [ "$PURPOSE" = test ]; then
  need pgrep procps
  # Apache Kafka, as a broker to test against, and certificates for it.
  need java default-jre-headless
  need mvn maven
  need openssl openssl
  command -v chromium >/dev/null 2>&1 || command -v google-chrome >/dev/null 2>&1 || missing+=(chromium)
fi

apt_install() {
  command -v apt-get >/dev/null || fail "please install with your package manager, then run this again: $*"
  say "Installing system packages: $*"
  if ! as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >"$CACHE/apt.log" 2>&1; then
    as_root apt-get update -qq >>"$CACHE/apt.log" 2>&1 || true
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >>"$CACHE/apt.log" 2>&1 ||
      { tail -n 20 "$CACHE/apt.log" >&2; fail "apt-get could not install $*; the whole log is $CACHE/apt.log"; }
  fi
}
# Debian starts the services of these packages at install. They do no harm: StreamlineHub starts its own, on free ports.
if [ ${#missing[@]} -gt 0 ]; then apt_install "${missing[@]}"; fi

# --- Rust ---

if ! command -v rustup >/dev/null; then
  say "Installing Rust with rustup"
  curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y --profile minimal --default-toolchain none >/dev/null ||
    fail "rustup could not be installed; see https://rustup.rs"
fi

wasm_target_present() {
  rustup target list --installed --toolchain "$1" 2>/dev/null | grep -qx wasm32-unknown-unknown
}

# The wasm standard library is built from Debian's source package, for machines whose rustup has no target to offer.
use_debian_toolchain() {
  say "rustup has no wasm32-unknown-unknown target here: using Debian's Rust toolchain instead"
  apt_install rustc-web cargo-web rust-web-src rust-web-clippy rustfmt-web lld-22
  local lib=/usr/lib/rustlib/wasm32-unknown-unknown/lib
  if ! ls "$lib"/libstd-*.rlib >/dev/null 2>&1; then
    say "Building the WebAssembly standard library (about a minute)"
    local dir="$CACHE/wasm-std"
    mkdir -p "$dir/src"
    printf '[package]\nname = "wasm-std"\nversion = "0.0.0"\nedition = "2024"\n[workspace]\n' >"$dir/Cargo.toml"
    printf '#![no_std]\n' >"$dir/src/lib.rs"
    (cd "$dir" && env -u RUSTUP_TOOLCHAIN RUSTC_BOOTSTRAP=1 RUSTC=/usr/bin/rustc CARGO_TARGET_DIR="$dir/target" \
      /usr/bin/cargo build --quiet --release -Zbuild-std=std,panic_abort --target wasm32-unknown-unknown)
    as_root mkdir -p "$lib"
    as_root find "$dir/target/wasm32-unknown-unknown/release/deps" -name 'lib*.rlib' ! -name 'libwasm_std*' -exec cp {} "$lib/" \;
  fi
  local bin=/usr/lib/rustlib/x86_64-unknown-linux-gnu/bin
  if [ ! -e "$bin/rust-lld" ]; then
    as_root mkdir -p "$bin"
    as_root ln -sf "$(command -v lld-22 || echo /usr/bin/lld-22)" "$bin/rust-lld"
  fi
  mkdir -p "$TOOLS/lld"
  ln -sf "$(command -v ld.lld-22 || echo /usr/lib/llvm-22/bin/ld.lld)" "$TOOLS/lld/ld.lld"
  rustup toolchain link "$DEBIAN_TOOLCHAIN" /usr
  touch "$TOOLS/use-debian-toolchain"
}

if [ ! -f "$TOOLS/use-debian-toolchain" ]; then
  pinned="$(sed -n 's/^channel = "\(.*\)"/\1/p' "$ROOT/rust-toolchain.toml")"
  if ! wasm_target_present "$pinned"; then
    say "Adding the WebAssembly target to Rust $pinned"
    { rustup toolchain install "$pinned" --profile minimal -c clippy -c rustfmt -t wasm32-unknown-unknown >"$CACHE/rustup.log" 2>&1 \
        && wasm_target_present "$pinned"; } || use_debian_toolchain
  fi
elif ! /usr/bin/rustc --version >/dev/null 2>&1 || ! ls /usr/lib/rustlib/wasm32-unknown-unknown/lib/libstd-*.rlib >/dev/null 2>&1; then
  use_debian_toolchain
fi
source "$ROOT/scripts/env.sh"

# --- wasm-bindgen: the command must be of the very version the crate is ---

bindgen="$(locked_version wasm-bindgen)"
if [ "$(wasm-bindgen --version 2>/dev/null | cut -d' ' -f2)" != "$bindgen" ]; then
  say "Installing wasm-bindgen $bindgen (about three minutes)"
  CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 CARGO_PROFILE_RELEASE_OPT_LEVEL=1 CARGO_TARGET_DIR="$CACHE/tools-target" \
    cargo install --quiet --root "$TOOLS" wasm-bindgen-cli --version "$bindgen"
  rm -rf "$CACHE/tools-target"
fi

# --- npm packages (charts, the bundler, the browser tests), exactly as package-lock.json says ---

stamp="$ROOT/node_modules/.installed"
if ! cmp -s "$ROOT/package-lock.json" "$stamp"; then
  say "Installing npm packages"
  (cd "$ROOT" && PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD=1 npm ci --silent --no-audit --no-fund)
  cp "$ROOT/package-lock.json" "$stamp"
fi
