"""Deep images that are shown together are equally bright."""

from pathlib import Path

import numpy as np
import pytest

from dataprep.errors import UserError
from tests.dataprep.files import deep_png
from vicregl_fast import visualize
from vicregl_fast.data.open_images import open_images
from vicregl_fast.visualization import commands, mapped_image, similarity
from vicregl_fast.visualization.some_images import one_image, some_images


def deep(path: Path, level: int) -> Path:
    """A grey image of 16 bits and of one level."""
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(deep_png(np.full((40, 60, 1), level, np.uint16)))
    return path


def test_one_image_takes_the_range_of_others(tmp_path: Path) -> None:
    one = deep(tmp_path / "one.png", 800)
    deep(tmp_path / "others" / "a.png", 4000)
    others = open_images(tmp_path / "others")
    assert [int(each.max()) for each in some_images(others, 3, seed=0)] == [4000 >> 4]
    assert one_image(one, others).shape == (40, 60, 3) and int(one_image(one, others).max()) == 800 >> 4
    assert int(one_image(one).max()) == 800 >> 2  # by itself, of ten bits
    with pytest.raises(UserError, match=r"hold values up to 9000, and those of .*others, .* end at 4095"):
        one_image(deep(tmp_path / "beyond.png", 9000), others)


def test_similarity_shows_both_in_one_range(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deep(tmp_path / "others" / "a.png", 4000)
    shown: list[int] = []
    monkeypatch.setattr(commands, "_backbone", lambda options: None)
    monkeypatch.setattr(mapped_image, "map_images", lambda _, images, side: images)
    monkeypatch.setattr(
        similarity, "draw_similarity", lambda chosen, points, rest: shown.extend(int(x.max()) for x in [chosen, *rest])
    )
    given = ["similarity", "--run", "r", "--image", str(deep(tmp_path / "one.png", 800))]
    options = visualize.visualize_parser(None).parse_args([*given, "--images", str(tmp_path / "others")])
    commands.PICTURES["similarity"](options)
    assert shown == [800 >> 4, 4000 >> 4]
