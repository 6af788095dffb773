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
    command = {
        "command": "python -m vicregl_fast.bench loss --path 'a b' --json=x.json --repeats 3 --json folder/loss.json"
    }
    rows = {
        "loss.global": ([0.07, 0.0791, 0.09], "s"),
        "loss.share": ([0.3026], "x"),
        "loss.rate": ([71316.4], "images/s"),
        "loss.pairs": ([526594.6], "pairs/s"),
        "loss.thousand": ([1077.8], "images/s"),
        "loss.none": ([0.0], "B"),
        "linear-seg.trained.mIoU": ([40.81], "%"),
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
        ("{loss loss.global range}", "0.070 to 0.090"),
        ("{loss loss.share percent}", "30%"),
        ("{loss loss.rate}", "71,320"),
        ("{loss loss.none}", "0"),
        ("{loss linear-seg.trained.mIoU}%", "40.8%"),
        ("{loss loss.pairs}", "526,600"),
        ("{loss loss.thousand}", "1,078"),
        ("{loss loss.thousand short}", "1,078"),
        ("{loss command}", "`python -m vicregl_fast.bench loss --path 'a b' --repeats 3` (`loss.json`)"),
        ("{loss loss.global?}", "0.0791"),
        ("{loss loss.else?}", "not measured"),
        ("{other loss.global? percent}", "not measured"),
        ("| {loss loss.rate} images/s, n {loss loss.rate n} |", "| 71,320 images/s, n 1 |"),
    ],
)
def test_placeholders_become_figures(files: dict[str, MeasuredFile], placeholder: str, figure: str) -> None:
    assert fill_template(placeholder, files) == figure


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ("{loss loss.global hours}", "asks for hours; of a figure there are short"),
        ("{loss command percent}", "asks for percent"),
        ("{loss}", r"'\{loss\}' is no \{FILE ROW\}"),
        ("{loss loss.global", r"is no \{FILE ROW\}"),
        ("a } b", r"'\} b' is no"),
        (
            "{loss loss.globl}",
            r"\{loss loss\.globl\} was not measured; if that may be so, write \{loss loss\.globl\?\}",
        ),
        ("{los loss.global percent}", r"was not measured; if that may be so, write \{los loss\.global\?\}"),
        ("{other command}", "was not measured"),
        ("{loss loss.global percent}", "is in s, and must be in x"),
        ("{loss loss.rate ms}", "is in images/s, and must be in s"),
    ],
)
def test_what_cannot_be_filled_is_named(files: dict[str, MeasuredFile], wrong: str, says: str) -> None:
    with pytest.raises(UserError, match=says):
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
    assert filled == "before\n" + marked("a.md").replace("old", "71,320") + marked("b.md").replace("old", "\\1 30%")
    fill_page(page, files)
    assert page.read_text() == filled


def test_a_link_stays_one_and_ends_need_no_line(tmp_path: Path, files: dict[str, MeasuredFile]) -> None:
    (tmp_path / "a.md").write_text("| {loss loss.rate} |")
    (tmp_path / "real.md").write_text(marked("a.md").removesuffix("\nkept a.md\n"))
    (tmp_path / "page.md").symlink_to("real.md")
    fill_page(tmp_path / "page.md", files)
    assert (tmp_path / "page.md").is_symlink()
    expected = "<!-- filled from a.md -->\n| 71,320 |\n<!-- end of a.md -->"
    assert (tmp_path / "real.md").read_text() == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("nothing", "needs lines"),
        ("<!-- filled from a.md -->\n", "needs lines"),
        (marked("a.md") + "<!-- filled from a.md -->\n<!-- end of b.md -->\n", "needs lines"),
        (marked("gone.md"), "cannot be filled from gone.md: .*cannot be read"),
        (marked("wrong.md"), r"cannot be filled from wrong.md: .*is no \{FILE ROW\}"),
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


def test_a_page_is_filled_or_written_not_both(made_up: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["report", str(made_up), "--fill", "x.md", "--out", "folder"])
    assert "not allowed with argument" in capsys.readouterr().err
