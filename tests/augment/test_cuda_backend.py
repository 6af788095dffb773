"""The CUDA backend without a GPU: its kernels in Numba's simulator against the reference, and compiled to PTX."""

import os
import re
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from dataprep.errors import UserError
from tests.augment.cuda_cases import ALONE, NAMES, RECIPE, batch, parameters
from vicregl_fast.augment import backends, normalisation, reference
from vicregl_fast.augment.cuda_backend import installed
from vicregl_fast.augment.cuda_backend.samples import LARGEST_RADIUS, SAMPLE, fill_samples
from vicregl_fast.augment.scalars import window

pytest.importorskip("numba_cuda")

LEVELS = 255 * torch.tensor(normalisation.STD)[:, None, None]
BLACK = 255 * torch.tensor(normalisation.MEAN)[:, None, None]


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> dict[str, torch.Tensor]:
    """What the kernels made of ``cuda_cases``, channels first."""
    path = tmp_path_factory.mktemp("simulated") / "made.npz"
    environment = os.environ | {"NUMBA_ENABLE_CUDASIM": "1"}
    subprocess.run([sys.executable, "-m", "tests.augment.cuda_simulator", path], env=environment, check=True)
    return {name: torch.from_numpy(array).permute(0, 3, 1, 2) for name, array in np.load(path).items()}


@pytest.fixture(scope="module")
def resized() -> torch.Tensor:
    """The reference's crops, flipped: float32 [n, 3, size, size]."""
    drawn, images = parameters(), batch()
    crops = reference.crop_resize(images.images(), drawn.boxes, RECIPE.size)
    return torch.stack([crop.flip(2) if flip else crop for crop, flip in zip(crops, drawn.flips, strict=True)])


def test_the_resize_is_the_references(simulated, resized):
    error = (simulated["levels"].float() - resized).abs()
    assert error.max() <= 2
    assert error.mean() <= 0.1
    assert resized[NAMES.index("reduced")].std() > 20, "flat pictures would agree however they are resized"


def test_no_pixel_outside_the_box_is_read(simulated):
    assert simulated["levels"][NAMES.index("black")].max() == 0


def test_whole_views_are_the_references(simulated):
    expected = reference.apply(RECIPE, parameters(), batch().images())
    error = (simulated["views"] - expected).abs() * LEVELS
    assert error.mean() < 0.5
    assert (error.mean((1, 2, 3)) < 1).all()


@pytest.mark.parametrize("name", NAMES)
def test_every_operation_alone_is_the_references(simulated, name):
    """On the very levels that the kernels resized to, so that only rounding to float32 separates the two."""
    row = NAMES.index(name)
    drawn = parameters()[row : row + 1]
    drawn.column("flip")[:] = False
    levels = simulated["levels"][row : row + 1].float()
    expected = reference.distort(RECIPE, drawn, levels)
    made = simulated["views"][row : row + 1] * LEVELS + BLACK
    torch.testing.assert_close(made, expected, rtol=0, atol=0.01)
    if name in ALONE and not {"boxes", "flip"} & set(ALONE[name]):
        assert (made - levels).abs().max() > 5, "the operation has changed nothing"


def test_the_largest_block_makes_the_same_of_the_widest_blur(simulated):
    """Its tile and margin fill the shared memory to the last value."""
    row = NAMES.index("blur")
    assert np.ceil(3 * parameters().sigma[row]) == LARGEST_RADIUS
    assert torch.equal(simulated["full"], simulated["views"][row : row + 1])


def test_narrow_types_are_rounded_as_torch_rounds(simulated):
    views = simulated["views"][-1:]
    assert torch.equal(simulated["halves"], views.half())
    assert torch.equal(simulated["bfloat16_bits"].view(torch.bfloat16), views.bfloat16())


def test_bfloat16_is_rounded_to_even_as_torch_does():
    from vicregl_fast.augment.cuda_backend.bfloat16 import bfloat16_encoder

    encode = bfloat16_encoder(lambda value: value.view(np.int32)).py_func
    drawn = np.random.default_rng(0).normal(size=500).astype(np.float32)
    ties = (np.arange(-300, 300, dtype=np.int32) * 0x10000 + 0x3F808000).view(np.float32)
    values = np.concatenate([drawn, ties, -ties])
    made = torch.tensor([int(encode(value)) for value in values], dtype=torch.int16).view(torch.bfloat16)
    assert torch.equal(made, torch.from_numpy(values).bfloat16())


def test_the_table_of_weights_holds_every_window():
    from vicregl_fast.augment.cuda_backend.resize import most_taps

    for size in (7, 96, 224):
        for length in (1, 5, 95, 96, 97, 223, 224, 225, 500, 1021, 4000):
            for position in range(size):
                exact = window(position, length, size)
                first, count, centre, step = window(*np.array([position, length, size], np.float32))
                assert count <= most_taps(length, size) and first >= 0 and first + count <= length
                # A pixel more or less at the end of a window weighs next to nothing.
                assert abs(first - exact[0]) <= 1 and abs(count - exact[1]) <= 1
                assert centre == pytest.approx(exact[2], rel=1e-6) and step == pytest.approx(exact[3], rel=1e-6)


