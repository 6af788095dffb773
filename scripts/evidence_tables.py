"""What the study of ``scripts/evidence.sh`` trains, what the paper publishes of it, and how both are told.

Bardes, Ponce, LeCun: VICRegL (NeurIPS 2022), Figure 2 and Tables 3, 4, 6 and 7: linear ImageNet top-1 and frozen mIoU
on Pascal VOC. A view of this study has 36 cells where the paper's has 49, and its numbers of matches are about the same
shares of them.
"""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from vicregl_fast.evaluation.report import spread

SETTINGS: dict[str, tuple[str, ...]] = {
    "alpha_1": ("--loss.alpha", "1"),
    "alpha_0.75": (),
    "alpha_0.9": ("--loss.alpha", "0.9"),
    "alpha_0.5": ("--loss.alpha", "0.5"),
    "location": ("--loss.feature", "false"),
    "feature": ("--loss.location", "false"),
    "simclr": ("--loss.alpha", "1", "--loss.criterion", "simclr"),
    "simclr_l": ("--loss.criterion", "simclr"),
    "gamma_6": ("--loss.gamma_large", "6"),
    "gamma_36": ("--loss.gamma_large", "36"),
    "local_i": ("--loss.local_variance", "0", "--loss.local_covariance", "0"),
    "local_vi": ("--loss.local_covariance", "0"),
}
"""Options of each training, most telling first; the defaults are α 0.75, both ways of matching, 12 matches."""

TABLES: dict[str, list[tuple[str, str, float, float]]] = {
    "Figure 2 (ConvNeXt-S)": [
        ("VICReg, α 1", "alpha_1", 73.9, 56.0),
        ("α 0.9", "alpha_0.9", 73.7, 59.4),
        ("α 0.75", "alpha_0.75", 72.7, 60.3),
        ("α 0.5", "alpha_0.5", 71.0, 60.6),
    ],
    "Table 3 (ConvNeXt-S)": [
        ("no matches", "alpha_1", 73.8, 56.0),
        ("by location, L_s", "location", 73.5, 58.9),
        ("by feature, L_d", "feature", 73.6, 57.7),
        ("both", "alpha_0.75", 73.6, 60.3),
    ],
    "Table 4 (ResNet-50)": [
        ("VICReg", "alpha_1", 71.1, 47.8),
        ("VICRegL", "alpha_0.75", 70.4, 55.9),
        ("SimCLR", "simclr", 67.5, 45.9),
        ("SimCLR-L", "simclr_l", 66.6, 51.3),
    ],
    "Table 6 (ConvNeXt-S)": [
        ("6 of 36 matches (paper: 10 of 49)", "gamma_6", 73.4, 59.2),
        ("12 of 36 matches (20 of 49)", "alpha_0.75", 73.6, 60.3),
        ("all 36 matches (49 of 49)", "gamma_36", 73.5, 59.6),
    ],
    "Table 7 (ConvNeXt-S)": [
        ("local I", "local_i", 73.4, 59.0),
        ("local V and I", "local_vi", 73.3, 58.2),
        ("local V, I and C", "alpha_0.75", 73.6, 60.3),
    ],
}
"""By the paper's table: our row's name, its setting, and the published top-1 and mIoU in percent."""


@dataclass(frozen=True)
class Figures:
    """k-NN accuracy and frozen mIoU in percent, one of each for a seed."""

    accuracy: Sequence[float]
    miou: Sequence[float]


def format_tables(figures: Mapping[str, Figures]) -> str:
    """All tables in Markdown: mean and standard deviation (n - 1) over seeds; what has not been judged is a dash."""
    trained = max((len(each.miou) for each in figures.values()), default=0)
    lines = [
        f"At most {trained} seeds a row; n is how many. Ours: k-NN / frozen mIoU; paper: linear top-1 / frozen mIoU."
    ]
    tables = {**TABLES, "Untrained": [("random network", "random", None, None)]}
    for title, rows in tables.items():
        lines += [
            "",
            f"| {title} | n | k-NN | mIoU | paper, top-1 | paper, mIoU |",
            "| --- | --- | --- | --- | --- | --- |",
        ]
        for label, name, top1, published in rows:
            of = figures[name]
            paper = [f"{value:.1f}" if value is not None else "" for value in (top1, published)]
            lines.append(f"| {label} | {len(of.miou)} | {told(of.accuracy)} | {told(of.miou)} | {' | '.join(paper)} |")
    return "\n".join(lines)


def told(values: Sequence[float]) -> str:
    """Mean and standard deviation; of one value, itself; of none, a dash."""
    if not values:
        return "-"
    mean = f"{statistics.mean(values):.1f}"
    return mean if len(values) == 1 else f"{mean} ± {spread(values):.1f}"


def plot_trade_off(figures: Mapping[str, Figures], path: Path) -> None:
    """Draws mIoU against the accuracy of classification for Figure 2's settings: ours left, the paper's right."""
    from matplotlib.figure import Figure

    sheet = Figure(figsize=(9, 4), layout="constrained")
    ours, paper = sheet.subplots(1, 2)
    for label, name, top1, published in TABLES["Figure 2 (ConvNeXt-S)"]:
        paper.plot(top1, published, "o", label=label)
        of = figures[name]
        if of.miou:
            spreads = [spread(each) for each in (of.accuracy, of.miou)]
            x, y = statistics.mean(of.accuracy), statistics.mean(of.miou)
            ours.errorbar(x, y, yerr=spreads[1], xerr=spreads[0], fmt="o", capsize=3, label=label)
        else:
            ours.plot([], [], "o", label=label)
    ours.set(
        title="ResNet-18, drawn pictures", xlabel="k-NN accuracy (%)", ylabel="frozen linear segmentation, mIoU (%)"
    )
    paper.set(title="paper: ConvNeXt-S, ImageNet", xlabel="linear top-1 (%)", ylabel="frozen mIoU on Pascal VOC (%)")
    for axes in (ours, paper):
        axes.grid(alpha=0.3)
        axes.legend()
    sheet.savefig(path, dpi=120)
