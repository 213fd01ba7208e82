# `make` lists the targets. demo and test need nothing but python3, python3-venv, make and apt
# on Debian 12: tests/setup.sh gets the rest. Variables:
#   PYTHON=python3.12       which Python .venv is made with; else the newest there is
#   ARGS="--log.level=debug" more arguments for `make demo`
#   PYTEST_ARGS="-k name"   more arguments for pytest
#   FUZZ_ARGS="FILE"        arguments for `make fuzz`: see tests/fuzz/crm_mon.py
#   ENDURANCE_ARGS="1000 7" arguments for `make endurance`: starts of crm_mon and seed
#   MUTATION_ARGS="--sample 50 cib" arguments for `make mutation`: see tests/mutation/__main__.py
#   BENCH_ARGS="--quick"    arguments for `make bench`: see tests/bench/__main__.py

export PYTHON
# crm_mon and cibadmin are in /usr/sbin, which is not in an ordinary user's PATH on Debian.
export PATH := $(PATH):/usr/sbin:/sbin

BIN = .venv/bin

# $(call timed,COMMANDS) runs them as one shell command, says how long they took, also when
# they fail or are interrupted, and ends with their exit code. Pass a variable: its commas
# are no separators then.
timed = @trap : INT; start=$$(date +%s); { $(1); }; code=$$?; \
	echo "make $@: $$(($$(date +%s) - start)) s"; exit $$code

