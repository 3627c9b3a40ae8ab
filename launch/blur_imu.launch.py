"""Velocity from a camera: `ros2 launch blur_imu_ros blur_imu.launch.py image:=/camera/image_raw`."""

from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch.actions import DeclareLaunchArgument, SetEnvironmentVariable
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import LifecycleNode
from launch_ros.parameter_descriptions import ParameterValue

from launch import LaunchDescription

ARGUMENTS = {
    "image": ("/camera/image_raw", "Image topic; image/compressed follows it."),
    "camera_info": ("/camera/camera_info", "Calibration topic of the camera."),
    "exposure_time": ("0.0", "Exposure time in seconds; needed before anything is published."),
    "params_file": ("", "YAML of parameters; empty uses the package's config/blur_imu.yaml."),
    "namespace": ("", "Namespace of the node."),
}


def generate_launch_description() -> LaunchDescription:
    """Return the node with its topics."""
    share = Path(get_package_share_directory("blur_imu_ros"))
    default = {"params_file": str(share / "config" / "blur_imu.yaml")}
    image = LaunchConfiguration("image")
    return LaunchDescription(
        [
            *(
                DeclareLaunchArgument(
                    name, default_value=default.get(name, value), description=text
                )
                for name, (value, text) in ARGUMENTS.items()
            ),
            # Fast DDS' default transport loses most images between processes.
            SetEnvironmentVariable("FASTDDS_BUILTIN_TRANSPORTS", "LARGE_DATA"),
            LifecycleNode(
                package="blur_imu_ros",
                executable="blur_imu_node",
                name="blur_imu",
                namespace=LaunchConfiguration("namespace"),
                output="screen",
                parameters=[
                    LaunchConfiguration("params_file"),
                    {
                        "exposure_time": ParameterValue(
                            LaunchConfiguration("exposure_time"), value_type=float
                        )
                    },
                ],
                remappings=[
                    ("image", image),
                    ("image/compressed", [image, "/compressed"]),
                    ("camera_info", LaunchConfiguration("camera_info")),
                ],
            ),
        ]
    )
