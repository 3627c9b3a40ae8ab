"""Folders of images, single images, videos and bags, all as frames."""

from blur_imu_ros.recordings.facade import FrameSettings, Recording, open_recording

__all__ = ["FrameSettings", "Recording", "open_recording"]
