"""An existing file is replaced only if it is a result or a picture that such a program made."""

import os
import shutil
from pathlib import Path

import pytest
from PIL import Image

from dataprep.own_outputs import PICTURES, in_the_way, place_of_incomplete
from tests.dataprep.pictures import write_jpeg
from vicregl_fast import visualize


def test_results_and_empty_files_alone_are_replaced_by_results(tmp_path: Path) -> None:
    path = tmp_path / "out.json"
    assert in_the_way(path) == ""
    for content in ("", '{"environment": {}, "results": []}'):
        path.write_text(content)
        assert in_the_way(path) == ""
    for content in ("epochs: 3\n", "[1]", '{"results": []}', "{1"):
        path.write_text(content)
        assert in_the_way(path) == f"{path} exists and is no result of this program: choose another name, or remove it"
    (tmp_path / "link.json").symlink_to("out.json")
    assert "link.json exists" in in_the_way(tmp_path / "link.json")
    os.mkfifo(tmp_path / "pipe.json")
    assert in_the_way(tmp_path / "pipe.json") == in_the_way(Path("/dev/stdout")) == ""


@pytest.mark.parametrize("ending", PICTURES)
def test_a_picture_replaces_its_own_kind_and_no_photograph(
    tmp_path: Path, ending: str, capsys: pytest.CaptureFixture
) -> None:
    (tmp_path / "metrics.jsonl").write_text('{"step": 1, "loss": 2.0}\n{"step": 2, "loss": 1.0}\n')
    out = tmp_path / f"curves{ending}"
    for _ in range(2):
        visualize.main(["curves", str(tmp_path), "--out", str(out)])
    assert in_the_way(out) == ""
    write_jpeg(tmp_path / "photograph.jpg")
    if ending in (".png", ".webp"):
        Image.open(tmp_path / "photograph.jpg").save(out)
    else:
        shutil.copy(tmp_path / "photograph.jpg", out)
    before = out.read_bytes()
    with pytest.raises(SystemExit, match="2"):
        visualize.main(["curves", str(tmp_path), "--out", str(out)])
    assert "exists and is no picture of this program" in capsys.readouterr().err and out.read_bytes() == before


def test_a_picture_s_usual_name_is_looked_at_too(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    (tmp_path / "metrics.jsonl").write_text('{"step": 1, "loss": 2.0}\n')
    (tmp_path / "curves.png").write_text("mine")
    with pytest.raises(SystemExit, match="2"):
        visualize.main(["curves", str(tmp_path)])
    assert (tmp_path / "curves.png").read_text() == "mine"
    assert capsys.readouterr().err.startswith("error: ")


@pytest.mark.parametrize(
    ("content", "beside"),
    [
        ('{"environment": {}, "results": []}', True),
        ('{"environment": {"complete": true}, "results": []}', True),
        ('{"environment": {"complete": false}, "results": []}', False),
        ("no results", True),
        ("", False),
        (None, False),
    ],
)
def test_incomplete_results_go_beside_what_may_be_complete(content: str | None, beside: bool, tmp_path: Path) -> None:
    path = tmp_path / "out.json"
    if content is not None:
        path.write_text(content)
    assert place_of_incomplete(path) == (tmp_path / "out.partial.json" if beside else path)
