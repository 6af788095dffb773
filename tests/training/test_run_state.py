"""Checkpoints and fingerprints of today go on being read: what they hold is pinned here.

If a test is red because of a change that is meant, old runs cannot be resumed: raise ``run_state.FORMAT``, say so in
the README, and pin the new form.
"""

import hashlib
from pathlib import Path

import numpy as np

from tests.data.sized import Sized
from tests.tiny_run import ALONE, tiny_options
from vicregl_fast.config import parse_config
from vicregl_fast.data.fingerprint import store_fingerprint
from vicregl_fast.training.learner import build_learner
from vicregl_fast.training.run_state import FORMAT, RunState


def shapes(value: object, name: str = "") -> list[str]:
    """A line for every value in nested dicts and lists: its path, and its shape or type."""
    if isinstance(value, dict):
        return [line for key, each in value.items() for line in shapes(each, f"{name}.{key}")]
    if isinstance(value, list | tuple):
        return [line for key, each in enumerate(value) for line in shapes(each, f"{name}.{key}")]
    return [f"{name} {tuple(value.shape) if hasattr(value, 'shape') else type(value).__name__}"]


def test_the_fingerprint_of_a_store_stays() -> None:
    labels, heights, widths = np.array([0, 1, 1]), np.array([20, 30, 40]), np.array([25, 35, 45])
    store = Sized(Path("x"), labels, ("cat", "dog"), heights, widths)
    assert store_fingerprint(store)[:16] == "b9992b7a54f79c45"
    assert store_fingerprint(Sized(Path("y"), None, None, heights, widths))[:16] == "88a45106925d2648"


def test_what_a_checkpoint_holds_stays(tmp_path: Path) -> None:
    learner = build_learner(parse_config(tiny_options(tmp_path, tmp_path)), 2, ALONE)
    saved = RunState(4, 1, "store", [{}], learner.state()).to_checkpoint()
    assert (FORMAT, sorted(saved)) == (
        2, ["format", "generators", "network", "optimizer", "scaler", "skipped_steps", "step", "store"],
    )  # fmt: skip
    lines = shapes(saved["network"])
    digest = hashlib.sha256("\n".join(lines).encode()).hexdigest()
    assert (len(lines), digest[:16]) == (152, "b01952e6be7df9e8")
    loaded = RunState.of_checkpoint(saved, tmp_path)
    assert (loaded.step, loaded.skipped_steps, loaded.store) == (4, 1, "store")
