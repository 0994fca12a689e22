# Two commands: `make run` starts the service on the sample users, `make test` runs every check.

PYTHON ?= python3
VENV := .venv
FUZZED := _trial_temp_fuzz
BIN := $(VENV)/bin

# Where `make run` listens: `make run FINGERPORT=2079`.
export FINGERPORT ?= 1079
export WEBPORT ?= 8000
export HTTPSPORT ?= 8443
export PBPORT ?= 8889
export SETPORT ?= 1080

# How many inputs each fuzzing test tries, and how many processes do it: `make fuzz EXAMPLES=100000 JOBS=8`.
EXAMPLES ?= 10000
JOBS ?= 2

.PHONY: run test lint unit fuzz tutorial docs deb clean

run: $(VENV)/installed
	@$(BIN)/python etc/run.py

test: lint unit tutorial
	@echo "All checks passed."

lint: $(VENV)/installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

unit: $(VENV)/installed-test
	$(BIN)/coverage erase
	$(BIN)/coverage run -m twisted.trial tests
	$(BIN)/coverage report

tutorial: $(VENV)/installed-test
	$(BIN)/python -m twisted.trial -j3 tutorial.tests

docs: $(VENV)/installed-docs
	$(BIN)/python -m tutorial.pages build

# The Debian package, of what the checkout is now: in build/debian.
deb:
	@sh debian/build.sh build/debian
	@ls build/debian/*.deb

fuzz: $(VENV)/installed-test
	FINGER_FUZZ=$(EXAMPLES) nice $(BIN)/python -m twisted.trial --jobs=$(JOBS) --temp-directory=$(FUZZED) tests.test_fuzz
	@grep -aho '[0-9]* inputs: .*' $(FUZZED)/test.log

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "$(PYTHON) is older than 3.11: name a newer one, as in 'make PYTHON=python3.11'"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	    { echo "$(PYTHON) cannot make virtual environments: 'sudo apt install python3-venv' brings that"; exit 1; }
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
	rm -rf $(VENV) build dist .coverage .mypy_cache .ruff_cache .import_linter_cache .hypothesis _trial_temp*