@pytest.mark.parametrize("capability", [(7, 0), (8, 0), (9, 0)])
@pytest.mark.parametrize("kernel", ["fill_weights", "resize", "float16", "bfloat16"])
def test_kernels_compile_without_double_precision(kernel, capability):
    if capability not in _supported():
        pytest.skip("no compiler for it here: CUDA 12 is the last for sm_70; numba-cuda's extras bring one")
    ptx = _compiled(kernel, capability)
    assert f".target sm_{capability[0]}{capability[1]}" in ptx
    assert not re.search(r"\.f64\b", ptx)
    shared = sum(int(count) for count in re.findall(r"\.shared .*\[(\d+)\];", ptx))
    assert shared <= 48 * 1024 and (shared > 0 or kernel == "fill_weights")


def _supported() -> list[tuple[int, int]]:
    from cuda.pathfinder import DynamicLibNotFoundError
    from numba.cuda.cudadrv.nvrtc import get_supported_ccs

    try:
        return list(get_supported_ccs())
    except DynamicLibNotFoundError:
        return []


def _compiled(kernel: str, capability: tuple[int, int]) -> str:
    """The PTX of a kernel; of the last one, by the views' type."""
    from numba import cuda, from_dtype
    from numba.core import types

    from vicregl_fast.augment.cuda_backend.device import FINISH
    from vicregl_fast.augment.cuda_backend.resize import fill_weights, resize

    samples, bytes_, totals = from_dtype(SAMPLE)[::1], types.uint8[::1], types.int64[::1]
    windows = types.int32[:, :, ::1], types.int32[:, :, ::1], types.float32[:, :, :, ::1]
    levels = types.uint8[:, :, :, ::1]
    if kernel == "fill_weights":
        function, arguments = fill_weights, (samples, *windows, totals)
    elif kernel == "resize":
        function, arguments = resize, (samples, bytes_, *windows, levels, totals)
    else:
        function, stored = FINISH[getattr(torch, kernel)], types.float16 if kernel == "float16" else types.int16
        arguments = samples, levels, totals, types.float32, stored[:, :, ::1]
    options = {"cc": capability, "fastmath": function.targetoptions["fastmath"]}
    return cuda.compile_ptx(function.py_func, types.void(*arguments), **options)[0]


def test_a_package_that_is_missing_or_broken_is_named_with_its_remedy(monkeypatch, capsys):
    """As beside a NumPy that is too new for it: the views are made all the same."""
    gpu = torch.device("cuda", 0)

    def broken(name):
        raise AttributeError("module 'numpy' has no attribute 'in1d'")

    for name, stand_in, reason in (
        ("find_spec", lambda name: None, "is not installed"),
        ("import_module", broken, r"cannot compile kernels \(module 'numpy' has no attribute 'in1d'\)"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(installed, name, stand_in)
            installed.why_unusable.cache_clear()
            sentence = rf"numba-cuda, which {reason}: pip install 'vicregl_fast\[cuda\]'"
            with pytest.raises(UserError, match=sentence):
                backends.choose_backend("cuda", gpu)
            assert backends.choose_backend("auto", gpu) == "torch"
            assert re.search(f"note: .* since numba-cuda {reason}", capsys.readouterr().err)
        installed.why_unusable.cache_clear()


def test_a_package_that_compiles_is_taken_and_one_that_breaks_at_its_first_kernel_is_not():
    """What it imports for its first kernel alone is missing, as names of NumPy's are that it overloads there."""
    if not _supported():
        pytest.skip("no compiler for it here; numba-cuda's extras bring one")
    code = (
        "import sys, torch\nfrom vicregl_fast.augment.backends import choose_backend\n"
        "if sys.argv[1:]:\n    import vicregl_fast, numba.cuda\n    sys.modules[sys.argv[1]] = None\n"
        "print(choose_backend('auto', torch.device('cuda', 0)))"
    )
    for broken, backend in (((), "cuda"), (("numba.cuda.np.arraymath",), "torch")):
        done = subprocess.run([sys.executable, "-c", code, *broken], capture_output=True, text=True, check=True)
        assert done.stdout.strip() == backend, done.stderr
        assert ("numba-cuda cannot compile kernels" in done.stderr) == bool(broken)


def test_a_name_that_numpy_has_removed_is_there_for_numba_cuda(monkeypatch):
    monkeypatch.delattr(np, "row_stack", raising=False)
    installed.keep_row_stack()
    assert np.row_stack is np.vstack


def test_a_blur_too_wide_for_the_kernels_is_refused():
    drawn = parameters()
    wide = replace(drawn, sigma=np.where(drawn.column("blur"), np.float32(2.01), drawn.sigma))
    with pytest.raises(UserError, match=r"sigma of at most 2 pixels, not 2\.01"):
        fill_samples(np.zeros(len(drawn), SAMPLE), wide, batch())
