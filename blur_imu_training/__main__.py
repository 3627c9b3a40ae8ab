"""`python -m blur_imu_training`: train and export from the command line."""

from blur_imu_training.commands import app

app()
