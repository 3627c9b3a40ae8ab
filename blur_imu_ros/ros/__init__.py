"""The ROS 2 layer: converts, calls, publishes."""
