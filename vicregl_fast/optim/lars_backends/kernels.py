"""The two Triton kernels of a LARS step, each over all tensors: one sums squares, the other updates.

A tensor is cut into chunks of ``CHUNK`` elements, and each program works on one chunk. Tables say where:

- ``tensors``, int64 [tensors, 4]: address of p, address of m, number of its first chunk, and how many chunks to sum for
  its norms (0 for a tensor of one dimension: it has no decay, and q = 1);
- ``gradients``, int64 [tensors]: address of g;
- ``chunks``, int64 [chunks, 3]: number of its tensor, number within its tensor, number of elements; those to sum stand
  first.

``sums``, float32 [summed chunks, 2], holds |p|^2 and |d|^2 of each chunk, which every program of a tensor adds up in
the same order: nothing depends on which program ran first.
"""

import triton
import triton.language as tl

CHUNK = 32768
BLOCK = 2048  # elements that a program works on at a time
OPTIONS = {"num_warps": 4, "enable_fp_fusion": True}


@triton.jit
def _pointer(address, start, TYPE: tl.constexpr, ALIGNED: tl.constexpr):
    """Points to an element; if the address is known to be a multiple of 16 bytes, as much is read at a time."""
    pointer = address.to(tl.pointer_type(TYPE))
    if ALIGNED:
        pointer = tl.multiple_of(pointer, 16)
    return pointer + start


@triton.jit
def _load(pointer, index, length, WHOLE: tl.constexpr):
    """A block in float32; unless it is WHOLE, what lies past ``length`` is 0. A mask would forbid 16-byte loads."""
    values = tl.load(pointer + index) if WHOLE else tl.load(pointer + index, mask=index < length, other=0.0)
    return values.to(tl.float32)


@triton.jit
def _inverse(grad_scale):
    """What to multiply gradients by; ``grad_scale`` is a pointer or None."""
    inverse = 1.0
    if grad_scale is not None:
        inverse = tl.div_rn(1.0, tl.load(grad_scale).to(tl.float32))
    return inverse


@triton.jit
def _add_squares(p_sum, d_sum, parameters, gradients, index, length, decay, inverse, WHOLE: tl.constexpr):
    p = _load(parameters, index, length, WHOLE)
    d = _load(gradients, index, length, WHOLE) * inverse + decay * p
    return p_sum + p * p, d_sum + d * d


@triton.jit
def sum_squares(
    tensors, gradients, chunks, sums, weight_decay, grad_scale,
    GRADIENT: tl.constexpr, ALIGNED: tl.constexpr, CHUNK: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Writes |p|^2 and |d|^2 of each chunk to ``sums``; one program a summed chunk."""
    chunk = tl.program_id(0)
    tensor, start = tl.load(chunks + 3 * chunk), tl.load(chunks + 3 * chunk + 1) * CHUNK
    length = tl.load(chunks + 3 * chunk + 2).to(tl.int32)
    p = _pointer(tl.load(tensors + 4 * tensor), start, tl.float32, ALIGNED)
    g = _pointer(tl.load(gradients + tensor), start, GRADIENT, ALIGNED)
    inverse = _inverse(grad_scale)
    p_sum, d_sum = tl.zeros((BLOCK,), tl.float32), tl.zeros((BLOCK,), tl.float32)
    in_blocks = length // BLOCK * BLOCK
    for first in range(0, in_blocks, BLOCK):
        index = first + tl.arange(0, BLOCK)
        p_sum, d_sum = _add_squares(p_sum, d_sum, p, g, index, length, weight_decay, inverse, True)
    if in_blocks < length:
        index = in_blocks + tl.arange(0, BLOCK)
        p_sum, d_sum = _add_squares(p_sum, d_sum, p, g, index, length, weight_decay, inverse, False)
    tl.store(sums + 2 * chunk, tl.sum(p_sum))
    tl.store(sums + 2 * chunk + 1, tl.sum(d_sum))


@triton.jit
def _trust_ratio(sums, first_chunk, count, trust):
    """q of a tensor; 1 if it has no chunks to sum."""
    p_sum, d_sum = tl.zeros((128,), tl.float32), tl.zeros((128,), tl.float32)
    for first in range(0, count, 128):
        index = first + tl.arange(0, 128)
        place = sums + 2 * (first_chunk + index)
        p_sum += tl.load(place, mask=index < count, other=0.0)
        d_sum += tl.load(place + 1, mask=index < count, other=0.0)
    p_norm, d_norm = tl.sqrt(tl.sum(p_sum)), tl.sqrt(tl.sum(d_sum))
    return tl.where((p_norm > 0) & (d_norm > 0), trust * p_norm / d_norm, 1.0)


@triton.jit
def _update(parameters, gradients, buffers, index, length, decay, inverse, ratio, rate, momentum, WHOLE: tl.constexpr):
    p = _load(parameters, index, length, WHOLE)
    d = _load(gradients, index, length, WHOLE) * inverse + decay * p
    m = momentum * _load(buffers, index, length, WHOLE) + ratio * d
    p -= rate * m
    if WHOLE:
        tl.store(buffers + index, m)
        tl.store(parameters + index, p)
    else:
        tl.store(buffers + index, m, mask=index < length)
        tl.store(parameters + index, p, mask=index < length)


@triton.jit
def update(
    tensors, gradients, chunks, sums, lr, lr_on_device, weight_decay, momentum, trust, grad_scale, found_inf,
    GRADIENT: tl.constexpr, ALIGNED: tl.constexpr, CHUNK: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Updates p and m of each chunk; one program a chunk. ``lr_on_device``, unless None, is taken instead of ``lr``."""
    chunk = tl.program_id(0)
    tensor, start = tl.load(chunks + 3 * chunk), tl.load(chunks + 3 * chunk + 1) * CHUNK
    length = tl.load(chunks + 3 * chunk + 2).to(tl.int32)
    if found_inf is not None:
        length = tl.where(tl.load(found_inf) != 0, 0, length)  # nothing is read, nothing written
    rate = lr
    if lr_on_device is not None:
        rate = tl.load(lr_on_device).to(tl.float32)
    row = tensors + 4 * tensor
    p = _pointer(tl.load(row), start, tl.float32, ALIGNED)
    m = _pointer(tl.load(row + 1), start, tl.float32, ALIGNED)
    g = _pointer(tl.load(gradients + tensor), start, GRADIENT, ALIGNED)
    count = tl.load(row + 3).to(tl.int32)
    ratio = _trust_ratio(sums, tl.load(row + 2), count, trust)
    decay = tl.where(count > 0, weight_decay, 0.0)
    inverse = _inverse(grad_scale)
    in_blocks = length // BLOCK * BLOCK
    for first in range(0, in_blocks, BLOCK):
        index = first + tl.arange(0, BLOCK)
        _update(p, g, m, index, length, decay, inverse, ratio, rate, momentum, True)
    if in_blocks < length:
        index = in_blocks + tl.arange(0, BLOCK)
        _update(p, g, m, index, length, decay, inverse, ratio, rate, momentum, False)
