"""How well a model reads held-out blur."""
