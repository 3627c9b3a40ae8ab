"""All output of numbers: CSV, bag, fields of ROS messages, run record."""
