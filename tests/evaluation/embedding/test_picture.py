"""The picture of features: where the points lie, and in which colours."""

from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_rgba
from PIL import Image

from dataprep.errors import UserError
from tests.evaluation.classification.test_knn import write_class_folders
from vicregl_fast.evaluation.chosen_images import open_chosen
from vicregl_fast.evaluation.embedding import picture
from vicregl_fast.evaluation.embedding.picture import choose_plane, write_picture
from vicregl_fast.evaluation.embedding.scatter import draw_points

POINTS = np.arange(12.0).reshape(6, 2)
LABELS = np.array([0, 1, 0, -1, 2, 1])


def test_points_have_the_colour_of_their_class_in_the_legend() -> None:
    figure = draw_points(POINTS, LABELS, ("ant", "bee", "cat", "none of these"), "6 images", ("x", "y"))
    points = figure.axes[0].collections[0]
    assert np.array_equal(points.get_offsets(), POINTS)
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["ant", "bee", "cat"]
    keys = [handle.get_facecolor()[0, :3].tolist() for handle in legend.legend_handles]
    drawn = points.get_facecolors()[:, :3]
    assert len({tuple(key) for key in keys}) == 3
    for row, label in enumerate(LABELS):
        assert np.allclose(drawn[row], keys[label] if label >= 0 else to_rgba("0.7")[:3], atol=0.01)


def test_many_classes_have_colours_and_no_legend() -> None:
    points = np.zeros((60, 2))
    figure = draw_points(points, np.arange(60) % 30, None, "60 images", ("x", "y"))
    assert not figure.legends and figure.axes[0].get_title() == "60 images, 30 classes"
    drawn = figure.axes[0].collections[0].get_facecolors()
    assert len(np.unique(drawn[:30], axis=0)) == 30 and np.array_equal(drawn[:30], drawn[30:])
    assert not draw_points(points, None, None, "60 images", ("x", "y")).legends


def test_components_part_the_classes_and_few_are_shown_of_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = open_chosen(write_class_folders(tmp_path / "images", {"green": 20, "red": 20}), None)
    generator = np.random.default_rng(0)
    features = generator.normal(0, 0.1, (40, 5)).astype(np.float32)
    features[20:, 3] += 10
    np.save(tmp_path / "features.npy", features)
    figures = []
    draw = draw_points
    monkeypatch.setattr(picture, "draw_points", lambda *given: (figures.append(draw(*given)), figures[-1])[1])
    plane = choose_plane("pca")
    assert plane is not None
    assert write_picture(tmp_path, chosen, plane, 0) == tmp_path / "picture.png"
    monkeypatch.setattr(picture, "SHOWN", 30)
    write_picture(tmp_path, chosen, plane, 0)
    x = figures[0].axes[0].collections[0].get_offsets()[:, 0]
    assert x[:20].max() < -4 and x[20:].min() > 4
    assert figures[0].axes[0].get_xlabel() == "component 1 (100% of variance)"
    assert [figure.axes[0].get_title() for figure in figures] == ["40 images", "30 of 40 images"]
    assert len(figures[1].axes[0].collections[0].get_offsets()) == 30
    # Green and red of the classes are seen in the pixels: the first two colours of tab10.
    pixels = np.asarray(Image.open(tmp_path / "picture.png").convert("RGB")).reshape(-1, 3).astype(int)
    for colour in ((31, 119, 180), (255, 127, 14)):
        assert (abs(pixels - colour).sum(1) < 10).sum() > 20


UMAP = """
class UMAP:
    def __init__(self, **options):
        assert options["metric"] == "cosine" and options["random_state"] == 5

    def fit_transform(self, features):
        return features[:, :2] * 3
"""


def test_umap_is_taken_where_it_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(picture, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="needs umap-learn: pip install"):
        choose_plane("umap")
    assert choose_plane("none") is None
    assert choose_plane("auto") is choose_plane("pca")
    assert "umap-learn is not installed" in capsys.readouterr().err
    monkeypatch.setattr(picture, "find_spec", lambda name: name)
    (tmp_path / "umap.py").write_text(UMAP)
    monkeypatch.syspath_prepend(tmp_path)
    plane = choose_plane("auto")
    assert plane is choose_plane("umap") and plane is not choose_plane("pca") and plane is not None
    features = np.ones((20, 4), np.float32)
    points_n2, axes = plane(features, 5)
    assert points_n2.tolist() == [[3, 3]] * 20 and axes == ("UMAP 1", "UMAP 2")
    assert plane(features[:3], 5).axes[0].startswith("component")  # too few for UMAP's neighbours
