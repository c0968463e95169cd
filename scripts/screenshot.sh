#!/usr/bin/env bash
# Makes the README's picture, docs/overview.png, of a running server.
# Usage: BASE_URL=http://127.0.0.1:3000 ADMIN_EMAIL=... ADMIN_PASSWORD=... scripts/screenshot.sh
source "$(dirname "$0")/env.sh"
cd "$ROOT"

: "${BASE_URL:?says where the running server is, such as http://127.0.0.1:3000}"
export CHROMIUM="${CHROMIUM:-$(command -v chromium || command -v google-chrome || fail "no chromium; run scripts/setup.sh test")}"

say "Taking docs/overview.png of $BASE_URL"
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
node end2end/screenshots.mjs "$folder" overview-light-wide
mv "$folder/overview-light-wide.png" docs/overview.png
