"""A stand-in for ``amp_C``, the kernels of NVIDIA Apex, which cannot be installed without building it for a GPU.

Its functions take what those declared in Apex's ``csrc/amp_C_frontend.cpp`` take, refuse what those refuse (except
tensors on a CPU), and compute what the kernels of ``csrc/multi_tensor_*_kernel.cu`` compute. So they show that the
calls and the arithmetic around them are right, and nothing of the kernels themselves.
"""

import torch
from torch import Tensor

Lists = list[list[Tensor]]


def _check(chunk_size: int, noop_flag: Tensor, tensor_lists: Lists, depth: int) -> None:
    assert isinstance(chunk_size, int) and noop_flag.dtype == torch.int32 and noop_flag.numel() == 1
    assert len(tensor_lists) == depth and all(tensor_lists)
    for same in zip(*tensor_lists, strict=True):
        assert len({tensor.numel() for tensor in same}) == 1, "Size mismatch"
        for tensor in same:
            last = tensor.is_contiguous(memory_format=torch.channels_last)
            assert tensor.is_contiguous() or last, "A tensor was not contiguous."
            assert tensor.stride() == same[0].stride(), "the kernels would pair other elements"


def _note(noop_flag: Tensor, tensors: list[Tensor]) -> None:
    if not all(tensor.isfinite().all() for tensor in tensors):
        noop_flag.fill_(1)


def multi_tensor_axpby(
    chunk_size: int, noop_flag: Tensor, tensor_lists: Lists, a: float, b: float, arg_to_check: int
) -> None:
    """out = a x + b y, whatever the flag says, which is set if a checked argument is non-finite."""
    _check(chunk_size, noop_flag, tensor_lists, 3)
    for x, y, out in zip(*tensor_lists, strict=True):
        out.copy_(a * x.float() + b * y.float())
    for number in (0, 1) if arg_to_check == -1 else (arg_to_check,):
        _note(noop_flag, tensor_lists[number])


def multi_tensor_l2norm(
    chunk_size: int, noop_flag: Tensor, tensor_lists: Lists, per_tensor: bool | None = None
) -> tuple[Tensor, Tensor]:
    """The norm of all, [1], and of each, [tensors], whatever the flag says."""
    _check(chunk_size, noop_flag, tensor_lists, 1)
    _note(noop_flag, tensor_lists[0])
    norms = torch.stack([tensor.float().norm() for tensor in tensor_lists[0]])
    return norms.norm().reshape(1), norms if per_tensor else norms[:0]


def multi_tensor_sgd(
    chunk_size: int, noop_flag: Tensor, tensor_lists: Lists, wd: float, momentum: float, dampening: float, lr: float,
    nesterov: bool, first_run: bool, wd_after_momentum: bool, scale: float,
) -> None:  # fmt: skip
    """Gradients, weights, momenta; nothing at all if the flag is set. With momentum 0 the momenta stay as they are."""
    _check(chunk_size, noop_flag, tensor_lists, 3)
    assert all(isinstance(number, float) for number in (wd, momentum, dampening, lr, scale))
    assert not wd and not nesterov and not first_run and not wd_after_momentum, "not needed here"
    assert all(tensor.dtype == torch.float32 for tensors in tensor_lists for tensor in tensors)
    if noop_flag.item():
        return
    for gradient, weight, buffer in zip(*tensor_lists, strict=True):
        update = gradient * scale
        if momentum:
            update = buffer.mul_(momentum).add_((1 - dampening) * update)
        weight.add_(-lr * update)
