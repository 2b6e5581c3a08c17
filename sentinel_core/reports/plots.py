"""Plots of a model's figures, as PNG files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sentinel_core.evaluation.curves import Curve, Reliability
from sentinel_core.evaluation.metrics import Confusion

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_DPI: Final = 120
_TOP: Final = 25
_INK: Final = "#1f4e79"
_GUIDE: Final = "#9aa5b1"


def plot_importance(path: Path, importance: Mapping[str, float], title: str) -> None:
    """Draw the 25 inputs that weigh most as bars, the heaviest on top."""
    heaviest = sorted(importance.items(), key=lambda item: item[1], reverse=True)[:_TOP][::-1]

    def draw(axes: Axes) -> None:
        axes.barh([name for name, _ in heaviest], [value for _, value in heaviest], color=_INK)
        axes.set(title=title, xlabel="share of the total importance")

    _save(path, draw, height=max(3.0, 0.28 * len(heaviest)))


def plot_precision_recall(path: Path, curve: Curve, fraud_rate: float, title: str) -> None:
    """Draw precision over recall; the dotted line is what guessing gives."""

    def draw(axes: Axes) -> None:
        axes.step(curve.x, curve.y, where="post", color=_INK)
        axes.axhline(fraud_rate, color=_GUIDE, linestyle=":")
        axes.set(title=title, xlabel="recall", ylabel="precision", xlim=(0, 1.01), ylim=(0, 1.01))

    _save(path, draw)


def plot_roc(path: Path, curve: Curve, title: str) -> None:
    """Draw the true positive rate over the false positive rate; the dotted line is what guessing gives."""

    def draw(axes: Axes) -> None:
        axes.plot(curve.x, curve.y, color=_INK)
        axes.plot([0, 1], [0, 1], color=_GUIDE, linestyle=":")
        axes.set(title=title, xlabel="false positive rate", ylabel="true positive rate", xlim=(0, 1), ylim=(0, 1.01))

    _save(path, draw)


def plot_reliability(path: Path, reliability: Reliability, title: str) -> None:
    """Draw the observed share of fraud over the mean score of bins; the dotted line is perfect calibration."""

    def draw(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], color=_GUIDE, linestyle=":")
        axes.plot(reliability.score, reliability.fraud, marker="o", color=_INK)
        for score, fraud, rows in zip(reliability.score, reliability.fraud, reliability.rows, strict=True):
            axes.annotate(f"{rows:,}", (score, fraud), textcoords="offset points", xytext=(5, -9), fontsize=7)
        axes.set(title=title, xlabel="mean score", ylabel="share of fraud", xlim=(0, 1.01), ylim=(0, 1.01))

    _save(path, draw)


def plot_confusion(path: Path, matrix: Confusion, title: str) -> None:
    """Draw the four counts of decisions against labels."""
    cells = (
        (matrix.true_negative, matrix.false_positive),
        (matrix.false_negative, matrix.true_positive),
    )

    def draw(axes: Axes) -> None:
        shares = [[count / max(sum(row), 1) for count in row] for row in cells]
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        for y, row in enumerate(cells):
            for x, count in enumerate(row):
                axes.text(
                    x, y, f"{count:,.0f}", ha="center", va="center", color="white" if shares[y][x] > 0.5 else _INK
                )
        axes.set_xticks([0, 1], ["passed", "flagged"])
        axes.set_yticks([0, 1], ["legitimate", "fraud"])
        axes.set(title=title, xlabel="decision", ylabel="label")

    _save(path, draw)


def _save(path: Path, draw: Callable[[Axes], None], *, height: float = 4.5) -> None:
    # No pyplot: it keeps figures in a global list and looks for a screen.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.5, height), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.grid(alpha=0.25)
    draw(axes)
    figure.savefig(path, dpi=_DPI)
