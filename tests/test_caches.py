"""Compiled code is kept where it can be: by a user without a home folder, and with code that only another may write."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
UID = 12345
COMPILE = """
import os
from vicregl_fast.philox import permutation
assert sorted(permutation(0, 0, 5)) == [0, 1, 2, 3, 4]
for name in ("NUMBA_CACHE_DIR", "MPLCONFIGDIR", "TRITON_CACHE_DIR", "TORCHINDUCTOR_CACHE_DIR"):
    print(os.environ.get(name))
"""


def unprivileged() -> tuple[list[str], int]:
    """What to put before a command so that it may read all files and write only where anyone may, and its user."""
    if os.getuid() != 0:
        return [], os.getuid()
    if shutil.which("setpriv") is None:
        pytest.skip("root cannot become another user here: there is no setpriv")
    read = "-all,+dac_read_search"  # the interpreter itself may lie in root's home
    caps = [f"--{kind}-caps={read}" for kind in ("inh", "ambient")] + [f"--bounding-set={read}"]
    return ["setpriv", "--reuid", str(UID), "--regid", str(UID), "--clear-groups", *caps], UID


@pytest.fixture
def code(tmp_path: Path) -> Iterator[Path]:
    """A copy of the packages that cannot be written, without compiled files."""
    code = tmp_path / "code"
    for package in ("dataprep", "vicregl_fast"):
        shutil.copytree(ROOT / package, code / package, ignore=shutil.ignore_patterns("__pycache__"))
    folders = [code, *(path for path in code.rglob("*") if path.is_dir())]
    for folder in folders:
        folder.chmod(0o555)
    yield code
    for folder in folders:
        folder.chmod(0o755)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that anyone may reach and write, unlike those below pytest's."""
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        folder = Path(name)
        folder.chmod(0o777)
        yield folder


def run(code: Path, tmp: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess:
    prefix, _ = unprivileged()
    base = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "TMPDIR": str(tmp), "PYTHONPATH": str(code)}
    return subprocess.run(
        [*prefix, sys.executable, *arguments], cwd=tmp, env=base | environment, capture_output=True, text=True
    )


@pytest.mark.timeout(120)
def test_without_a_home_compiled_code_goes_to_a_private_temporary_folder(code: Path, open_folder: Path) -> None:
    done = run(code, open_folder, "-c", COMPILE)
    assert done.returncode == 0, done.stderr
    private = open_folder / f"vicregl_fast-{unprivileged()[1]}"
    assert done.stdout.split()[:3] == [str(private / name) for name in ("numba", "mplconfigdir", "triton")]
    assert private.stat().st_mode & 0o777 == 0o700 and private.stat().st_uid == unprivileged()[1]
    compiled = set(private.rglob("*.nbc"))
    assert compiled
    again = run(code, open_folder, "-c", COMPILE)
    assert again.stdout == done.stdout and set(private.rglob("*.nbc")) == compiled


@pytest.mark.timeout(120)
@pytest.mark.parametrize("taken", ["readable by others", "a link"])
def test_a_folder_that_is_not_private_is_not_used(code: Path, open_folder: Path, taken: str) -> None:
    private, elsewhere = open_folder / f"vicregl_fast-{unprivileged()[1]}", open_folder / "elsewhere"
    elsewhere.mkdir()
    elsewhere.chmod(0o777)
    if taken == "a link":
        private.symlink_to(elsewhere)
    else:
        private.mkdir()
        private.chmod(0o777)
    done = run(code, open_folder, "-c", COMPILE)
    assert done.returncode == 0, done.stderr
    used = Path(done.stdout.split()[0]).parent
    assert used.parent == open_folder and used != private and not used.exists()  # it is removed at the end
    assert not any(elsewhere.iterdir()) and not any(private.iterdir())


@pytest.mark.timeout(120)
def test_caches_that_can_be_written_stay_where_they_are(code: Path, open_folder: Path) -> None:
    done = run(code, open_folder, "-c", COMPILE, HOME=str(open_folder), USER="someone")
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["None"] * 4
    assert list((open_folder / ".cache" / "numba").rglob("*.nbc"))
    chosen = {"NUMBA_CACHE_DIR": str(open_folder / "own"), "MPLCONFIGDIR": str(open_folder)}
    assert run(code, open_folder, "-c", COMPILE, **chosen).stdout.split()[:2] == list(chosen.values())


@pytest.mark.timeout(120)
def test_an_unwritable_choice_is_replaced(code: Path, open_folder: Path) -> None:
    done = run(code, open_folder, "-c", COMPILE, NUMBA_CACHE_DIR="/proc/none")
    assert done.returncode == 0 and done.stdout.startswith(str(open_folder)), done.stderr


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_every_entry_point_runs_without_a_home(code: Path, open_folder: Path) -> None:
    """Training, judging, pictures and measurements, after the data that they take were drawn and converted."""
    options = (
        "--epochs 1 --batch_size 20 --optim.warmup_epochs 0 --views.large_size 32 --model.backbone test_resnet "
        "--model.output_stride 16 --model.expander 8 --model.projector 8 --data.workers 1"
    )
    for line in (
        "dataprep demo demo --images 72 --workers 1",
        "dataprep ffcv demo/train train.beton --workers 1",
        "dataprep verify train.beton --workers 1",
        f"vicregl_fast.train --data.path train.beton --data.val_path demo/val --run_dir run {options}",
        "vicregl_fast.evaluate knn --run run --train demo/train --test demo/val",
        "vicregl_fast.visualize matches --run run --images demo/val --out matches.png",
        "vicregl_fast.visualize curves run --out curves.png",
        "vicregl_fast.visualize views --path train.beton --out views.png",
        "vicregl_fast.bench loader --path train.beton --repeats 2 --batch 20 --engines ffcv --stage views",
    ):
        done = run(code, open_folder, "-m", *line.split())
        assert done.returncode == 0, f"{line}: {done.stderr}"
        assert "Traceback" not in done.stderr and "Matplotlib created" not in done.stderr, done.stderr
