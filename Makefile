# `make check` is what continuous integration runs, without the new virtual environment around it.
.PHONY: check test slow lint format types

check: test lint types

test:
	python -m pytest

slow:
	python -m pytest -m slow

lint:
	ruff check .
	ruff format --check .

format:
	ruff check --fix .
	ruff format .

types:
	mypy
