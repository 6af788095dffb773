"""The whole loss against golden values, and against a direct formulation, with gradients."""

from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
from torch import Tensor

from dataprep.errors import UserError
from tests.losses import plain
from tests.losses.inputs import drawn, location_matches, with_gradients
from vicregl_fast.benchmarks.losses import LossInputs, LossSizes
from vicregl_fast.losses.config import LossConfig, SimCLR, VICReg
from vicregl_fast.losses.terms import names_of
from vicregl_fast.losses.vicregl import VICRegLLoss


@pytest.mark.parametrize("file", ["two_views", "multi_crop"])
@pytest.mark.parametrize("key, keeps", [("all_cells", None), ("top_gamma", "gamma")])
def test_official_preset_reproduces_golden_values(
    golden: Path, file: str, key: str, keeps: Literal["gamma"] | None
) -> None:
    stored = np.load(golden / f"{file}.npz")
    views = sum(name.startswith("maps") for name in stored)

    def read(name: str) -> list[Tensor]:
        return [torch.from_numpy(stored[f"{name}{view}"]) for view in range(views)]

    positions = [cells.flatten(1, 2) for cells in read("positions")]
    config = LossConfig(preset="official", gamma_large=5, gamma_small=2, feature_keeps=keeps)
    terms, gradients = with_gradients(config, read("embedding"), read("maps"), positions)

    for i, name in enumerate(("invariance", "variance", "covariance")):
        local = terms.by_name[f"local_location_{name}"] + terms.by_name[f"local_feature_{name}"]
        assert abs(float(local) - stored[f"{key}_local_inv_var_cov"][i]) < 1e-9
        assert abs(float(terms.by_name[f"global_{name}"]) - stored[f"{key}_global_inv_var_cov"][i]) < 1e-9
    assert abs(terms.total.item() - float(stored[f"{key}_total_alpha_0.75"])) < 1e-9
    expected = read(f"{key}_grad_embedding") + read(f"{key}_grad_maps")
    torch.testing.assert_close(gradients, expected, rtol=0, atol=1e-9)


CASES = {
    "two views, n above d": (6, (4, 4), 3, 5, (5, 2)),
    "two views, n below d": (3, (3, 3), 7, 9, (4, 2)),
    "uneven large grids": (4, (4, 3), 4, 6, (5, 2)),
    "multi-crop": (5, (4, 4, 2, 3), 4, 6, (5, 2)),
    "gamma beyond the cells": (4, (3, 3, 2), 5, 6, (50, 20)),
    "gamma beyond the small views' cells only": (4, (3, 3, 2), 5, 6, (6, 4)),
    "batch of two": (2, (3, 3, 2), 4, 6, (4, 2)),
}


@pytest.mark.parametrize("preset", ["paper", "official"])
@pytest.mark.parametrize("case", CASES)
def test_agrees_with_the_direct_formulation(case: str, preset: Literal["paper", "official"]) -> None:
    samples, grids, d, big_d, gammas = CASES[case]
    embeddings, maps, positions = drawn(samples, grids, d, big_d, seed=len(case))
    for leaf in (*embeddings, *maps):
        leaf.requires_grad_()
    of_global = plain.global_loss(embeddings)
    of_local = plain.local_loss(maps, positions, preset, gammas)
    for alpha in (0.0, 0.75, 1.0):
        expected = alpha * of_global + (1 - alpha) * of_local
        expected_gradients = torch.autograd.grad(
            expected, (*embeddings, *maps), retain_graph=True, materialize_grads=True
        )
        config = LossConfig(preset=preset, alpha=alpha, gamma_large=gammas[0], gamma_small=gammas[1])
        z_views, map_views = [z.detach() for z in embeddings], [m.detach() for m in maps]
        terms, gradients = with_gradients(config, z_views, map_views, positions)
        assert terms.total.dtype == torch.float64
        assert abs((terms.total - expected).item()) < 1e-9
        torch.testing.assert_close(gradients, list(expected_gradients), rtol=0, atol=1e-9)

        single, single_gradients = with_gradients(
            config, [z.float() for z in z_views], [m.float() for m in map_views], positions
        )
        assert single.total.dtype == torch.float32
        assert abs((single.total - expected).item()) < 1e-4 * expected.item()
        for gradient, wanted in zip(single_gradients, expected_gradients, strict=True):
            torch.testing.assert_close(gradient.double(), wanted, rtol=1e-4, atol=1e-5)


SWITCHES = {
    "alpha of Figure 2": {"alpha": 0.9},
    "L_s of Table 3": {"feature": False},
    "L_d of Table 3": {"location": False},
    "SimCLR-L of Table 4": {"criterion": "simclr"},
    "SimCLR globally": {"criterion": "simclr", "local_criterion": "vicreg", "temperature": 0.5},
    "SimCLR locally": {"local_criterion": "simclr"},
    "I of Table 7": {"local_variance": 0.0, "local_covariance": 0.0},
    "VI of Table 7": {"local_covariance": 0.0},
    "coefficients": {"invariance": 3.0, "variance": 5.0, "covariance": 2.0, "local_invariance": 7.0},
    "gamma of Table 6": {"gamma_large": 1, "gamma_small": 3},
    "all cells": {"gamma_large": 16, "gamma_small": 9},
}


