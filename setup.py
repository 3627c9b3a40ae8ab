"""For tools that look for it; everything is in pyproject.toml. colcon builds with CMake instead."""

from setuptools import setup

setup()