lint = \
	echo 'ruff check' && $(BIN)/ruff check . && \
	echo 'ruff format --check' && $(BIN)/ruff format --check . && \
	echo 'mypy --strict' && $(BIN)/mypy --strict exporter grafana tests hatch_build.py \
		deploy/prometheus/override.py deploy/deb/copyright.py && \
	echo 'shellcheck' && $(BIN)/shellcheck tests/setup.sh tests/support/boot.sh \
		.ci/run deploy/venv.sh deploy/deb/build.sh deploy/deb/postinst deploy/deb/prerm deploy/deb/postrm \
		tests/cluster/node/*.sh tests/cluster/node/fence_power

format = $(BIN)/ruff check --fix . && $(BIN)/ruff format .

pytest = $(BIN)/pytest -m 'not (browser or pcs or suite or story or endurance or cluster or package)' --cov --cov-report=term $(PYTEST_ARGS)

# pytest's exit code 5: it ran no test.
pytest_rest = { $(BIN)/pytest -m 'browser or pcs or suite or story or endurance' $(PYTEST_ARGS) || { \
	code=$$?; [ $$code = 5 ] || (exit $$code) && \
	echo 'WARNING: no test ran here: none is marked so, or PYTEST_ARGS left none'; }; }

# The alerts of the cluster are shortened to seconds, so that a machine with other work may be too slow
# for a test: one that fails is tried once more, on a new cluster. Both runs are in the output.
pytest_cluster = { $(BIN)/pytest tests/cluster $(PYTEST_ARGS) || { \
	echo 'once more, on a new cluster, what failed:' && \
	$(BIN)/pytest tests/cluster --last-failed --last-failed-no-failures=none $(PYTEST_ARGS); }; }

endurance = $(BIN)/python -m tests.endurance $(ENDURANCE_ARGS)

mutation = nice $(BIN)/python -m tests.mutation $(MUTATION_ARGS)

fuzz = $(BIN)/python -m tests.fuzz.crm_mon

bench = $(BIN)/python -m tests.bench $(BENCH_ARGS)

# sdist, from it the wheel, that into a virtual environment that has nothing of ours; on Debian from it
# the Debian package, for the release that it is built on.
package = rm -rf build dist && \
	PIP_CONSTRAINT=constraints.txt PIP_BUILD_CONSTRAINT=constraints.txt \
		$(BIN)/pyproject-build --outdir dist . && \
	$(BIN)/python -m venv build/venv && \
	build/venv/bin/python -m pip install --quiet --disable-pip-version-check \
		-c constraints.txt dist/*.whl && \
	build/venv/bin/pacemaker-bundle-exporter --version && \
	{ [ ! -x /usr/bin/dpkg-deb ] || deploy/deb/build.sh $(BIN)/python dist/*.whl dist; }

# The package in a clean Debian: needs root, and what `package` built.
pytest_package = $(BIN)/pytest -m package $(PYTEST_ARGS)

clean = rm -rf .venv build dist htmlcov .coverage .coverage.* .hypothesis \
	.mypy_cache .pytest_cache .ruff_cache && \
	find . -name .git -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: help
help: ## list the targets (the default)
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1	\2/p' Makefile | \
		while IFS='	' read -r name what; do printf '  make %-9s %s\n' "$$name" "$$what"; done

# The exporter takes the place of the shell, so that signals reach it: the time is the set-up's.
.PHONY: demo
demo: ## set up, then run the exporter with its demo data; more arguments in ARGS
	@start=$$(date +%s); tests/setup.sh demo; code=$$?; \
	echo "make $@: set-up $$(($$(date +%s) - start)) s"; [ $$code = 0 ] || exit $$code; \
	exec $(BIN)/pacemaker-bundle-exporter --demo $(ARGS)

.PHONY: test
test: ## set up, then run the tests, with coverage; more arguments for pytest in PYTEST_ARGS
	$(call timed,tests/setup.sh dev && $(pytest))

.PHONY: test-all
test-all: ## lint, the tests that `make test` leaves out, a minute of fuzzing, and the packages
	$(call timed,tests/setup.sh all && $(lint) && $(pytest_rest) && $(pytest_cluster) && \
		$(fuzz) -max_total_time=60 -verbosity=0 && $(package) && $(pytest_package))

.PHONY: test-cluster
test-cluster: ## break a real cluster of three nodes in every way (20 minutes; root, Debian 12)
	$(call timed,tests/setup.sh cluster && $(pytest_cluster))

.PHONY: endurance
endurance: ## ten thousand starts of crm_mon while everything misbehaves (15 minutes); ENDURANCE_ARGS="STARTS SEED"
	$(call timed,tests/setup.sh dev && $(endurance))

.PHONY: mutation
mutation: ## break the code in one place after the other: which test notices? (hours; MUTATION_ARGS)
	$(call timed,tests/setup.sh mutation && $(mutation))

.PHONY: fuzz
fuzz: ## look for input that breaks the exporter, until interrupted; arguments in FUZZ_ARGS
	$(call timed,tests/setup.sh dev && $(fuzz) $(FUZZ_ARGS))

.PHONY: lint
lint: ## ruff, mypy and shellcheck
	$(call timed,tests/setup.sh venv dev && $(lint))

.PHONY: format
format: ## let ruff repair and format the code
	$(call timed,tests/setup.sh venv dev && $(format))

.PHONY: bench
bench: ## measure into BENCHMARKS.md (25 minutes, on a quiet machine); BENCH_ARGS="--quick polls"
	$(call timed,tests/setup.sh bench && $(bench))

.PHONY: reference
reference: ## write the tables of METRICS.md and of the alerts anew
	$(call timed,tests/setup.sh venv dev && $(BIN)/python -m tests.support.reference && \
		$(BIN)/python -m tests.support.alert_table)

.PHONY: dashboards
dashboards: ## write grafana/dashboards anew from the code beside it
	$(call timed,tests/setup.sh venv dev && $(BIN)/python -m grafana)

.PHONY: package
package: ## build sdist, wheel and Debian package into dist/
	$(call timed,tests/setup.sh venv dev && $(package))

.PHONY: setup
setup: # the set-up of test alone
	$(call timed,tests/setup.sh dev)

.PHONY: clean
clean: ## remove .venv and everything else that make made
	$(call timed,$(clean))
