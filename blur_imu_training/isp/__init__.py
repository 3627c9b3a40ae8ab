"""What a camera does to an image after the sensor: parameters, numpy, torch, JPEG, video."""
