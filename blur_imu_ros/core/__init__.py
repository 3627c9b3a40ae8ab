"""The method, in the order in which a frame walks through it."""
