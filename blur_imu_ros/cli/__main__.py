"""`python -m blur_imu_ros.cli`: the command line where no script is installed."""

from blur_imu_ros.cli import main

if __name__ == "__main__":  # Processes of --jobs import this file.
    main()
