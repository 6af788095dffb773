"""The network, loss and optimiser of a run, and their state in a checkpoint."""

import warnings
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.distributed.algorithms.ddp_comm_hooks.default_hooks import bf16_compress_hook
from torch.nn.parallel import DistributedDataParallel

from dataprep.errors import UserError, reason_of
from dataprep.notes import note
from vicregl_fast.augment.recipe import ViewRecipe, view_recipes
from vicregl_fast.config import RunConfig, TrainingConfig
from vicregl_fast.losses.vicregl import VICRegLLoss
from vicregl_fast.models.backbone import feature_grid
from vicregl_fast.models.network import VICRegLNetwork
from vicregl_fast.models.passes import compile_backbone, recompute_activations
from vicregl_fast.models.sync_batchnorm import synchronise_batchnorm
from vicregl_fast.models.unreached import freeze_unreached
from vicregl_fast.optim.build import build_optimizer
from vicregl_fast.training.precision import choose_precision
from vicregl_fast.training.processes import Processes
from vicregl_fast.training.recorded_step import CudaGraphs, RecordedTrainingStep, records_whole_steps
from vicregl_fast.training.step import TrainingStep
from vicregl_fast.weights.loading import start_from


@dataclass(frozen=True)
class Learner:
    """The parts of a run that learn, and the views that they learn from.

    Attributes:
        network: the network itself, neither compiled nor wrapped.
        criterion: the loss.
        step: trains the network on one batch.
        recipes: one recipe for each view.
        grids: number of cells along a side of each view's feature map, measured on the backbone.
    """

    network: VICRegLNetwork
    criterion: VICRegLLoss
    step: TrainingStep
    recipes: tuple[ViewRecipe, ...]
    grids: tuple[int, ...]

    def state(self) -> dict[str, Any]:
        """Returns all state that training changes, except that of the random generators."""
        return {
            "network": self.network.state_dict(),
            "optimizer": self.step.optimizer.state_dict(),
            "scaler": self.step.scaler.state_dict(),
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Restores what ``state`` returned.

        Raises:
            UserError: the state belongs to another network.
        """
        try:
            self.network.load_state_dict(state["network"])
        except RuntimeError as error:
            raise UserError(
                f"the checkpoint is of another network ({reason_of(error)}): take the settings and classes "
                "that the run began with, or choose another --run_dir"
            ) from error
        self.step.optimizer.load_state_dict(state["optimizer"])
        if state["scaler"]:  # empty if the state was saved by a run that does not train in fp16
            self.step.scaler.load_state_dict(state["scaler"])


def build_learner(config: RunConfig, classes: int, processes: Processes, starts: bool = False) -> Learner:
    """Builds network, loss and optimiser; the network is drawn from the run's seed, the same on every process.

    Afterwards torch's generators are seeded anew, differently on each process.

    Args:
        config: the configuration of the run.
        classes: number of classes of the online classifier; 0 for no classifier.
        processes: this process and its device.
        starts: whether the run is new, and so takes ``model.weights`` if they are given; rank 0 reads them for all.

    Raises:
        UserError: the network cannot be built, does not take the views, or the weights do not fit it.
    """
    if config.views.recipe == "multicrop" and not config.model.backbone_config.is_convnext:
        note(
            "multi-crop is published for ConvNeXts, and its authors could not make it work with a ResNet; "
            f"for {config.model.backbone} rather take --views.recipe two"
        )
    torch.manual_seed(config.seed)
    alpha, device = config.loss.alpha, processes.device
    network = VICRegLNetwork(config.model, alpha > 0, alpha < 1, classes).to(device)
    if starts and config.model.weights is not None:
        processes.first(lambda: start_from(network, config.model))
        processes.copy_from_first(network.state_dict().values())
    if config.train.channels_last:
        network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    recipes = view_recipes(config.views)
    grids = {recipe.size: _checked_grid(network, recipe.size, alpha < 1) for recipe in recipes}
    criterion = VICRegLLoss(config.loss, len(recipes))
    recorded = records_whole_steps(config.train, processes)
    optimizer = build_optimizer(config.optim, network, rate_on_device=recorded)
    # After the optimiser is built, which numbers its state by the parameters that it was given.
    unreached = freeze_unreached(network, recipes[0].size)
    if unreached:
        note(f"{config.model.backbone}: no output depends on {', '.join(unreached[:3])} ...; they stay as drawn")
    wrapped, precision = _wrap(network, config.train, processes), choose_precision(config.train.precision, device)
    clip_norm, classifier = config.train.clip_norm, network.classifier
    step: TrainingStep
    if recorded:
        step = RecordedTrainingStep(CudaGraphs(device), wrapped, criterion, optimizer, precision, clip_norm, classifier)
    else:
        step = TrainingStep(wrapped, criterion, optimizer, precision, clip_norm, classifier, config.train.chunk)
    torch.manual_seed(config.seed + 1 + processes.rank)  # drop path draws from it, on each process differently
    return Learner(network, criterion, step, recipes, tuple(grids[recipe.size] for recipe in recipes))


def _checked_grid(network: VICRegLNetwork, size: int, matched: bool) -> int:
    """Cells along a side of the map of a view of this size; a note says if the local criterion has only one to match.

    ``matched``: whether there is a local criterion.
    """
    grid = feature_grid(network.backbone, size, needs_cells=matched)
    if matched and grid == 1:
        note(
            f"the feature map of a view of {size} pixels has one cell, so that the local criterion has no choice of "
            "matches in it: give larger views or a smaller --model.output_stride"
        )
    return grid


def _wrap(network: VICRegLNetwork, config: TrainingConfig, processes: Processes) -> nn.Module:
    synchronised = config.sync_batchnorm and processes.world > 1
    if synchronised:
        network = synchronise_batchnorm(network, processes.device)
    if config.checkpoint_activations:
        recompute_activations(network.backbone)
    if config.compile:
        compile_backbone(network.backbone, config.cuda_graphs and processes.world > 1)
    if processes.world == 1:
        return network
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # the newest torch calls broadcast_buffers by another name
        parallel = DistributedDataParallel(
            network,
            device_ids=[processes.device.index] if processes.device.type == "cuda" else None,
            broadcast_buffers=not synchronised,  # the only buffers that ranks change are BatchNorm's statistics
            gradient_as_bucket_view=True,
            static_graph=config.chunk is None,  # else all but the last chunk keep their gradients to themselves
        )
    if config.allreduce == "bf16":
        parallel.register_comm_hook(None, bf16_compress_hook)
    return parallel
