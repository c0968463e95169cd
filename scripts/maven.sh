# Sourced by the scripts that need programs for Java: fetches artifacts and all that they need from Maven.

MAVEN_DEPENDENCY_PLUGIN=3.8.1

# fetch_jars FOLDER WHAT GROUP:ARTIFACT:VERSION...   What is there is kept.
fetch_jars() {
  local folder="$1" what="$2" build artifact group name version
  shift 2
  if [ -f "$folder/.installed" ]; then return; fi
  command -v java >/dev/null || fail "$what needs Java 17; run scripts/setup.sh test"
  command -v mvn >/dev/null || fail "$what is fetched with Maven; run scripts/setup.sh test"
  say "Fetching $what"
  build="$(mktemp -d)"
  {
    echo '<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>'
    echo '<groupId>local</groupId><artifactId>local</artifactId><version>1</version><packaging>pom</packaging><dependencies>'
    for artifact in "$@"; do
      IFS=: read -r group name version <<<"$artifact"
      echo "<dependency><groupId>$group</groupId><artifactId>$name</artifactId><version>$version</version></dependency>"
    done
    echo '</dependencies></project>'
  } >"$build/pom.xml"
  rm -rf "$folder"
  mvn -q -B -f "$build/pom.xml" "org.apache.maven.plugins:maven-dependency-plugin:$MAVEN_DEPENDENCY_PLUGIN:copy-dependencies" \
    -DincludeScope=runtime -DoutputDirectory="$folder" >"$CACHE/maven.log" 2>&1 ||
    { tail -n 20 "$CACHE/maven.log" >&2; fail "Maven could not fetch $what"; }
  rm -rf "$build"
  touch "$folder/.installed"
}
