"""The study of the paper's claims: its tables and plot from figures known by hand, and one tiny study run for real."""

import json
import subprocess
import sys
from pathlib import Path
from threading import Event
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

ROWS = {"trained": 0, "random": 8, "majority_class": 40}
SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"


@pytest.fixture
def evidence(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(SCRIPTS)
    import evidence

    return evidence


def judged(folder: Path, name: str, seed: int, accuracy: float, miou: float) -> None:
    for kind, command, figure, value in (("knn", "knn", "accuracy", accuracy), ("seg", "linear-seg", "mIoU", miou)):
        results = [{"name": f"{command}.{row}.{figure}", "value": value - less} for row, less in ROWS.items()]
        written = {"environment": {"device": "CPU", "command": f"judge {name}"}, "results": results}
        (folder / f"{name}_seed{seed}.{kind}.json").write_text(json.dumps(written))


def test_tables_hold_mean_and_spread_beside_the_published_figures(evidence: ModuleType, tmp_path: Path) -> None:
    for seed, (accuracy, miou) in enumerate([(92.0, 55.0), (94.0, 56.0), (93.0, 57.0)]):
        judged(tmp_path, "alpha_1", seed, accuracy, miou)
    judged(tmp_path, "alpha_0.75", 0, 91.8, 65.8)
    study = evidence.Study(tmp_path)
    lines = study.tell().splitlines()
    assert (tmp_path / "tables.md").read_text().splitlines() == lines
    assert "| VICReg, α 1 | 3 | 93.0 ± 1.0 | 56.0 ± 1.0 | 73.9 | 56.0 |" in lines
    assert "| α 0.75 | 1 | 91.8 | 65.8 | 72.7 | 60.3 |" in lines
    assert "| both | 1 | 91.8 | 65.8 | 73.6 | 60.3 |" in lines  # the same training stands in several tables
    assert "| SimCLR-L | 0 | - | - | 66.6 | 51.3 |" in lines
    assert "| random network | 3 | 85.0 ± 1.0 | 48.0 ± 1.0 |  |  |" in lines
    known = json.loads((tmp_path / "figures.json").read_text())
    assert known["figures"]["alpha_1"] == {"accuracy": [92.0, 94.0, 93.0], "miou": [55.0, 56.0, 57.0]}
    assert known["environments"] == [{"device": "CPU"}] and known["settings"]["alpha_1"] == ["--loss.alpha", "1"]
    pixels = np.asarray(Image.open(tmp_path / "trade_off.png").convert("RGB")).reshape(-1, 3)
    blue = (pixels == (31, 119, 180)).all(1).sum()  # of the first setting, which is in both plots and both legends
    assert blue > 100


def test_programs_side_by_side_share_the_cores(
    evidence: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[str, str | None]] = []
    over = Event()

    class Failed(Event):
        def set(self) -> None:
            super().set()
            over.set()

    def run(command: list[str], env: dict[str, str], **options: object) -> subprocess.CompletedProcess:
        seen.append((command[command.index("--seed") + 1], env.get("NUMBA_NUM_THREADS")))
        assert len(seen) <= 4 + 3 or over.wait(60)  # the second of the last trainings ends once no other may begin
        return subprocess.CompletedProcess(command, 3 if len(seen) == 4 else 0)

    monkeypatch.setattr(evidence.subprocess, "run", run)
    monkeypatch.setattr(evidence, "Event", Failed)
    monkeypatch.setattr(evidence.os, "sched_getaffinity", lambda process: range(16))
    monkeypatch.delenv("NUMBA_NUM_THREADS", raising=False)
    assert len(list(evidence.Study(tmp_path, jobs=5).judge_all([("alpha_1", 7)]))) == 1
    assert seen == [("7", "3")] * 3
    with pytest.raises(SystemExit, match="3"):  # the exit code of the program that failed
        list(evidence.Study(tmp_path).judge_all([("alpha_1", 8), ("alpha_0.9", 8)]))
    assert seen[3:] == [("8", None)]
    over.clear()
    left = evidence.Study(tmp_path).judge_all([("alpha_1", 9), ("alpha_0.9", 9), ("alpha_0.5", 9), ("alpha_0.75", 9)])
    next(left)
    left.close()  # as where telling the figures fails
    assert len(seen) in (4 + 3, 4 + 3 + 3)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_study_goes_on_where_it_was(
    evidence: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(evidence, "PICTURES", ("--images", "96", "--seed", "11"))
    tiny = ("--model.expander", "16", "--model.projector", "8", "--batch_size", "16", "--epochs", "1")
    monkeypatch.setattr(evidence, "RECIPE", (*evidence.RECIPE[:2], *tiny, "--optim.warmup_epochs", "0"))
    monkeypatch.chdir(SCRIPTS.parent)
    out = tmp_path / "study"
    given = [str(out), "--seeds", "1", "--only"]
    monkeypatch.setattr(sys, "argv", ["evidence.py", *given, "alpha_0.75"])
    evidence.main()
    assert "| α 0.75 | 1 |" in capfd.readouterr().out
    before = {path: path.stat().st_mtime_ns for path in out.glob("*_seed0.*.json")}
    monkeypatch.setattr(sys, "argv", ["evidence.py", *given, "alpha_0.75,alpha_1", "--jobs", "2"])
    evidence.main()
    said = capfd.readouterr().out
    assert "| random network | 1 |" in said and said.count("vicregl_fast.train") == 1
    assert len(before) == 2 and {path: path.stat().st_mtime_ns for path in before} == before
    assert (out / "tables.md").read_text().strip() in said and (out / "trade_off.png").is_file()
