"""SimCLR's criterion NT-Xent (Chen et al. 2020, equation 1) over the global batch, with its gradient.

In place of VICReg's in Table 4 of the paper. Shape letters: s slots, n samples of this rank, N samples of the
global batch, d channels, 2 the two sides of a pair, a anchors (all vectors of this rank), k keys (all vectors), 1 the
one term.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from vicregl_fast.losses.collectives import gather_samples, over_own_slots, own_rows, world_size

SMALLEST_NORM = 1e-4  # shorter vectors are not stretched to 1, so that gradients stay finite


@dataclass(frozen=True)
class Contrast:
    """The term of every slot.

    Attributes:
        values_s: this rank's shares; their means over ranks are the terms.
        gradient_sn2d: of the weighted sum of all terms with respect to this rank's samples, times W, since
            DistributedDataParallel averages gradients over ranks; None where none was asked for.
    """

    values_s: Tensor
    gradient_sn2d: Tensor | None


def contrast(z_sn2d: Tensor, temperature: float, weights_s: Tensor | None) -> Contrast:
    """The mean over the 2N vectors u of a slot of -log(exp(u·p/T) / sum over all others w of exp(u·w/T)).

    Vectors are L2-normalised, and p is the other side of u's pair. With at least as many slots as ranks, each rank
    forms some slots from all samples. With fewer, it forms the rows of its own samples; what the terms of other ranks
    add to its gradient follows from their normalisers, which are gathered in place of gradients.

    Args:
        z_sn2d: this rank's pairs in float32 or float64, the same number on every rank.
        temperature: T.
        weights_s: each slot's weight in the sum that is differentiated; None for no gradient.
    """
    slots, samples = z_sn2d.shape[:2]
    ranks = world_size()
    if slots < ranks:
        return _by_rows(gather_samples(z_sn2d), own_rows(samples), temperature, weights_s)

    def form(z_sN2d: Tensor, weights_1s: Tensor | None) -> tuple[Tensor, Tensor | None]:
        formed = _by_rows(z_sN2d, slice(None), temperature, None if weights_1s is None else weights_1s[0])
        return formed.values_s[None], formed.gradient_sn2d

    (values_s,), gradient_sn2d = over_own_slots(z_sn2d, None if weights_s is None else weights_s[None], form)
    return Contrast(values_s, gradient_sn2d)


def _by_rows(z_sN2d: Tensor, own: slice, temperature: float, weights_s: Tensor | None) -> Contrast:
    """Forms the similarities of the samples ``own`` with all samples."""
    batch = z_sN2d.shape[1]
    norms = torch.linalg.vector_norm(z_sN2d, dim=3, keepdim=True).clamp_min(SMALLEST_NORM)
    all_sN2d = z_sN2d / norms
    own_sn2d = all_sN2d[:, own]
    own_sad = own_sn2d.transpose(1, 2).flatten(1, 2)  # a anchors: the first sides, then the second
    all_skd = all_sN2d.transpose(1, 2).flatten(1, 2)  # k keys, likewise
    count = own_sn2d.shape[1]
    rows = torch.arange(batch, device=z_sN2d.device)[own]
    selves_1a1 = torch.cat([rows, batch + rows])[None, :, None]
    similarities_sak = torch.bmm(own_sad, all_skd.mT) / temperature
    # By scatter_, since an assignment would copy its number to the device, and the host would wait for that.
    similarities_sak.scatter_(2, selves_1a1.expand(len(own_sad), -1, 1), -torch.inf)
    normalisers_sa = torch.logsumexp(similarities_sak, 2)
    positives_sn = (own_sn2d[:, :, 0] * own_sn2d[:, :, 1]).sum(2) / temperature
    values_s = normalisers_sa.mean(1) - positives_sn.mean(1)
    if weights_s is None:
        return Contrast(values_s, None)
    # Vector a is the anchor of its own term and a key in the term of every other anchor k. The similarities of both are
    # the same, so the gradient is sum_k (softmax_a(k) + softmax_k(a)) u_k - 2 p_a, up to factors.
    normalisers_sk = normalisers_sa
    if count < batch:
        normalisers_sk = gather_samples(normalisers_sa.unflatten(1, (2, count)).transpose(1, 2))
        normalisers_sk = normalisers_sk.transpose(1, 2).flatten(1, 2)
    pulls = torch.exp(similarities_sak - normalisers_sa.unsqueeze(2))
    pulls += torch.exp(similarities_sak - normalisers_sk.unsqueeze(1))
    gradient = torch.bmm(pulls, all_skd).unflatten(1, (2, count)).transpose(1, 2) - 2 * own_sn2d.flip(2)
    ranks = batch / count
    gradient *= (ranks * weights_s / (2 * batch * temperature))[:, None, None, None]
    gradient -= own_sn2d * (gradient * own_sn2d).sum(3, keepdim=True)
    return Contrast(values_s, gradient / norms[:, own])
