"""Overlay and its video, plots, report, Rerun."""
