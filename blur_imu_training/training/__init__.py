"""Trainer, losses, checkpoints, selection."""
