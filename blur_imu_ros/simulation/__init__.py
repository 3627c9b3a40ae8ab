"""Procedural scenes of known motion."""
