"""The commands of `blur-imu`, each in a file of its own."""
