"""A few cameras as many programs write them."""

from __future__ import annotations

from blur_imu_ros.core.camera import Camera

RADTAN = (-0.28, 0.07, 0.0002, 0.00002)
BROWN = Camera(320, 240, 250.0, 251.0, 159.5, 119.5, "plumb_bob", RADTAN)
FISHEYE = Camera(320, 240, 250.0, 251.0, 159.5, 119.5, "equidistant", (0.1, -0.03, 0.004, -0.0007))
SIZE = "image_width: 320\nimage_height: 240\n"
PINHOLE = "fx: 250\nfy: 251\ncx: 159.5\ncy: 119.5\n"
K = "[250, 0, 159.5, 0, 251, 119.5, 0, 0, 1]"
KALIBR = """{name}:
  cam_overlaps: []
  camera_model: {model}
  distortion_coeffs: {coefficients}
  distortion_model: {distortion}
  intrinsics: {intrinsics}
  resolution: [320, 240]
  rostopic: /{name}/image_raw
"""


def kalibr(name: str = "cam0", **changes: object) -> str:
    values = {
        "model": "pinhole",
        "coefficients": list(RADTAN),
        "distortion": "radtan",
        "intrinsics": [250.0, 251.0, 159.5, 119.5],
    }
    return KALIBR.format(name=name, **(values | changes))


def opencv(coefficients: str, count: int) -> str:
    return f"""%YAML:1.0
---
calibration_time: "Mon"
{SIZE}camera_matrix: !!opencv-matrix
   rows: 3
   cols: 3
   dt: d
   data: [ 250., 0., 159.5, 0., 251., 119.5, 0., 0., 1. ]
distortion_coefficients: !!opencv-matrix
   rows: {count}
   cols: 1
   dt: d
   data: {coefficients}
"""


def orbslam(prefix: str, model: str, names: str, values: tuple[float, ...]) -> str:
    numbers = dict(zip(names.split(), values, strict=True))
    pinhole = {"fx": 250.0, "fy": 251.0, "cx": 159.5, "cy": 119.5}
    lines = [f"{prefix}.{k}: {v}" for k, v in (pinhole | numbers).items()]
    common = f'Camera.type: "{model}"\nCamera.width: 320\nCamera.height: 240\nCamera.fps: 20\n'
    return "%YAML:1.0\n#----\n" + common + "\n".join(lines) + "\nORBextractor.nFeatures: 1000\n"


def vins(model: str, distortion: str, projection: str, mirror: str = "") -> str:
    return f"""%YAML:1.0
---
model_type: {model}
camera_name: camera
{SIZE}{mirror}distortion_parameters: {distortion}
projection_parameters: {projection}
"""


