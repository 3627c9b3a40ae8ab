"""Data sets, the held-out split, loaders, synthesis to disk."""
