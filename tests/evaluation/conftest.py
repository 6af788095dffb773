"""A run folder for the entry points."""

from pathlib import Path

import pytest

from tests.untrained_run import write_untrained_run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With a small untrained network in it."""
    return write_untrained_run(tmp_path_factory.mktemp("run"))
