#!/usr/bin/env bash
# Proves that dependencies point one way: model <- app <- server and model <- etl <- server, and that neither the pages see
# the engine nor the pipeline the pages. Reads Cargo's dependency tree; builds nothing.
source "$(dirname "$0")/env.sh"
cd "$ROOT"

ENGINE='datafusion* deltalake* sqlx* redis* rdkafka* tansu*'
PAGES='leptos*'
OURS='app etl server'
faults=0

# The names of all crates that a crate reaches, dependencies of builds included and those of tests left out.
reached() {
  cargo tree --locked --edges normal,build --prefix none --format '{p}' "$@" | cut -d ' ' -f 1 | sort -u
}

# Of the crates on standard input those that are named in $1, or belong to a family there: `tansu*` covers `tansu-broker`.
named() {
  local names="${1// /|}"
  grep -xE "${names//\*/([-_].*)?}" || true
}

# must_not_reach WHAT "NAMES" ARGUMENTS...
must_not_reach() {
  local what="$1" names="$2" crates found
  shift 2
  crates="$(reached "$@")"
  [ "$(wc -l <<<"$crates")" -gt 5 ] || fail "the dependencies of $what could not be read"
  # Not the crate itself.
  found="$(grep -vx "${what%% *}" <<<"$crates" | named "$names" | paste -sd ' ')"
  if [ -n "$found" ]; then
    printf 'not allowed: %s reaches %s\n' "$what" "$found" >&2
    faults=1
  else
    printf 'ok: %s reaches none of: %s\n' "$what" "$names"
  fi
}

must_not_reach "model" "$ENGINE $PAGES $OURS tokio axum" -p model
must_not_reach "app (ssr)" "$ENGINE etl server" -p app --no-default-features --features ssr
must_not_reach "app (hydrate)" "$ENGINE etl server tokio axum" -p app --no-default-features --features hydrate --target wasm32-unknown-unknown
must_not_reach "etl" "$PAGES app server sqlx*" -p etl

# The search itself has to find what is there.
everything="$(reached -p server)"
set -f
for family in $ENGINE $PAGES app etl; do
  [ -n "$(named "$family" <<<"$everything")" ] || fail "the search for $family finds nothing, not even below server"
done
exit $faults
