"""BatchNorm over several ranks equals BatchNorm over the whole batch, forward and backward."""

import copy
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from timm.layers.norm_act import BatchNormAct2d
from torch import Tensor, nn

from tests.two_processes import on_processes
from vicregl_fast.models.sync_batchnorm import synchronise_batchnorm

CPU = torch.device("cpu")
NORMS = {
    "images": lambda: nn.BatchNorm2d(3),
    "vectors": lambda: nn.BatchNorm1d(3),
    "with its activation": lambda: BatchNormAct2d(3),
    "without weights": lambda: nn.BatchNorm1d(3, affine=False),
    "of all batches": lambda: nn.BatchNorm1d(3, momentum=None),
}
SHAPE = {"images": (12, 3, 4, 5), "with its activation": (12, 3, 4, 5)}


def result(norm: nn.Module, x: Tensor, seed: int = 5) -> dict[str, Tensor]:
    """Output, gradients and running statistics after two batches, with a loss of which every sample has a part."""
    generator = torch.Generator().manual_seed(seed)
    slopes = torch.randn(12, *x.shape[1:], generator=generator, dtype=x.dtype)
    start = dist.get_rank() * len(x) if dist.is_initialized() else 0
    x = x.requires_grad_()
    norm(x.detach() + 1)
    out = norm(x)
    (out**2 * slopes[start : start + len(x)]).sum().backward()
    made = {"out": out.detach(), "x": x.grad}
    made |= {f"{name} grad": p.grad for name, p in norm.named_parameters()}
    return made | {name: buffer.clone() for name, buffer in norm.named_buffers()}


def inputs(kind: str) -> tuple[nn.Module, Tensor]:
    torch.manual_seed(3)
    norm = NORMS[kind]().double()
    for parameter in norm.parameters():
        nn.init.normal_(parameter)
    return norm, 2 * torch.randn(SHAPE.get(kind, (12, 3)), dtype=torch.float64) + 1


def _on_one_rank(folder: Path) -> None:
    dist.init_process_group("gloo")
    rank, world = dist.get_rank(), dist.get_world_size()
    found = {}
    for kind in NORMS:
        norm, x = inputs(kind)
        names = list(norm.state_dict())
        norm = synchronise_batchnorm(nn.Sequential(norm), CPU)[0]  # type: ignore[index]
        assert list(norm.state_dict()) == names
        part = len(x) // world
        found[kind] = result(norm, x[rank * part : (rank + 1) * part].clone())
    torch.save(found, folder / f"{rank}.pt")
    dist.destroy_process_group()


@pytest.mark.slow
def test_ranks_see_the_statistics_of_all(tmp_path: Path) -> None:
    world = 4
    on_processes(world, _on_one_rank, tmp_path)
    ranks = [torch.load(tmp_path / f"{rank}.pt") for rank in range(world)]
    for kind in NORMS:
        whole = result(*inputs(kind))
        for name, expected in whole.items():
            parts = [rank[kind][name] for rank in ranks]
            if name in ("out", "x"):
                made = torch.cat(parts)
            else:  # each rank has its own part of the weights' gradient, and the running statistics of all
                made = sum(parts) if name.endswith("grad") else parts[0]
                assert name.endswith("grad") or all(torch.equal(part, parts[0]) for part in parts)
            torch.testing.assert_close(made, expected, msg=lambda text, at=f"{kind}, {name}": f"{at}: {text}")


def test_the_gradient_of_one_rank_is_right() -> None:
    norm, x = inputs("images")
    norm = synchronise_batchnorm(nn.Sequential(norm), CPU)
    assert torch.autograd.gradcheck(lambda z: norm(z) ** 2, x[:3, :, :2, :2].clone().requires_grad_())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_halves_are_computed_in_single(dtype: torch.dtype) -> None:
    plain, x = inputs("images")
    plain, x = plain.float(), x.to(dtype)
    norm = synchronise_batchnorm(nn.Sequential(copy.deepcopy(plain)), CPU)
    out = norm(x)
    assert out.dtype == dtype
    torch.testing.assert_close(out, plain(x.float()).to(dtype))


def test_evaluation_is_as_before() -> None:
    plain, x = inputs("with its activation")
    norm = synchronise_batchnorm(nn.Sequential(copy.deepcopy(plain)), CPU)
    assert torch.equal(norm.eval()(x), plain.eval()(x))
