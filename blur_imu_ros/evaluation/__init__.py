"""Metrics, alignment, time offset, calibration, baselines, benchmark."""
