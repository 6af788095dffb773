"""Which backend is taken, what is said about it, and what is refused."""

import sys

import pytest
import torch
from torch import distributed, nn

from dataprep.errors import UserError
from tests.optim import amp_c
from tests.two_processes import on_two_processes
from vicregl_fast.optim.build import build_optimizer
from vicregl_fast.optim.config import LarsChoice, OptimConfig
from vicregl_fast.optim.lars import LARS
from vicregl_fast.optim.lars_backends import choice as choosing

CPU, GPU = torch.device("cpu"), torch.device("cuda", 0)


@pytest.fixture(autouse=True)
def nothing_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    monkeypatch.delitem(sys.modules, "amp_C", raising=False)
    choosing.obstacle.cache_clear()


def backend_of(choice: LarsChoice) -> str:
    optimizer = build_optimizer(OptimConfig(lars=choice), nn.Linear(3, 2))
    assert isinstance(optimizer, LARS)
    return optimizer.backend


def test_auto_takes_foreach_on_a_cpu_and_says_so_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert backend_of("auto") == "foreach"
    assert capsys.readouterr().err == "note: LARS steps are taken by foreach (optim.lars is auto)\n"


@pytest.mark.parametrize("choice", ["loop", "foreach"])
def test_what_is_chosen_is_taken_without_a_word(choice: LarsChoice, capsys: pytest.CaptureFixture[str]) -> None:
    assert backend_of(choice) == choice
    assert capsys.readouterr().err == ""


def test_triton_is_refused_without_a_gpu() -> None:
    with pytest.raises(UserError, match=r"optim.lars is triton, but Triton needs a GPU .* are on the cpu; set it to"):
        backend_of("triton")


def test_triton_is_refused_where_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    monkeypatch.setitem(sys.modules, "vicregl_fast.optim.lars_backends.fused", None)
    with pytest.raises(UserError, match=r"pip install triton\) cannot be imported .*; set it to auto or foreach"):
        backend_of("triton")


def test_apex_is_refused_where_it_is_missing() -> None:
    with pytest.raises(UserError, match=r"optim.lars is apex, but NVIDIA Apex .* cannot be imported .*amp_C"):
        backend_of("apex")


def test_apex_is_taken_where_it_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "amp_C", amp_c)
    assert backend_of("apex") == "apex"


def test_a_backend_that_differs_from_the_formula_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "amp_C", amp_c)
    right = amp_c.multi_tensor_l2norm
    monkeypatch.setattr(amp_c, "multi_tensor_l2norm", lambda *given: (None, 1.001 * right(*given)[1] ** 1.01))
    with pytest.raises(UserError, match="its result differs from the formula's by"):
        backend_of("apex")


def test_a_backend_that_fails_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("A tensor was not cuda.")

    monkeypatch.setitem(sys.modules, "amp_C", amp_c)
    monkeypatch.setattr(amp_c, "multi_tensor_sgd", fail)
    with pytest.raises(UserError, match=r"it does not work here .RuntimeError: A tensor was not cuda"):
        backend_of("apex")


@pytest.mark.parametrize(
    ("obstacles", "taken", "said"),
    [
        ({}, "triton", "taken by triton (optim.lars is auto)"),
        ({"triton": "no compiler"}, "apex", "taken by apex (optim.lars is auto; not triton: no compiler)"),
        ({"triton": "a", "apex": "b"}, "foreach", "taken by foreach (optim.lars is auto; not triton: a; not apex: b)"),
        ({"triton": "a", "apex": "b", "foreach": "c"}, "loop", "taken by loop"),
    ],
)
def test_auto_takes_the_fastest_that_works(
    obstacles: dict[str, str], taken: str, said: str,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setattr(choosing, "obstacle", lambda name, device: obstacles.get(name))
    monkeypatch.setattr(choosing, "_usable_everywhere", lambda usable, device: list(usable))
    assert choosing.choose_backend("auto", GPU) == taken
    assert said in capsys.readouterr().err


def test_apex_is_passed_over_where_the_rate_is_on_the_device(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(choosing, "obstacle", lambda name, device: "no compiler" if name == "triton" else None)
    monkeypatch.setattr(choosing, "_usable_everywhere", lambda usable, device: list(usable))
    assert choosing.choose_backend("auto", GPU, rate_on_device=True) == "foreach"
    assert "not apex: with the learning rate of recorded steps" in capsys.readouterr().err
    with pytest.raises(UserError, match=r"optim\.lars is apex, but with the learning rate of recorded steps"):
        choosing.choose_backend("apex", GPU, rate_on_device=True)
    assert choosing.choose_backend("apex", GPU) == "apex"


def agree() -> None:
    distributed.init_process_group("gloo")
    mine = [distributed.get_rank() == 0, True, distributed.get_rank() == 1]
    assert choosing._usable_everywhere(mine, CPU) == [False, True, False]
    distributed.destroy_process_group()


@pytest.mark.slow
def test_processes_take_what_all_can_use() -> None:
    on_two_processes(agree)
