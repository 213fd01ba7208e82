# `make` lists the targets. demo and test need nothing but python3, python3-venv, make and apt
# on Debian 12: tests/setup.sh gets the rest. Variables:
#   PYTHON=python3.12       which Python .venv is made with; else the newest there is
#   ARGS="--log.level=debug" more arguments for `make demo`
#   PYTEST_ARGS="-k name"   more arguments for pytest
#   FUZZ_ARGS="FILE"        arguments for `make fuzz`: see tests/fuzz/crm_mon.py

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
	echo 'mypy --strict' && $(BIN)/mypy --strict exporter tests && \
	echo 'shellcheck' && $(BIN)/shellcheck tests/setup.sh .ci/run

format = $(BIN)/ruff check --fix . && $(BIN)/ruff format .

pytest = $(BIN)/pytest -m 'not browser and not suite' --cov --cov-report=term $(PYTEST_ARGS)

# pytest's exit code 5: it ran no test.
pytest_rest = { $(BIN)/pytest -m 'browser or suite' $(PYTEST_ARGS) || { \
	code=$$?; [ $$code = 5 ] || (exit $$code) && \
	echo 'WARNING: no test ran here: none is marked browser or suite, or PYTEST_ARGS left none'; }; }

fuzz = $(BIN)/python -m tests.fuzz.crm_mon

# sdist, from it the wheel, that into a virtual environment that has nothing of ours.
package = rm -rf build dist && \
	PIP_CONSTRAINT=constraints.txt PIP_BUILD_CONSTRAINT=constraints.txt \
		$(BIN)/pyproject-build --outdir dist . && \
	$(BIN)/python -m venv build/venv && \
	build/venv/bin/python -m pip install --quiet --disable-pip-version-check \
		-c constraints.txt dist/*.whl && \
	build/venv/bin/pacemaker-bundle-exporter --version

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
	$(call timed,tests/setup.sh dev && $(lint) && $(pytest_rest) && \
		$(fuzz) -max_total_time=60 -verbosity=0 && $(package))

.PHONY: fuzz
fuzz: ## look for input that breaks the exporter, until interrupted; arguments in FUZZ_ARGS
	$(call timed,tests/setup.sh dev && $(fuzz) $(FUZZ_ARGS))

.PHONY: lint
lint: ## ruff, mypy and shellcheck
	$(call timed,tests/setup.sh venv dev && $(lint))

.PHONY: format
format: ## let ruff repair and format the code
	$(call timed,tests/setup.sh venv dev && $(format))

.PHONY: reference
reference: ## write the tables of METRICS.md anew from the declarations
	$(call timed,tests/setup.sh venv dev && $(BIN)/python -m tests.support.reference)

.PHONY: package
package: # build sdist and wheel, try the wheel
	$(call timed,tests/setup.sh venv dev && $(package))

.PHONY: setup
setup: # the set-up of test alone
	$(call timed,tests/setup.sh dev)

.PHONY: clean
clean: ## remove .venv and everything else that make made
	$(call timed,$(clean))
