"""Fixtures that all tests share."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch
from PIL import Image

from dataprep.ffcv_store import write_store
from dataprep.sources import list_images
from tests.processes import kill_with_children
from vicregl_fast.devices import choose_device
from vicregl_fast.training.precision import choose_kernels

SHARED = Path(__file__).resolve().parents[2] / "shared"


def pytest_configure() -> None:
    """Sets what a shell or a machine may have otherwise.

    Tests run side by side, and threads that wait for each other on busy cores are up to 40 times slower than one. A
    shell's background jobs ignore Ctrl-C, and so would the programs that the tests start and interrupt.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # for ``repeatable``: read at the first product
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # of the programs that the tests start
    torch.set_num_threads(1)
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests marked ``gpu`` skip where there is none."""
    if not torch.cuda.is_available():
        for item in items:
            if "gpu" in item.keywords:
                item.add_marker(pytest.mark.skip(reason="needs a CUDA device"))


@pytest.fixture
def cuda() -> Iterator[torch.device]:
    """For tests marked ``gpu``; without TF32, whose products are as coarse as fp16's."""
    allowed = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    yield choose_device("cuda")
    torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = allowed


@pytest.fixture
def repeatable() -> Iterator[None]:
    """For tests marked ``gpu``; only kernels whose results are repeatable."""
    flags = torch.backends.cudnn.benchmark, torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    choose_kernels(deterministic=True)
    yield
    torch.use_deterministic_algorithms(False)
    torch.backends.cudnn.benchmark, torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = flags


def _folder(name: str) -> Path:
    folder = SHARED / name
    if not folder.is_dir():
        pytest.skip(f"needs the folder {name}, which is not beside this checkout")
    return folder


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real images: imagenet_sample, caltech101, camvid."""
    return _folder("data")


@pytest.fixture(scope="session")
def golden() -> Path:
    """Reference values of the loss."""
    return _folder("golden")


@pytest.fixture
def started() -> Iterator[list[psutil.Process]]:
    """A list for processes that must not outlive the test, nor their children."""
    found: list[psutil.Process] = []
    yield found
    for process in found:
        kill_with_children(process)


def drawn_image(index: int, height: int, width: int) -> np.ndarray:
    """A smooth colourful picture of its own for every index, uint8 [height, width, 3]."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    phase = np.array([0.3, 1.1, 2.3]) * (index + 1)
    waves = np.sin(x[..., None] / (7 + index % 5) + phase) * np.cos(y[..., None] / (5 + index % 7) - phase)
    return np.clip(128 + 110 * waves, 0, 255).astype(np.uint8)


@pytest.fixture(scope="session")
def image_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """48 JPEGs of odd sizes in three class folders."""
    root = tmp_path_factory.mktemp("images")
    for index in range(48):
        folder = root / f"class_{'abc'[index % 3]}"
        folder.mkdir(exist_ok=True)
        picture = drawn_image(index, 40 + 7 * (index % 6), 44 + 5 * (index % 8))
        Image.fromarray(picture).save(folder / f"{index:03d}.jpg", quality=92)
    return root


@pytest.fixture(scope="session")
def beton(image_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The store of ``image_folder``."""
    path = tmp_path_factory.mktemp("store") / "train.beton"
    write_store(list_images(image_folder), path, workers=1)
    return path


@pytest.fixture(scope="session")
def foreign_betons(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that ``tests.dataprep.foreign_stores`` fills; its files are not to be changed."""
    folder = tmp_path_factory.mktemp("foreign")
    words = [sys.executable, "-m", "tests.dataprep.foreign_stores", str(folder)]
    subprocess.run(words, check=True, capture_output=True, timeout=120)
    return folder
