"""Learning to read motion blur: synthetic data, losses, trainer and export."""