@pytest.mark.parametrize("grids", [(4, 4), (4, 4, 2, 2, 3)])
@pytest.mark.parametrize("switch", SWITCHES)
def test_every_switch_agrees_with_its_definition(switch: str, grids: tuple[int, ...]) -> None:
    config = LossConfig(**{"gamma_large": 5, "gamma_small": 2, **SWITCHES[switch]})
    inputs = drawn(5, grids, 4, 7, seed=3)
    leaves = [[tensor.clone().requires_grad_() for tensor in tensors] for tensors in inputs[:2]]

    def local_vicreg(a: Tensor, b: Tensor) -> Tensor:
        weighed = config.of_local()
        assert isinstance(weighed, VICReg)
        variance, covariance = (plain.v(a) + plain.v(b)) / 2, (plain.c(a) + plain.c(b)) / 2
        return weighed.invariance * plain.s(a, b) + weighed.variance * variance + weighed.covariance * covariance

    def local_simclr(a: Tensor, b: Tensor) -> Tensor:
        return plain.nt_xent(a, b, config.temperature)

    compare = local_simclr if isinstance(config.of_local(), SimCLR) else local_vicreg
    by = tuple(kind for kind in ("location", "feature") if getattr(config, kind))
    gammas = (config.gamma_large, config.gamma_small)
    local = plain.local_loss(leaves[1], inputs[2], "paper", gammas, by, compare)
    if config.criterion == "simclr":
        whole = plain.global_loss(leaves[0], "simclr", config.temperature)
    else:
        coefficients = (config.invariance, config.variance, config.covariance)
        whole = plain.global_loss(leaves[0], coefficients=coefficients)
    expected = config.alpha * whole + (1 - config.alpha) * local
    expected.backward()
    terms, gradients = with_gradients(config, *inputs)
    assert terms.total.item() == pytest.approx(expected.item(), rel=1e-9)
    torch.testing.assert_close(gradients, [leaf.grad for leaf in leaves[0] + leaves[1]], rtol=1e-9, atol=1e-9)
    location_terms = [name for name in terms.by_name if name.startswith("local_location")]
    assert len(location_terms) == (len(names_of(config.of_local())) if config.location else 0)


@pytest.mark.parametrize("grids", [(7, 7), (7, 7, 3, 3)])
@pytest.mark.parametrize("gamma_large", [20, 49])
@pytest.mark.parametrize("preset", ["paper", "official"])
def test_the_direct_formulation_of_the_benchmark_is_the_loss(
    grids: tuple[int, ...], gamma_large: int, preset: Literal["paper", "official"]
) -> None:
    for alpha in (0.0, 1.0):
        config = LossConfig(alpha=alpha, gamma_large=gamma_large, preset=preset)
        inputs = LossInputs(LossSizes(24, grids, 40, 16), config, torch.device("cpu"))
        ours = inputs.ours(), [leaf.grad for leaf in (*inputs.embeddings, *inputs.maps)]
        direct = inputs.direct(), [leaf.grad for leaf in (*inputs.embeddings, *inputs.maps)]
        torch.testing.assert_close(ours, direct, rtol=1e-4, atol=1e-6)


def test_local_regularisation_can_be_switched_off() -> None:
    """Table 7: invariance alone, with the global criterion as it was."""
    inputs = drawn(4, (3, 3), 4, 6, 2)
    full, _ = with_gradients(LossConfig(), *inputs)
    bare, _ = with_gradients(LossConfig(local_variance=0.0, local_covariance=0.0), *inputs)
    for name, value in bare.by_name.items():
        off = name.startswith("local") and not name.endswith("invariance")
        assert float(value) == (0.0 if off else float(full.by_name[name]))


@pytest.mark.parametrize("alpha", [0.0, 1.0])
def test_a_single_sample_says_what_to_do(alpha: float) -> None:
    with pytest.raises(ValueError, match="at least 2 samples in the global batch, not 1: raise --batch_size"):
        with_gradients(LossConfig(alpha=alpha), *drawn(1, (3, 3), 4, 6, 5))


def test_heads_of_weight_zero_are_not_needed() -> None:
    embeddings, maps, positions = drawn(4, (3, 3), 4, 6, 6)
    whole = VICRegLLoss(LossConfig(alpha=1.0), 2)
    assert float(whole(embeddings, None, {}).total) == pytest.approx(float(plain.global_loss(embeddings)))
    local = VICRegLLoss(LossConfig(alpha=0.0, gamma_large=5), 2)
    total = local(None, maps, location_matches(local.plan, positions)).total
    assert float(total) == pytest.approx(float(plain.local_loss(maps, positions, "paper", (5, 4))))


def test_a_missing_view_is_named() -> None:
    embeddings, maps, _ = drawn(4, (3, 3), 4, 6, 7)
    with pytest.raises(ValueError, match="for 2 views and got 1 embeddings"):
        VICRegLLoss(LossConfig(), 2)(embeddings[:1], maps, {})


@pytest.mark.parametrize(
    "options, message",
    [
        ({"alpha": 1.5}, "loss.alpha is 1.5: set it between 0"),
        ({"gamma_small": 0}, "loss.gamma_small is 0: set it to 1 or more"),
        ({"variance": -1.0}, "loss.variance is -1.0: set it to 0"),
        ({"local_covariance": float("nan")}, "loss.local_covariance is nan"),
        ({"location": False, "feature": False}, "loss.location and loss.feature are both off"),
        ({"criterion": "byol"}, "loss.criterion is 'byol': set it to vicreg or simclr"),
        ({"temperature": 0.0}, "loss.temperature is 0.0: set it above 0"),
        ({"preset": "mine"}, "loss.preset is 'mine': set it to paper or official"),
        ({"gamma_by": "size"}, "loss.gamma_by is 'size': set it to query or position"),
    ],
)
def test_wrong_options_are_refused(options: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        LossConfig(**options)
