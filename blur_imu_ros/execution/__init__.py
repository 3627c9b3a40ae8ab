"""Parallel work in order, batches of recordings, progress, resources, files written whole."""
