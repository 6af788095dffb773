"""A model of the time that training takes on more GPUs than there are, from measured parts and stated bandwidths.

Every figure is a projection, and says so in its name. The model is, for W GPUs that share a global batch of B:

    compute    = B / W / r              r images/s of one GPU, measured, as if its share took as long per image
    loading    = compute (1 / q - 1)    q the real over the synthetic rate, measured, at most 1; 1 if it is not known
                 or B / W / l - compute l = C / N / m images/s that the cores load for one GPU: N GPUs of a machine
                                        share its C cores, of one of which an image takes m seconds, measured;
                                        the longer of the two
    gradients  = 2 (W - 1) / W G / b    a ring; G bytes of gradients, b bytes/s of a GPU's slowest link
    loss       = L / b                  L bytes of the loss's collectives, by the table of ``losses.batch_statistics``
    step       = compute + loading + loss + (what of gradients does not overlap)

DistributedDataParallel sends gradients while the backward pass lasts: ``no_overlap`` counts all of their time,
``full_overlap`` only what is longer than the backward pass. What is ``LEFT_OUT`` makes both of them too short.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from dataprep.errors import UserError
from vicregl_fast.benchmarks.measurements import Measurement
from vicregl_fast.benchmarks.scaling_bytes import RecipeBytes, sent_around_a_ring

LEFT_OUT = (
    "waiting for the slowest GPU, latency, what BatchNorm's statistics send, and what the loss of more samples "
    "computes: each makes real steps longer than both cases"
)
GIGA = 1e9


@dataclass(frozen=True)
class Cluster:
    """What connects the GPUs.

    Attributes:
        gpus_per_node: of one machine.
        inside: GB/s that a GPU sends to another in its machine.
        between: GB/s that a GPU sends to another machine.
        cores: of one machine, which load for all its GPUs; None if that is not known.

    Raises:
        UserError: a bandwidth is no number above 0.
    """

    gpus_per_node: int
    inside: float
    between: float
    cores: int | None = None

    def __post_init__(self) -> None:
        if not all(0 < speed < math.inf for speed in (self.inside, self.between)):
            raise UserError(f"--inside {self.inside:g} and --between {self.between:g} are GB/s, and must be above 0")

    def bytes_per_second(self, gpus: int) -> float:
        """Of the slowest link of a ring of so many GPUs."""
        return GIGA * (self.inside if gpus <= self.gpus_per_node else min(self.inside, self.between))


@dataclass(frozen=True)
class Run:
    """What is trained.

    Attributes:
        images: in an epoch.
        epochs: in the run.
        batch_size: global.

    Raises:
        UserError: an epoch has no whole batch.
    """

    images: int
    epochs: int
    batch_size: int

    def __post_init__(self) -> None:
        if self.images < self.batch_size:
            raise UserError(f"an epoch of {self.images} images has no batch of {self.batch_size}: give other --images")


@dataclass(frozen=True)
class Parts:
    """What was measured on one GPU.

    Attributes:
        images_per_second: of a training step.
        backward_share: of the backward pass in the step.
        loading: the rate with loading over that without, where all cores load for one GPU.
        loading_cost: milliseconds of a core that loading an image takes; None if that is not known.
    """

    images_per_second: float
    backward_share: float
    loading: float = 1.0
    loading_cost: float | None = None

    def loaded_for_a_gpu(self, cluster: Cluster, gpus: int) -> float | None:
        """Images/s that the cores load for each of so many GPUs; None if it is not known."""
        if self.loading_cost is None or cluster.cores is None:
            return None
        return cluster.cores / min(gpus, cluster.gpus_per_node) / (self.loading_cost / 1e3)


def project(parts: Parts, sent: RecipeBytes, cluster: Cluster, run: Run, gpus: int) -> Iterator[Measurement]:
    """Projects one step and the whole run on so many GPUs; ``projection.GPUS_gpus.*``.

    Raises:
        UserError: the GPUs cannot share the batch with at least two images each.
    """
    if run.batch_size % gpus or run.batch_size // gpus < 2:
        raise UserError(f"{gpus} GPUs cannot share a batch of {run.batch_size}: give other --gpus, or --batch_size")
    name = f"projection.{gpus}_gpus"
    link = cluster.bytes_per_second(gpus)
    compute = run.batch_size / gpus / parts.images_per_second
    gradients = sent_around_a_ring(sent.gradients, gpus) / link
    loss = sent.loss(gpus) / link
    loaded = parts.loaded_for_a_gpu(cluster, gpus)
    computed_and_loaded = max(compute / parts.loading, 0.0 if loaded is None else run.batch_size / gpus / loaded)
    loading = computed_and_loaded - compute
    yield _projected(f"{name}.compute", compute, "s")
    yield _projected(f"{name}.loading", loading, "s")
    yield _projected(f"{name}.gradients", gradients, "s")
    yield _projected(f"{name}.loss", loss, "s")
    hidden = {"no_overlap": 0.0, "full_overlap": parts.backward_share * compute}
    for case, seconds in hidden.items():
        step = compute + loading + loss + max(0.0, gradients - seconds)
        yield _projected(f"{name}.{case}.step", step, "s")
        yield _projected(f"{name}.{case}.images_per_second", run.batch_size / step, "images/s")
        yield _projected(f"{name}.{case}.compute_share", compute / step, "x")
        hours = run.epochs * (run.images // run.batch_size) * step / 3600
        yield _projected(f"{name}.{case}.hours", hours, "h")


def assumptions(parts: Parts, sent: RecipeBytes, cluster: Cluster, run: Run) -> Iterator[Measurement]:
    """What the projection stands on, ``projection.assumed.*``."""
    yield _projected("projection.assumed.images_per_second_of_a_gpu", parts.images_per_second, "images/s")
    yield _projected("projection.assumed.backward_share", parts.backward_share, "x")
    yield _projected("projection.assumed.real_over_synthetic", parts.loading, "x")
    if (loaded := parts.loaded_for_a_gpu(cluster, cluster.gpus_per_node)) is not None:
        assert cluster.cores is not None
        yield _projected("projection.assumed.cores_per_node", cluster.cores, "cores")
        yield _projected("projection.assumed.loaded_for_a_gpu_of_a_full_node", loaded, "images/s")
    yield _projected("projection.assumed.gradients", sent.gradients / GIGA, "GB")
    yield _projected("projection.assumed.gpus_per_node", cluster.gpus_per_node, "GPUs")
    yield _projected("projection.assumed.inside_node", cluster.inside, "GB/s")
    yield _projected("projection.assumed.between_nodes", cluster.between, "GB/s")
    yield _projected("projection.assumed.images", run.images, "images")
    yield _projected("projection.assumed.epochs", run.epochs, "epochs")
    yield _projected("projection.assumed.batch_size", run.batch_size, "images")


def _projected(name: str, value: float, unit: str) -> Measurement:
    return Measurement.of(name, [value], unit)
