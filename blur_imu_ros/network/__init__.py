"""From an image to a blur field: backends, readers of outputs, model cards."""
