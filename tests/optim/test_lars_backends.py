"""Every backend of LARS passes the same cases; Triton's in its interpreter, Apex's on a stand-in for its kernels."""

import json
import os
import pickle
import subprocess
import sys
from copy import deepcopy
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from tests.optim import amp_c
from tests.optim.lars_cases import CASES, Beside, draw
from vicregl_fast.models.config import ModelConfig
from vicregl_fast.models.network import VICRegLNetwork
from vicregl_fast.optim.config import LarsBackend
from vicregl_fast.optim.lars import LARS

CPU = torch.device("cpu")
HERE: tuple[LarsBackend, ...] = ("loop", "foreach", "apex")


@pytest.fixture(autouse=True)
def apex_stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "amp_C", amp_c)


@pytest.mark.parametrize("backend", HERE)
@pytest.mark.parametrize("name", CASES)
def test_backend(name: str, backend: LarsBackend) -> None:
    CASES[name](backend, CPU)


@pytest.fixture(scope="module")
def interpreted() -> dict[str, str | None]:
    """What went wrong in each case in Triton's interpreter, which must be chosen before Triton is imported."""
    pytest.importorskip("triton")
    command = [sys.executable, "-W", "ignore", "-m", "tests.optim.lars_cases"]
    root = Path(__file__).resolve().parents[2]
    setting = os.environ | {"TRITON_INTERPRET": "1", "PYTHONPATH": str(root)}
    done = subprocess.run(command, env=setting, cwd=root, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("name", CASES)
def test_triton(name: str, interpreted: dict[str, str | None]) -> None:
    assert interpreted[name] is None, interpreted[name]


@pytest.mark.slow
@pytest.mark.timeout(1200)  # a minute and a half of one core
def test_the_tensors_of_a_resnet_50_and_its_heads() -> None:
    """Against the loop in float32, over 200 steps."""
    shapes = [p.shape for p in VICRegLNetwork(ModelConfig(expander=512, projector=128), True, True).parameters()]
    ours, loop = (Beside(backend, draw(shapes, CPU, 0)) for backend in ("foreach", "loop"))
    gradients = draw(shapes, CPU, 1), draw(shapes, CPU, 2)
    for step in range(200):
        for one in (ours, loop):
            for parameter, gradient in zip(one.parameters, gradients[step % 2], strict=True):
                parameter.grad = gradient
            one.optimizer.step()
    for a, b in zip(ours.parameters, loop.parameters, strict=True):
        assert (a - b).norm() <= 1e-6 * b.norm()


@pytest.mark.parametrize("backend", HERE)
@pytest.mark.parametrize("unscaled", [False, True])
def test_with_a_gradient_scaler(backend: LarsBackend, unscaled: bool) -> None:
    """The scale is divided out once, clipping sees gradients without it, and a step with inf is skipped."""
    plain, scaled = (Beside(backend, draw([(4, 3), (5,)], CPU, 0)) for _ in range(2))
    scaler = torch.amp.GradScaler("cpu", init_scale=64.0)
    for step in range(3):
        gradients = draw([(4, 3), (5,)], CPU, 1 + step)
        for one, scale in ((plain, 1.0), (scaled, scaler.get_scale())):
            for parameter, gradient in zip(one.parameters, gradients, strict=True):
                parameter.grad = gradient * scale
        scaler.scale(torch.zeros(()))
        if unscaled:
            scaler.unscale_(scaled.optimizer)
            for one in (plain, scaled):
                torch.nn.utils.clip_grad_norm_(one.parameters, 0.5)
        plain.optimizer.step()
        scaler.step(scaled.optimizer)
        scaler.update()
    for a, b in zip(plain.parameters, scaled.parameters, strict=True):
        torch.testing.assert_close(a, b)
    before = [parameter.detach().clone() for parameter in scaled.parameters]
    scaled.parameters[0].grad = torch.full((4, 3), float("inf"))
    scaler.scale(torch.zeros(()))
    if unscaled:
        scaler.unscale_(scaled.optimizer)
    scaler.step(scaled.optimizer)
    scaler.update()
    assert scaler.get_scale() == 32.0
    assert all(torch.equal(a, b) for a, b in zip(scaled.parameters, before, strict=True))


@pytest.mark.parametrize("backend", HERE)
def test_copies_and_pickles_go_on(backend: LarsBackend) -> None:
    beside = Beside(backend, draw([(4, 3), (5,)], CPU, 0))
    beside.step(draw([(4, 3), (5,)], CPU, 1))
    for copy in (deepcopy(beside.optimizer), pickle.loads(pickle.dumps(beside.optimizer))):
        assert copy.backend == backend
        (group,) = copy.param_groups
        for parameter, gradient in zip(group["params"], draw([(4, 3), (5,)], CPU, 2), strict=True):
            parameter.grad = gradient
        copy.step()
        assert all(torch.isfinite(parameter).all() for parameter in group["params"])


class Launches(TorchDispatchMode):
    """Records the operations that launch kernels, and those of them for which torch launches one for each tensor."""

    VIEWS = ("as_strided", "slice", "unsqueeze", "detach", "view", "reshape", "alias", "select")

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []
        self.slow: list[str] = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        name = function.overloadpacket.__name__
        if name not in self.VIEWS:
            self.names.append(name)
        if name.startswith(("_foreach", "_fused")) and not takes_the_fast_route(
            name, [*args, *(kwargs or {}).values()]
        ):
            self.slow.append(f"{name} {function._overloadname}")
        return function(*args, **(kwargs or {}))


def takes_the_fast_route(name: str, arguments: list) -> bool:
    """torch's conditions (``ATen/native/ForeachUtils.h``) for one kernel over many tensors."""
    lists = [each for each in arguments if isinstance(each, list) and isinstance(each[0], Tensor)]
    if any(isinstance(each, Tensor) and each.numel() > 1 for each in arguments):
        return False
    dense = all(torch.empty_like(each).stride() == each.stride() for tensors in lists for each in tensors)
    alike = all(len({(each.shape, each.stride()) for each in same}) == 1 for same in zip(*lists, strict=True))
    dtypes = [{each.dtype for each in tensors} for tensors in lists]
    one_dtype = all(len(each) == 1 for each in dtypes) and (name == "_foreach_copy_" or len(set.union(*dtypes)) == 1)
    return dense and alike and one_dtype


@pytest.mark.parametrize("options", [{}, {"grad_scale": torch.ones(1), "found_inf": torch.zeros(1)}])
def test_foreach_launches_as_much_for_many_tensors_as_for_few(options: dict[str, Tensor]) -> None:
    """Without a GPU this shows that torch's conditions for one kernel are met; that one it is, only a GPU shows."""
    counts = []
    for tensors in (2, 20):
        shapes = [(4, 3, 3, 3), (5,)] * tensors
        parameters = [nn.Parameter(each) for each in draw(shapes, CPU, 0)]
        parameters[0].data = parameters[0].data.to(memory_format=torch.channels_last)
        optimizer = LARS(parameters, lr=0.1)
        for parameter, gradient in zip(parameters, draw(shapes, CPU, 1), strict=True):
            parameter.grad = gradient.to(parameter.dtype).view_as(parameter)
        parameters[0].grad = draw(shapes, CPU, 1)[0].to(memory_format=torch.channels_last)
        vars(optimizer).update(options)
        optimizer.step()
        with Launches() as launches:
            optimizer.step()
        assert not launches.slow
        counts.append(launches.names)
    assert counts[0] == counts[1] and len(counts[0]) < 25, counts
