"""The published network: its public layout, its golden outputs, and that it says one thing
twice."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip(
    "torch", reason="the published network needs torch: pip install .[train]"
)

from blur_imu_ros.core.camera import Camera  # noqa: E402
from blur_imu_ros.network.architectures.published import (  # noqa: E402
    NonNegativeFactors,
    PublishedNetwork,
    PublishedOutput,
)
from helpers.published_fill import empty_network, filled_network, published_input  # noqa: E402
from helpers.published_solver import solve_published  # noqa: E402


@pytest.fixture(scope="module")
def network() -> PublishedNetwork:
    return filled_network()


@pytest.fixture(scope="module")
def output(network: PublishedNetwork) -> PublishedOutput:
    with torch.inference_mode():
        return network(torch.from_numpy(published_input()))


@pytest.fixture(scope="module")
def reference(shared_data: Path) -> Path:
    return shared_data.parent / "reference"


def test_the_state_dict_has_the_published_names_shapes_and_types(reference: Path) -> None:
    published = json.loads((reference / "paper_network_keys.json").read_text())
    state = empty_network().state_dict()
    ours = [[n, list(v.shape), str(v.dtype).removeprefix("torch.")] for n, v in state.items()]
    assert ours == published


@pytest.mark.parametrize("name", ["flow", "depth"])
def test_outputs_are_the_golden_ones(reference: Path, output: PublishedOutput, name: str) -> None:
    golden = np.load(reference / "paper_network_golden.npz")[name]
    found = getattr(output, name)[0].numpy()[:, ::4, ::4]
    np.testing.assert_allclose(found.squeeze(), golden, atol=1e-4)


def test_the_published_solver_on_them_gives_the_golden_motion(
    reference: Path, output: PublishedOutput
) -> None:
    golden = np.load(reference / "paper_network_golden.npz")["pose"]
    camera = Camera(320, 224, 250.8, 250.8, 160, 112)
    pose = solve_published(output.flow[0].numpy(), output.depth[0, 0].numpy(), camera)
    # The motion itself is small, so the tolerance is too.
    np.testing.assert_allclose(pose, golden, atol=1e-6)


def test_two_runs_and_two_networks_agree_to_the_bit(output: PublishedOutput) -> None:
    with torch.inference_mode():
        other = filled_network()(torch.from_numpy(published_input()))
    assert torch.equal(other.flow, output.flow)
    assert torch.equal(other.depth, output.depth)


def test_other_sizes_and_batches_are_taken(network: PublishedNetwork) -> None:
    images = torch.from_numpy(published_input())[:, :, :64, :96].repeat(2, 1, 1, 1)
    with torch.inference_mode():
        flow, depth = network(images)
    assert flow.shape == (2, 2, 64, 96) and depth.shape == (2, 1, 64, 96)
    torch.testing.assert_close(flow[0], flow[1])
    assert bool((depth > 0).all())


def test_factors_rebuild_what_differs_between_pixels() -> None:
    rng = np.random.RandomState(0)
    features = (rng.rand(512, 3) @ rng.rand(3, 48)).reshape(1, 512, 6, 8).astype(np.float32)
    rebuilt = NonNegativeFactors()(torch.from_numpy(features)).numpy()
    spread = np.abs(features - features.mean((2, 3), keepdims=True)).mean()
    assert np.abs(rebuilt - features).mean() < 0.5 * spread
