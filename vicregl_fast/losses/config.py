"""What a user can set about the loss, and the switches that tell the presets apart."""

import math
from dataclasses import dataclass, fields
from typing import Literal

from dataprep.errors import UserError

GammaBy = Literal["query", "position"]
FeatureKeeps = Literal["gamma", "all"]
CriterionName = Literal["vicreg", "simclr"]


@dataclass(frozen=True)
class Switches:
    """Three choices that the paper's text and the released code make differently.

    Attributes:
        gamma_by: what decides how many matches a direction keeps: its query view (large or small), or its position in
            the ordered pair (i, j), where i to j keeps gamma_large and j to i keeps gamma_small.
        feature_keeps: feature matching keeps gamma matches, or one for every cell of the query view.
        mirror_flips: cell positions in a flipped view are mirrored before location matching.
    """

    gamma_by: GammaBy
    feature_keeps: FeatureKeeps
    mirror_flips: bool


PRESETS = {
    "paper": Switches(gamma_by="query", feature_keeps="gamma", mirror_flips=True),
    "official": Switches(gamma_by="position", feature_keeps="all", mirror_flips=False),
}


@dataclass(frozen=True)
class VICReg:
    """VICReg's criterion.

    Attributes:
        invariance, variance, covariance: coefficients of its terms (the paper's lambda, mu and nu).
    """

    invariance: float
    variance: float
    covariance: float


@dataclass(frozen=True)
class SimCLR:
    """SimCLR's criterion NT-Xent, in VICReg's place (paper, Table 4).

    Attributes:
        temperature: by which similarities are divided.
    """

    temperature: float


Criterion = VICReg | SimCLR


@dataclass(frozen=True)
class LossConfig:
    """The VICRegL loss (paper, equations 4 to 6): the settings ``--loss.*``.

    Attributes:
        preset: ``paper`` follows the text, ``official`` what the released code does by default.
        alpha: weight of the global criterion, in 0..1 (Figure 2); the local criterion has 1 - alpha.
        location: match cells by their positions (Table 3, L_s).
        feature: match cells by their embeddings (Table 3, L_d); with both off alpha must be 1.
        criterion: what compares embeddings: vicreg, or simclr's NT-Xent (Table 4).
        local_criterion: what compares matched cells; null: the same as criterion.
        temperature: of simclr.
        gamma_large: matches kept of a direction whose query view is large, at most its cells (but see gamma_by).
        gamma_small: matches kept of a direction whose query view is small, at most its cells (but see gamma_by).
        invariance: coefficient of vicreg's invariance term.
        variance: coefficient of vicreg's variance term.
        covariance: coefficient of vicreg's covariance term.
        local_invariance: coefficient of the invariance of matched cells; null: the same as invariance.
        local_variance: coefficient of their variance; null: the same as variance (Table 7 switches it off).
        local_covariance: coefficient of their covariance; null: the same as covariance (Table 7 switches it off).
        gamma_by: whether the query view or the position in the pair decides between gamma_large and gamma_small; null:
            what the preset says.
        feature_keeps: whether feature matching keeps gamma matches or all cells; null: what the preset says.
        mirror_flips: whether positions in a flipped view are mirrored; null: what the preset says.

    Raises:
        UserError: for an option outside its range.
    """

    preset: Literal["paper", "official"] = "paper"
    alpha: float = 0.75
    location: bool = True
    feature: bool = True
    criterion: CriterionName = "vicreg"
    local_criterion: CriterionName | None = None
    temperature: float = 0.1
    gamma_large: int = 20
    gamma_small: int = 4
    invariance: float = 25.0
    variance: float = 25.0
    covariance: float = 1.0
    local_invariance: float | None = None
    local_variance: float | None = None
    local_covariance: float | None = None
    gamma_by: GammaBy | None = None
    feature_keeps: FeatureKeeps | None = None
    mirror_flips: bool | None = None

    def __post_init__(self) -> None:
        criteria = ("vicreg", "simclr")
        choices: dict[str, tuple[str | None, ...]] = {
            "preset": tuple(PRESETS),
            "criterion": criteria,
            "local_criterion": (*criteria, None),
            "gamma_by": ("query", "position", None),
            "feature_keeps": ("gamma", "all", None),
        }
        for name, allowed in choices.items():
            if getattr(self, name) not in allowed:
                known = " or ".join(str(choice) for choice in allowed if choice)
                raise UserError(f"loss.{name} is {getattr(self, name)!r}: set it to {known}")
        if not 0.0 <= self.alpha <= 1.0:
            raise UserError(f"loss.alpha is {self.alpha}: set it between 0 (local only) and 1 (global only)")
        if self.alpha < 1 and not (self.location or self.feature):
            raise UserError("loss.location and loss.feature are both off: switch one on, or set loss.alpha to 1")
        if not (math.isfinite(self.temperature) and self.temperature > 0):
            raise UserError(f"loss.temperature is {self.temperature}: set it above 0")
        for name in ("gamma_large", "gamma_small"):
            if getattr(self, name) < 1:
                raise UserError(f"loss.{name} is {getattr(self, name)}: set it to 1 or more matches")
        coefficients = [field.name for field in fields(VICReg)]
        for name in (*coefficients, *(f"local_{each}" for each in coefficients)):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value >= 0.0):
                raise UserError(f"loss.{name} is {value}: set it to 0 (off) or a finite number above")

    def switches(self) -> Switches:
        """The preset's switches, with those that were set alone in their place."""
        preset = PRESETS[self.preset]
        return Switches(
            gamma_by=preset.gamma_by if self.gamma_by is None else self.gamma_by,
            feature_keeps=preset.feature_keeps if self.feature_keeps is None else self.feature_keeps,
            mirror_flips=preset.mirror_flips if self.mirror_flips is None else self.mirror_flips,
        )

    def of_global(self) -> Criterion:
        """What compares the global embeddings."""
        if self.criterion == "simclr":
            return SimCLR(self.temperature)
        return VICReg(self.invariance, self.variance, self.covariance)

    def of_local(self) -> Criterion:
        """What compares matched cells."""
        if (self.local_criterion or self.criterion) == "simclr":
            return SimCLR(self.temperature)
        return VICReg(
            self.invariance if self.local_invariance is None else self.local_invariance,
            self.variance if self.local_variance is None else self.local_variance,
            self.covariance if self.local_covariance is None else self.local_covariance,
        )
