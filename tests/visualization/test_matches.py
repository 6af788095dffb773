"""Pictures of matches: where the lines begin and end, and what a network selects."""

import numpy as np
import pytest
import torch

from vicregl_fast.augment.recipe import ViewsConfig
from vicregl_fast.config import RunConfig
from vicregl_fast.geometry.cells import cell_centres
from vicregl_fast.geometry.matches import Matches
from vicregl_fast.losses.config import LossConfig
from vicregl_fast.models.config import ModelConfig
from vicregl_fast.models.network import VICRegLNetwork
from vicregl_fast.visualization.matches import GAP, MatchedImage, View, centres_in_image, centres_in_view, draw_matches
from vicregl_fast.visualization.network_matches import select_matches

PICTURE = np.zeros((90, 90, 3), np.uint8)


def test_centres_in_a_view_are_those_of_its_cells() -> None:
    view = View(PICTURE, (0, 0, 50, 50), flip=True, grid=3)
    # The picture is shown as the network saw it, so a flip moves nothing.
    assert centres_in_view(np.array([0, 2, 7]), view).tolist() == [[15, 15], [75, 15], [45, 75]]


def test_lines_join_the_matched_cells() -> None:
    views = View(PICTURE, (0, 0, 50, 50), False, 3), View(PICTURE, (10, 20, 60, 30), True, 3)
    location = Matches(np.array([1, 8]), np.array([0, 5]))
    feature = Matches(np.array([3]), np.array([6]))
    figure = draw_matches([MatchedImage(np.zeros((80, 100, 3), np.uint8), views, location, feature)])
    overview, by_location, by_feature = figure.axes
    start = 90 * (1 + GAP)
    lines = [line.get_xydata() for line in by_location.lines if len(line.get_xydata()) > 2]
    assert [line[0].tolist() for line in lines[::2]] == [[45, 15], [75, 75]]
    assert [line[-1].tolist() for line in lines[::2]] == [[start + 15, 15], [start + 75, 45]]
    (line,) = [line.get_xydata() for line in by_feature.lines if len(line.get_xydata()) > 2][::2]
    assert line[0].tolist() == [15, 45] and line[-1].tolist() == [start + 15, 75]
    boxes = [patch.get_bbox().bounds for patch in overview.patches[::2]]
    assert boxes == [(0, 0, 50, 50), (20, 10, 30, 60)]


@pytest.fixture(scope="module")
def config() -> RunConfig:
    return RunConfig(
        views=ViewsConfig(large_size=64),
        model=ModelConfig("resnet18", output_stride=16, expander=8, projector=8),
        loss=LossConfig(gamma_large=5),
    )


@pytest.fixture(scope="module")
def network(config: RunConfig) -> VICRegLNetwork:
    torch.manual_seed(0)
    return VICRegLNetwork(config.model, use_global=True, use_local=True).eval()


def images(count: int) -> list[np.ndarray]:
    """Pixels that are their own coordinates: red is the row, green the column."""
    rows, columns = np.mgrid[:120, :200]
    return [np.stack([rows, columns, np.full_like(rows, 60 * k)], 2).astype(np.uint8) for k in range(count)]


def test_location_matches_are_near_each_other_in_the_image(network: VICRegLNetwork, config: RunConfig) -> None:
    for matched in select_matches(network, config, images(4), gamma=5, seed=0):
        a, b = matched.views
        assert a.grid == b.grid == 4 and a.picture.shape == (64, 64, 3)
        every_a, every_b = (cell_centres(np.array([v.box]), np.array([v.flip]), 4).reshape(16, 2) for v in (a, b))
        distances = np.linalg.norm(every_a[:, None] - every_b[None], axis=2)
        kept = np.linalg.norm(
            centres_in_image(matched.location.queries, a) - centres_in_image(matched.location.neighbours, b),
            axis=1,
        )
        assert np.allclose(np.sort(kept), np.sort(distances.min(1))[:5])


def test_feature_matches_are_the_nearest_local_embeddings(network: VICRegLNetwork, config: RunConfig) -> None:
    """Read back by brute force from the pictures that are shown, which 8 bits have hardly changed."""
    for matched in select_matches(network, config, images(2), gamma=16, seed=0):
        scale = torch.tensor([0.229, 0.224, 0.225]) * 255
        views = [
            (torch.tensor(v.picture).float() - torch.tensor([0.485, 0.456, 0.406]) * 255) / scale for v in matched.views
        ]
        with torch.no_grad():
            maps = network([view.permute(2, 0, 1)[None] for view in views]).maps
        assert maps is not None
        distances = torch.cdist(maps[0][0], maps[1][0]).numpy()
        assert matched.feature.queries.tolist() == list(range(16))
        found = distances[matched.feature.queries, matched.feature.neighbours]
        assert np.allclose(found, distances.min(1), rtol=0.02)


def test_gamma_and_seed_choose(network: VICRegLNetwork, config: RunConfig) -> None:
    (one,), (other,) = (select_matches(network, config, images(1), gamma=3, seed=seed) for seed in (0, 1))
    assert len(one.location.queries) == len(one.feature.queries) == 3
    assert one.views[0].box != other.views[0].box


def test_without_a_projector_the_backbones_cells_are_matched(config: RunConfig) -> None:
    torch.manual_seed(0)
    network = VICRegLNetwork(config.model, use_global=True, use_local=False).eval()
    (matched,) = select_matches(network, config, images(1), gamma=4, seed=0)
    assert matched.feature.queries.shape == (4,) and (np.diff(matched.feature.queries) > 0).all()
