"""What the processes of a recipe send in one step, by the sizes of its tensors."""

from dataclasses import dataclass

from torch import nn

from vicregl_fast.augment.recipe import view_recipes
from vicregl_fast.config import RunConfig
from vicregl_fast.devices import shapes_only
from vicregl_fast.losses.batch_statistics import choose_form, cost
from vicregl_fast.losses.plan import DirectionPlan, plan_directions
from vicregl_fast.models.backbone import feature_grid
from vicregl_fast.models.network import VICRegLNetwork
from vicregl_fast.models.unreached import freeze_unreached

BYTES_OF_A_GRADIENT = {"fp32": 4, "bf16": 2}


def bytes_of_gradients(network: nn.Module, allreduce: str) -> int:
    """Bytes of all gradients, in the number format in which they are added up."""
    learning = sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)
    return learning * BYTES_OF_A_GRADIENT[allreduce]


def sent_around_a_ring(size: float, world: int) -> float:
    """Bytes that each of ``world`` processes sends to add up ``size`` bytes: 2 (W - 1) / W times as many.

    A ring passes on the sums of parts and then the sums.
    """
    return 2 * (world - 1) / world * size


@dataclass(frozen=True)
class RecipeBytes:
    """What a recipe sends, known without training it.

    Attributes:
        config: the recipe.
        parameters: of its network.
        slots: of the local criterion, both sides of every match; 0 without it.
        views: that the global criterion compares; 0 without it.
        gradients: bytes of all gradients.
    """

    config: RunConfig
    parameters: int
    slots: int
    views: int
    gradients: int

    @classmethod
    def of(cls, config: RunConfig) -> "RecipeBytes":
        """Builds the network of a recipe in shapes alone.

        Raises:
            UserError: it cannot be built, or does not take the views.
        """
        alpha, recipes = config.loss.alpha, view_recipes(config.views)
        with shapes_only():
            network = VICRegLNetwork(config.model, alpha > 0, alpha < 1)
            sizes = {recipe.size for recipe in recipes}
            grids = {size: feature_grid(network.backbone, size, needs_cells=alpha < 1) for size in sizes}
        plan = plan_directions(config.loss, len(recipes))
        cells = [grids[recipe.size] ** 2 for recipe in recipes]
        views = len(recipes) if plan.pairs else 0
        parameters = sum(each.numel() for each in network.parameters())
        freeze_unreached(network, recipes[0].size)
        gradients = bytes_of_gradients(network, config.train.allreduce)
        return cls(config, parameters, _slots(plan, cells), views, gradients)

    def loss(self, world: int) -> float:
        """Bytes that the loss moves through the link of the busiest of ``world`` processes in a step."""
        samples, model = self.config.batch_size // world, self.config.model
        moved = 0.0
        for slots, channels in ((self.views, model.expander), (self.slots, model.projector)):
            if slots and world > 1:
                moved += cost(choose_form(slots, samples, channels, world), slots, samples, channels, world).bytes_moved
        return moved


def _slots(plan: DirectionPlan, cells: list[int]) -> int:
    directions = (*plan.location, *plan.feature)
    return 2 * sum(min(each.gamma or cells[each.query], cells[each.query]) for each in directions)
