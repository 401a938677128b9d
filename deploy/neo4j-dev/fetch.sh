#!/bin/sh
# Fills the folder NEO4J_DEV: `lib/` with Neo4j's jars, `classes/` with the launcher. A second run is
# instant. Java and Maven are installed with apt only where they lack.
set -eu

: "${NEO4J_DEV:?the folder to fill}"
here=$(cd "$(dirname "$0")" && pwd)
stamp=$NEO4J_DEV/.complete

. "$here/../../scripts/apt.sh"
fail() { printf 'make neo4j-dev: %s\n' "$*" >&2; exit 1; }

command -v javac >/dev/null || apt_install openjdk-17-jdk-headless || apt_install default-jdk-headless ||
    fail "a Java compiler is missing: install a JDK, 17 or 21"

wanted=$(cat "$here/pom.xml" "$here/PrivateNeo4j.java" "$here/fetch.sh" | sha256sum)
if [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ] && java -version >/dev/null 2>&1; then
    exit 0
fi
command -v mvn >/dev/null || apt_install maven || fail "Maven is missing: install maven"

say "Neo4j Community 5.26: about 150 MB to fetch, once"
rm -rf "$NEO4J_DEV/lib" "$NEO4J_DEV/classes" "$stamp"
mkdir -p "$NEO4J_DEV"
mvn --batch-mode --quiet --file "$here/pom.xml" dependency:copy-dependencies \
    -DincludeScope=runtime -DoutputDirectory="$NEO4J_DEV/lib" || fail "Maven did not get everything; its messages are above"
javac -cp "$NEO4J_DEV/lib/*" -d "$NEO4J_DEV/classes" "$here/PrivateNeo4j.java"
printf '%s\n' "$wanted" >"$stamp"
