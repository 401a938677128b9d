# A private Neo4j Community for the demo and the tests: jars by Maven, once, into NEO4J_DEV.
#
# Include it after DEPS is set and let `demo` and `test` depend on `neo4j-dev`; `deps` may empty its folder,
# so it goes first. Without root, sudo or apt, install a JDK (17 or 21) and Maven yourself.

NEO4J_DEV ?= $(DEPS)/neo4j
export NEO4J_DEV

.PHONY: neo4j-dev
neo4j-dev: deps ## Fetch Neo4j for the demo and the tests into NEO4J_DEV
	@deploy/neo4j-dev/fetch.sh
