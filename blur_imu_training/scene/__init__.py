"""Sharp images, and the motion of the camera during the exposure."""
