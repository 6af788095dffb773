"""The lists that say what a bundle must hold, and the installer that checks what arrives."""

import hashlib
import json
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
FREEZE = """torch==2.11.0+cu130
opencv-python-headless==4.13.0
Foo_Bar==1.0
local @ file:///somewhere
-e git+https://example.org/x#egg=x
"""


def needs(*arguments: Path | str) -> list[str]:
    command = [sys.executable, str(SCRIPTS / "offline_needs.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


def test_what_is_needed_beyond_the_base(tmp_path: Path) -> None:
    base, report = tmp_path / "freeze.txt", tmp_path / "report.json"
    base.write_text(FREEZE)
    packages = {
        "local": "1",
        "x": "2",
        "torch": "2.11.0",
        "opencv-python": "5.0",
        "foo.bar": "2.0",
        "ffcv": "1.0.2",
        "Typeshed_Client": "2.1",
    }
    report.write_text(json.dumps({"install": [{"metadata": {"name": n, "version": v}} for n, v in packages.items()]}))
    assert needs("pins", base) == ["foo-bar==1.0", "opencv-python-headless==4.13.0", "torch==2.11.0"]
    assert needs("beyond", base, report) == ["ffcv==1.0.2", "typeshed-client==2.1"]


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A bundle in two parts of one small wheel and one data file, as offline_bundle.sh leaves it."""
    content, out = tmp_path / "content", tmp_path / "bundle"
    (content / "wheels").mkdir(parents=True)
    (content / "data").mkdir()
    out.mkdir()
    (content / "data" / "train.beton").write_bytes(bytes(range(256)) * 20)
    with zipfile.ZipFile(content / "wheels" / "tiny_thing-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("tiny_thing.py", "ANSWER = 42\n")
        info = "tiny_thing-1.0.dist-info"
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: tiny_thing\nVersion: 1.0\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    with tarfile.open(tmp_path / "whole.tar", "w") as archive:
        archive.add(content, ".")
    whole = (tmp_path / "whole.tar").read_bytes()
    sums = []
    for number, part in enumerate((whole[:5000], whole[5000:])):
        (out / f"part-{number:03d}").write_bytes(part)
        sums.append(f"{hashlib.sha256(part).hexdigest()}  part-{number:03d}\n")
    (out / "checksums.txt").write_text("".join(sums))
    (out / "install.sh").write_bytes((SCRIPTS / "offline_install.sh").read_bytes())
    return out


def install(bundle: Path, *arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        ["bash", str(bundle / "install.sh"), *arguments],
        capture_output=True,
        text=True,
        env={"PATH": "/usr/bin:/bin", "PYTHON": sys.executable},
    )


def test_parts_are_joined_and_installed(bundle: Path, tmp_path: Path) -> None:
    target, data = tmp_path / "site", tmp_path / "stores"
    for _ in range(2):  # again, it replaces what is there
        done = install(bundle, "--target", str(target), "--data", str(data))
        assert done.returncode == 0, done.stderr
    code = "import tiny_thing; print(tiny_thing.ANSWER)"
    shown = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": str(target)}, capture_output=True, text=True
    )
    assert shown.stdout == "42\n"
    assert (data / "train.beton").read_bytes() == bytes(range(256)) * 20


@pytest.mark.parametrize("harm", ["cut", "missing"])
def test_a_damaged_part_installs_nothing(bundle: Path, tmp_path: Path, harm: str) -> None:
    part = bundle / "part-001"
    if harm == "cut":
        part.write_bytes(part.read_bytes()[:-1])
    else:
        part.unlink()
    done = install(bundle, "--target", str(tmp_path / "site"))
    assert done.returncode == 2 and "a part is missing or damaged" in done.stderr
    assert not (tmp_path / "site").exists()


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ([], "usage: "),
        (["OUT"], "usage: "),
        (["OUT", "--python", "3.99"], "no Python 3.99"),
        (["OUT", "--python", "3.12", "--cuda", "11"], "--cuda is 12 or 13"),
        (["OUT", "--python", "3.12", "--part-mib", "0"], "--part-mib 0"),
        (["OUT", "--python", "3.12", "--with", "magic"], "--with knows dali only"),
        (["OUT", "--python", "3.12", "--have", "/nowhere"], "there is no file /nowhere"),
        (["OUT", "--python", "3.12", "--data", "/nowhere"], "there is no file /nowhere"),
    ],
)
def test_bad_options_of_the_bundle(arguments: list[str], reason: str, tmp_path: Path) -> None:
    given = [str(tmp_path / "out") if argument == "OUT" else argument for argument in arguments]
    done = subprocess.run(["bash", str(SCRIPTS / "offline_bundle.sh"), *given], capture_output=True, text=True)
    assert done.returncode == 2 and reason in done.stderr, done.stderr
    assert not (tmp_path / "out").exists()
