"""The figures in a page are those of the files, and this project's own page is up to date."""

import shutil
from pathlib import Path

import pytest

from dataprep.errors import UserError
from tests.benchmarks.report.conftest import CPU, write
from vicregl_fast.bench import main
from vicregl_fast.benchmarks.report.filled_page import fill_page, fill_template
from vicregl_fast.benchmarks.report.measured_file import MeasuredFile, read_folder

ROOT = Path(__file__).parents[3]


@pytest.fixture
def files(tmp_path: Path) -> dict[str, MeasuredFile]:
    command = {"command": "python -m vicregl_fast.bench loss --repeats 3 --json folder/loss.json"}
    rows = {
        "loss.global": ([0.07, 0.0791, 0.09], "s"),
        "loss.share": ([0.3026], "x"),
        "loss.rate": ([71316.4], "images/s"),
        "loss.none": ([0.0], "B"),
    }
    write(tmp_path / "loss.json", {**CPU, **command}, rows)
    return {file.name: file for file in read_folder(tmp_path)}


@pytest.mark.parametrize(
    ("placeholder", "figure"),
    [
        ("{loss loss.global}", "0.0791"),
        ("{loss loss.global short}", "0.079"),
        ("{loss loss.global ms}", "79.1"),
        ("{loss loss.global n}", "3"),
        ("{loss loss.share percent}", "30%"),
        ("{loss loss.rate}", "71,316"),
        ("{loss loss.none}", "0"),
        ("{loss command}", "`bench loss --repeats 3`"),
        ("{loss loss.else}", "not measured"),
        ("{other loss.global percent}", "not measured"),
        ("{other command}", "not measured"),
        ("| {loss loss.rate} images/s, n {loss loss.rate n} |", "| 71,316 images/s, n 1 |"),
    ],
)
def test_placeholders_become_figures(files: dict[str, MeasuredFile], placeholder: str, figure: str) -> None:
    assert fill_template(placeholder, files) == figure


@pytest.mark.parametrize("wrong", ["{loss loss.global hours}", "{loss}", "{loss loss.global", "a } b"])
def test_what_is_no_placeholder_is_named(files: dict[str, MeasuredFile], wrong: str) -> None:
    with pytest.raises(UserError, match=r"asks for hours; there are short|is no \{FILE ROW\}"):
        fill_template(wrong, files)


def marked(*names: str) -> str:
    return "".join(f"<!-- filled from {name} -->\nold\n<!-- end of {name} -->\nkept {name}\n" for name in names)


def test_marked_parts_are_filled_and_all_else_stays(tmp_path: Path, files: dict[str, MeasuredFile]) -> None:
    (tmp_path / "a.md").write_text("{loss loss.rate}\n")
    (tmp_path / "b.md").write_text("\\1 {loss loss.share percent}\n")
    page = tmp_path / "page.md"
    page.write_text("before\n" + marked("a.md", "b.md"))
    fill_page(page, files)
    filled = page.read_text()
    assert filled == "before\n" + marked("a.md").replace("old", "71,316") + marked("b.md").replace("old", "\\1 30%")
    fill_page(page, files)
    assert page.read_text() == filled


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("nothing", "needs lines"),
        ("<!-- filled from a.md -->\n", "needs lines"),
        (marked("a.md") + "<!-- filled from a.md -->\n<!-- end of b.md -->\n", "needs lines"),
        (marked("gone.md"), "cannot be filled from gone.md: .*cannot be read"),
        (marked("wrong.md"), "cannot be filled from wrong.md: .*is no {FILE ROW}"),
    ],
)
def test_a_page_that_cannot_be_filled_stays(
    tmp_path: Path, files: dict[str, MeasuredFile], text: str, words: str
) -> None:
    (tmp_path / "a.md").write_text("{loss loss.rate}\n")
    (tmp_path / "wrong.md").write_text("{loss}\n")
    page = tmp_path / "page.md"
    page.write_text(text)
    with pytest.raises(UserError, match=words):
        fill_page(page, files)
    assert page.read_text() == text


def test_the_readme_shows_what_was_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copy(ROOT / "README.md", tmp_path)
    shutil.copytree(ROOT / "benchmarks" / "tables", tmp_path / "benchmarks" / "tables")
    main(["report", str(ROOT / "benchmarks" / "results"), "--fill", str(tmp_path / "README.md")])
    assert capsys.readouterr().out.strip() == str(tmp_path / "README.md")
    assert (tmp_path / "README.md").read_text() == (ROOT / "README.md").read_text()
