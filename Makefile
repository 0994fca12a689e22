# Two commands: `make run` starts the service on the sample users, `make test` runs every check.

PYTHON ?= python3
VENV := .venv
FUZZED := _trial_temp_fuzz
BIN := $(VENV)/bin
TRIAL := $(BIN)/python -m twisted.trial

# The ports of `make run`; to change one: `make run FINGERPORT=2079`.
export FINGERPORT ?= 1079
export WEBPORT ?= 8000
export HTTPSPORT ?= 8443
export PBPORT ?= 8889
export SETPORT ?= 1080

# The number of inputs for each fuzzing test, and of processes: `make fuzz EXAMPLES=100000 JOBS=8`.
EXAMPLES ?= 10000
JOBS ?= 2

# The factor by which `make test-long` multiplies repetitions under load.
TIMES ?= 20

.PHONY: run test lint unit process packaging packaging-machines packaging-builds docstests browser tutorial \
    test-long fuzz bench bench-programs docs generate deb clean

run: $(VENV)/installed
	@$(BIN)/python etc/run.py

# `make test` prints the time of each part.  The limits on an idle machine with two cores and nothing built yet are, in
# minutes: lint 1, unit 2, process 5, packaging 5, tutorial 4, browser 3.  Longer tests belong to `make test-long`.
#
# A part that fails does not keep the others from running.
PARTS := lint unit process packaging docstests tutorial browser

test: $(VENV)/installed-test
	@failed=; for part in $(PARTS); do \
	    echo "== make $$part"; started=$$(date +%s); \
	    $(MAKE) --no-print-directory $$part || failed="$$failed $$part"; \
	    echo "== make $$part took $$(( $$(date +%s) - started )) s"; \
	done; \
	if [ -n "$$failed" ]; then echo "Failed:$$failed"; exit 1; fi
	@echo "All checks passed."

# The folders of exercises are not valid package names, so mypy checks each check.py by itself.
CHECKS := $(wildcard tutorial/exercises/*/check.py)

lint: $(VENV)/installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	@for check in $(CHECKS); do $(BIN)/mypy --no-error-summary $$check || exit 1; done
	$(BIN)/lint-imports
	$(BIN)/python docs/tools/generate.py --check
	$(BIN)/python docs/tools/words.py 0.2 *.md docs/*.md docs/man
	$(BIN)/python docs/tools/words.py 0.08 finger templates

# Unit tests alone must cover every line and branch of finger/.
unit: $(VENV)/installed-test
	$(BIN)/coverage erase
	$(BIN)/coverage run -m twisted.trial tests.unit tests.fuzz
	$(BIN)/coverage report

# Servers as processes, over real sockets.
process: $(VENV)/installed-test
	$(TRIAL) tests.process

# Wheels, the Debian and RPM packages, the container image.  Two processes share the work: one for the machines that
# boot, one for the rest.  The output of each is shown when it has ended.
packaging: $(VENV)/installed-test
	@$(MAKE) --no-print-directory --keep-going --jobs=2 --output-sync=target packaging-machines packaging-builds

MACHINES := tests/packaging/test_debian.py tests/packaging/test_operations.py
BUILDS := $(filter-out $(MACHINES),$(wildcard tests/packaging/test_*.py))

packaging-machines:
	$(TRIAL) --temp-directory=_trial_temp_machines $(subst /,.,$(MACHINES:.py=))

packaging-builds:
	$(TRIAL) --temp-directory=_trial_temp_builds $(subst /,.,$(BUILDS:.py=))

# The documents and the manual pages.
docstests: $(VENV)/installed-test
	$(TRIAL) tests.docs

# The pages in a real browser.
browser: $(VENV)/installed-test
	$(TRIAL) tests.browser

tutorial: $(VENV)/installed-test
	$(TRIAL) -j3 tutorial.engine.tests

# The parts of the documents and the manual that are made from the code.
generate: $(VENV)/installed-test
	$(BIN)/python docs/tools/generate.py

docs: $(VENV)/installed-docs generate
	$(BIN)/python -m tutorial.engine.pagebuilder build

# The slow tests, to run before a release: the package is built twice, servers are reloaded and restarted under load
# many times, and the fuzzing tests try EXAMPLES inputs each.
test-long: $(VENV)/installed-test
	$(TRIAL) tests.long
	FINGER_TIMES=$(TIMES) $(TRIAL) tests.process.test_abuse_process tests.process.test_systemd_process \
	    tests.process.test_blackbox
	$(MAKE) --no-print-directory fuzz

# The Debian package of this checkout, in build/debian.
deb:
	@sh debian/build.sh build/debian
	@ls build/debian/*.deb

fuzz: $(VENV)/installed-test
	FINGER_FUZZ=$(EXAMPLES) nice $(BIN)/python -m twisted.trial --jobs=$(JOBS) --temp-directory=$(FUZZED) tests.fuzz
	@grep -aho '[0-9]* inputs: .*' $(FUZZED)/test.log

# Measurements of the server and of others, about four minutes on an idle machine, written to docs/performance.md.
# For less: `make bench BENCH="--quick finger web/page"`.  The other servers in Python have an environment of their own.
BENCHED := build/bench
PEERS := bench/.venv

bench: $(VENV)/installed-test $(PEERS)/installed bench-programs
	@$(BIN)/python -m bench $(BENCH)

# The load generator and the least that a server can do, if there is a compiler; without one, `make bench` says so.
bench-programs:
	@if command -v $(CC) >/dev/null; then $(MAKE) --no-print-directory $(BENCHED)/load $(BENCHED)/limit; fi

$(BENCHED)/%: bench/%.c
	@mkdir -p $(@D)
	$(CC) -O2 -Wall -Wextra -o $@ $<

$(PEERS)/installed: $(VENV)/bin/python bench/requirements.txt
	$(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check --requirement bench/requirements.txt
	@touch $@

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "$(PYTHON) is older than 3.11: set a newer one, as in 'make PYTHON=python3.11'"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	    { echo "$(PYTHON) cannot make virtual environments: run 'sudo apt install python3-venv'"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: $(VENV)/bin/python pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/installed-test: $(VENV)/bin/python pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	@touch $@ $(VENV)/installed

$(VENV)/installed-docs: $(VENV)/bin/python pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[docs]'
	@touch $@ $(VENV)/installed

clean:
	rm -rf $(VENV) $(PEERS) build dist .coverage .mypy_cache .ruff_cache .import_linter_cache .hypothesis _trial_temp*
