"""From a shot to a blurred sample and its ground truth: numpy, torch."""