BROWN_FILES = {
    "flat": f"{SIZE}{PINHOLE}distortion_coefficients: {list(RADTAN)}\n",
    "distortion_coeffs": f"{SIZE}{PINHOLE}distortion_coeffs: {list(RADTAN)}\n",
    "dist_coeffs": f"{SIZE}{PINHOLE}dist_coeffs: {list(RADTAN)}\n",
    "one by one": f"{SIZE}{PINHOLE}k1: -0.28\nk2: 0.07\np1: 0.0002\np2: 0.00002\n",
    "K and D": f"{SIZE}K: {K}\nD: {list(RADTAN)}\n",
    "K in rows": f"{SIZE}K: [[250, 0, 159.5], [0, 251, 119.5], [0, 0, 1]]\nD: [{list(RADTAN)}]\n",
    "OpenCV": opencv(str(list(RADTAN)), 4),
    "Kalibr": kalibr(),
    "EuRoC": "sensor_type: camera\nT_BS:\n  cols: 4\n  rows: 4\n  data: [1, 0, 0, 0]\n"
    "rate_hz: 20\nresolution: [320, 240]\ncamera_model: pinhole\n"
    "intrinsics: [250.0, 251.0, 159.5, 119.5] #fu, fv, cu, cv\n"
    f"distortion_model: radial-tangential\ndistortion_coefficients: {list(RADTAN)}\n",
    "ORB-SLAM2": orbslam("Camera", "PinHole", "k1 k2 p1 p2", RADTAN),
    "ORB-SLAM3": orbslam("Camera1", "PinHole", "k1 k2 p1 p2", RADTAN),
    "VINS": vins(
        "PINHOLE",
        "{k1: -0.28, k2: 0.07, p1: 0.0002, p2: 0.00002}",
        "{fx: 250.0, fy: 251.0, cx: 159.5, cy: 119.5}",
    ),
    "topic echo": "header:\n  stamp:\n    sec: 1\n    nanosec: 0\n  frame_id: camera\n"
    "height: 240\nwidth: 320\ndistortion_model: plumb_bob\n"
    f"d: [-0.28, 0.07, 0.0002, 0.00002, 0.0]\nk: {K}\nr: [1, 0, 0, 0, 1, 0, 0, 0, 1]\n"
    "p: [250, 0, 159.5, 0, 0, 251, 119.5, 0, 0, 0, 1, 0]\nbinning_x: 0\nbinning_y: 0\n"
    "roi:\n  x_offset: 0\n  y_offset: 0\n  height: 0\n  width: 0\n  do_rectify: false\n---\n",
    "Nerfstudio": '{"camera_model": "OPENCV", "w": 320, "h": 240, "fl_x": 250, "fl_y": 251, "cx": 159.5,'
    ' "cy": 119.5, "k1": -0.28, "k2": 0.07, "p1": 0.0002, "p2": 0.00002, "frames": []}',
    "COLMAP": "# Camera list\n#   CAMERA_ID, MODEL, WIDTH, HEIGHT, PARAMS[]\n"
    "1 OPENCV 320 240 250 251 160 120 -0.28 0.07 0.0002 0.00002\n",
}
FISHEYE_FILES = {
    "ROS": f"{SIZE}camera_matrix: {{rows: 3, cols: 3, data: {K}}}\ncamera_model: fisheye\n"
    "distortion_coefficients: {rows: 1, cols: 4, data: [0.1, -0.03, 0.004, -0.0007]}\n",
    "Kalibr": kalibr(distortion="equidistant", coefficients=[0.1, -0.03, 0.004, -0.0007]),
    "ORB-SLAM3": orbslam("Camera1", "KannalaBrandt8", "k1 k2 k3 k4", (0.1, -0.03, 0.004, -0.0007)),
    "VINS": vins(
        "KANNALA_BRANDT",
        "{}",
        "{k2: 0.1, k3: -0.03, k4: 0.004, k5: -0.0007, mu: 250, mv: 251, u0: 159.5, v0: 119.5}",
    ),
    "COLMAP": "1 OPENCV_FISHEYE 320 240 250 251 160 120 0.1 -0.03 0.004 -0.0007\n",
}
WIDE_FILES = {
    "Kalibr ds": (
        kalibr(model="ds", distortion="none", coefficients=[], intrinsics=[-0.2, 0.55, 120, 121, 159.5, 119.5]),
        ("double_sphere", 120, (-0.2, 0.55)),
    ),
    "Kalibr eucm": (
        kalibr(model="eucm", distortion="none", coefficients=[], intrinsics=[0.6, 1.1, 120, 121, 159.5, 119.5]),
        ("extended_unified", 120, (0.6, 1.1)),
    ),
    "Kalibr omni": (
        kalibr(model="omni", intrinsics=[1.2, 330, 331, 159.5, 119.5]),
        ("omnidirectional", 330, (1.2, *RADTAN)),
    ),
    "VINS MEI": (
        vins(
            "MEI",
            "{k1: -0.28, k2: 0.07, p1: 0.0002, p2: 0.00002}",
            "{gamma1: 330, gamma2: 331, u0: 159.5, v0: 119.5}",
            "mirror_parameters: {xi: 1.2}\n",
        ),
        ("omnidirectional", 330, (1.2, *RADTAN)),
    ),
    "Basalt": (
        '{"value0": {"T_imu_cam": [], "intrinsics": [{"camera_type": "ds", "intrinsics": {"fx": 120,'
        ' "fy": 121, "cx": 159.5, "cy": 119.5, "xi": -0.2, "alpha": 0.55}}],'
        ' "resolution": [[320, 240]]}}',
        ("double_sphere", 120, (-0.2, 0.55)),
    ),
}  # fmt: skip
