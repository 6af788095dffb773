"""The contact sheet shows what it was given, in its place, and says how far engines are apart."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vicregl_fast.augment.recipe import ViewsConfig
from vicregl_fast.visualization.engine_views import draw_engine_views
from vicregl_fast.visualization.view_sheet import draw_view_sheet
from vicregl_fast.visualize import main


def test_every_picture_in_its_place() -> None:
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (30 + 10 * n, 50, 3), dtype=np.uint8) for n in range(2)]
    boxes = [np.array([[1, 2, 20, 30], [3, 4, 10, 11]]), np.array([[0, 0, 5, 6], [7, 8, 9, 10]])]
    ffcv = [rng.integers(3, 256, (2, 8, 8, 3), dtype=np.uint8) for _ in boxes]
    dali = [ffcv[0] - 3, ffcv[1]]
    figure = draw_view_sheet(images, boxes, {"ffcv": ffcv, "dali": dali})
    assert len(figure.axes) == 2 * (1 + 2 * 2)
    for row, image in enumerate(images):
        overview, *views = figure.axes[5 * row : 5 * row + 5]
        assert (overview.images[0].get_array() == image).all()
        drawn = [patch.get_bbox().bounds for patch in overview.patches[::2]]
        assert drawn == [(left, top, width, height) for top, left, height, width in (b[row].tolist() for b in boxes)]
        for axes, expected in zip(views, (ffcv[0], dali[0], ffcv[1], dali[1]), strict=True):
            assert (axes.images[0].get_array() == expected[row]).all()
        assert [axes.get_xlabel() for axes in views] == ["", "3.00 levels", "", "0.00 levels"]
    assert [axes.get_title() for axes in figure.axes[1:5]] == [
        "ffcv, view 1", "dali, view 1", "ffcv, view 2", "dali, view 2"
    ]  # fmt: skip


def test_engines_agree_on_real_bytes(beton: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "views.png"
    main(["views", "--path", str(beton), "--size", "32", "--count", "2", "--out", str(out)])
    assert capsys.readouterr().out.strip() == str(out) and Image.open(out).size[0] > 500
    figure = draw_engine_views(beton, ViewsConfig(large_size=32), ("ffcv", "torchvision"), 3, seed=1)
    apart = [float(axes.get_xlabel().split()[0]) for axes in figure.axes if axes.get_xlabel()]
    assert len(apart) == 3 * 2 and max(apart) < 6, "but for solarised levels that lie at the threshold"
    assert np.median(apart) < 2


def test_nothing_to_show_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["views", "--path", str(tmp_path / "none.beton")])
    assert "there is neither a store nor a folder of images" in capsys.readouterr().err
