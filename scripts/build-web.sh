#!/usr/bin/env bash
# Builds what the browser loads into $CARGO_TARGET_DIR/site: the WebAssembly module, the style sheet, the charts, the editor, public/.
# Usage: scripts/build-web.sh [--assets-only]
#   --assets-only   without the WebAssembly module, for `cargo leptos watch`, which builds that itself
source "$(dirname "$0")/env.sh"
cd "$ROOT"

SITE="$CARGO_TARGET_DIR/site"
PKG="$SITE/pkg"
NAME=streamlinehub
mkdir -p "$PKG"

# True where an output is missing or older than one of its inputs (files or folders).
outdated() {
  local output="$1"
  shift
  [ ! -e "$output" ] || [ -n "$(find "$@" -newer "$output" -print -quit)" ]
}

# --- style sheet, charts, editor, public files ---

if [ "${1:-}" = --assets-only ]; then
  # cargo-leptos copies style/main.css as it is: the parts that it imports have to lie beside it.
  cp style/*.css "$PKG/"
elif outdated "$PKG/$NAME.css" style package-lock.json scripts/build-web.sh; then
  say "Bundling the style sheet"
  esbuild style/main.css --bundle --minify --log-level=warning --outfile="$PKG/$NAME.css"
fi
for part in charts editor; do
  if outdated "$PKG/$part.js" app/js package-lock.json scripts/build-web.sh; then
    say "Bundling $part.js"
    esbuild "app/js/$part.js" --bundle --minify --format=esm --target=es2022 --legal-comments=none --log-level=warning \
      --outfile="$PKG/$part.js"
  fi
done
cp -R public/. "$SITE/"
if [ "${1:-}" = --assets-only ]; then exit 0; fi

# --- WebAssembly ---

say "Building the WebAssembly module"
# Of the two crate types of `app` only this one: cargo does not optimise across crates (LTO) where both are built at once.
cargo rustc -p app --lib --crate-type cdylib --profile wasm-release --no-default-features --features hydrate \
  --target wasm32-unknown-unknown
built="$CARGO_TARGET_DIR/wasm32-unknown-unknown/wasm-release/app.wasm"
# Leptos asks for NAME_bg.wasm where it was compiled by cargo alone and for NAME.wasm where cargo-leptos compiled it.
if outdated "$PKG/${NAME}_bg.wasm" "$built" scripts/build-web.sh; then
  say "Generating its JavaScript bindings"
  wasm-bindgen "$built" --target web --no-typescript --remove-name-section --remove-producers-section \
    --out-name "$NAME" --out-dir "$PKG"
  ln -f "$PKG/${NAME}_bg.wasm" "$PKG/$NAME.wasm"
fi

for file in "${NAME}_bg.wasm" "$NAME.js" "$NAME.css" charts.js editor.js; do
  printf '%-24s %9d bytes %9d gzipped\n' "$file" "$(stat -c %s "$PKG/$file")" "$(gzip -9c "$PKG/$file" | wc -c)" >&2
done
