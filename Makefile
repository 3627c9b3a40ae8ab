VENV := .venv
BIN := $(VENV)/bin

.PHONY: test lint clean

$(VENV)/.installed: pyproject.toml
	test -x $(BIN)/python || python3 -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable ".[dev]"
	touch $@

lint: $(VENV)/.installed
	$(BIN)/ruff check blur_imu_ros blur_imu_training test

test: lint
	OMP_NUM_THREADS=2 $(BIN)/python -m pytest -q --cov=blur_imu_ros --cov-report=term

clean:
	rm -rf build *.egg-info .pytest_cache .mypy_cache .ruff_cache
