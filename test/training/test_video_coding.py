"""What a video's frames lose: flat steps in small blocks, and edges between them smoothed."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from blur_imu_training.isp.parameters import VIDEO_SHARE, VideoCoding, random_camera
from blur_imu_training.isp.video_coding import (
    cosines,
    dead_zones,
    deblocked,
    edge_limits,
    quantised,
    video_coded,
)
from blur_imu_training.scene.procedural import dead_leaves

PICTURE = cv2.GaussianBlur(dead_leaves(70, 90, np.random.default_rng(1)), (0, 0), 1.0)
GREY = np.repeat(PICTURE[..., :1], 3, axis=2)


@pytest.mark.parametrize("block", [4, 8])
def test_a_higher_quantiser_loses_more(block: int) -> None:
    lost = [
        np.abs(video_coded(GREY, VideoCoding(q, block)).astype(float) - GREY).mean()
        for q in (4.0, 20.0, 38.0)
    ]
    assert lost[0] < 0.5 and 2 < lost[2] and lost[0] < lost[1] < lost[2]


def test_sides_that_are_no_whole_blocks_stay_as_they_are() -> None:
    assert video_coded(PICTURE, VideoCoding(30.0, 8)).shape == PICTURE.shape


@pytest.mark.parametrize("level", [0, 17, 128, 255])
def test_an_even_picture_keeps_its_brightness(level: int) -> None:
    even = np.full((32, 48, 3), level, np.uint8)
    coded = video_coded(even, VideoCoding(30.0, 8)).astype(float)
    assert coded.std() == 0 and abs(coded.mean() - level) <= VideoCoding(30.0, 8).step / 16 + 0.5


@pytest.mark.parametrize("block", [4, 8])
def test_what_is_left_are_multiples_of_the_step_in_each_block(block: int) -> None:
    luma = np.random.default_rng(0).uniform(0, 255, (16, 24)).astype(np.float32)
    basis, zones = np.array(cosines(block)), np.array(dead_zones(block))
    np.testing.assert_allclose(basis @ basis.T, np.eye(block), atol=1e-12)
    coded = quantised(luma, basis, zones, 12.0)
    for y in range(0, 16, block):
        for x in range(0, 24, block):
            before = basis @ luma[y : y + block, x : x + block] @ basis.T / 12
            after = basis @ coded[y : y + block, x : x + block] @ basis.T / 12
            np.testing.assert_allclose(after, np.rint(after), atol=1e-4)
            assert np.abs(after - before).max() < 2 / 3 + 1e-4
            assert np.abs(after - before)[0, 0] < 0.5 + 1e-4


def test_low_steps_between_blocks_are_smoothed_and_edges_of_the_picture_kept() -> None:
    limits = edge_limits(30.0)
    low, high = (
        np.repeat(np.float32([[100] * 8 + [100 + step] * 8]), 16, axis=0) for step in (6, 90)
    )
    smoothed = deblocked(low.copy(), 8, *limits)
    assert abs(smoothed[0, 8] - smoothed[0, 7]) < 4
    np.testing.assert_array_equal(smoothed[:, :7], 100)
    np.testing.assert_array_equal(deblocked(high.copy(), 8, *limits), high)
    turned = deblocked(low.T.copy(), 8, *limits)
    np.testing.assert_array_equal(turned, smoothed.T)


def test_as_many_cameras_as_said_make_videos() -> None:
    cameras = [random_camera(np.random.default_rng(seed)) for seed in range(400)]
    share = np.mean([camera.video is not None for camera in cameras])
    assert abs(share - VIDEO_SHARE) < 0.06
