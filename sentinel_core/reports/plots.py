"""Plots of a model's figures: PNG files for MLflow, SVG for the report."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sentinel_core.evaluation.curves import Curve, Histogram, Reliability
from sentinel_core.evaluation.metrics import Confusion

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Point = tuple[float, float]

TOP: Final = 25
_DPI: Final = 140
_WIDTH: Final = 5.2
_WIDE: Final = 8.4
_INK: Final = "#1f4e79"
_FRAUD: Final = "#b8461b"
_GUIDE: Final = "#7b8794"
_LINES: Final = (_INK, _FRAUD, "#2f7d4f", "#7a4fa3", "#8a6d1d", _GUIDE)
# Text stays text, in whatever script it is, and a "$" in it is no formula. Ids come from the content alone.
_STYLE: Final = {"svg.fonttype": "none", "svg.hashsalt": "sentinel", "text.parse_math": False, "font.size": 9}


@dataclass(frozen=True, slots=True)
class Series:
    """A figure over days: value and the two ends of its interval, or None, of each; [k] each."""

    name: str
    day: Sequence[date]
    value: Sequence[float]
    ends: Sequence[tuple[float, float] | None]
    estimated: bool = False


@dataclass(frozen=True, slots=True)
class Mark:
    """A moment that a plot over time points out."""

    at: date | datetime
    text: str


def heaviest(importance: Mapping[str, float]) -> list[tuple[str, float]]:
    """Return the 25 inputs that weigh most, the heaviest first; of equal ones the first by name."""
    return sorted(importance.items(), key=lambda item: (-item[1], item[0]))[:TOP]


def importance_plot(importance: Mapping[str, float], title: str) -> Figure:
    """Draw the 25 inputs that weigh most as bars, the heaviest on top."""
    shown = heaviest(importance)[::-1]

    def draw(axes: Axes) -> None:
        axes.barh([name for name, _ in shown], [value for _, value in shown], color=_INK)
        axes.set(title=title, xlabel="share of the total importance")
        axes.grid(visible=False, axis="y")

    return _figure(draw, height=max(2.5, 0.21 * len(shown) + 0.8))


def precision_recall_plot(curve: Curve, fraud_rate: float, title: str, *, chosen: Point | None = None) -> Figure:
    """Draw precision over recall; the dotted line is what guessing gives, `chosen` the point of the threshold."""

    def draw(axes: Axes) -> None:
        axes.step(curve.x, curve.y, where="post", color=_INK)
        axes.axhline(fraud_rate, color=_GUIDE, linestyle=":", label="guessing")
        _mark(axes, chosen)
        axes.set(title=title, xlabel="recall", ylabel="precision", xlim=(0, 1.01), ylim=(0, 1.02))
        axes.legend(loc="lower left")

    return _figure(draw)


def roc_plot(curve: Curve, title: str, *, chosen: Point | None = None) -> Figure:
    """Draw the true positive rate over the false positive rate; the dotted line is what guessing gives."""

    def draw(axes: Axes) -> None:
        axes.plot(curve.x, curve.y, color=_INK)
        axes.plot([0, 1], [0, 1], color=_GUIDE, linestyle=":", label="guessing")
        _mark(axes, chosen)
        axes.set(
            title=title, xlabel="false positive rate", ylabel="true positive rate", xlim=(-0.01, 1), ylim=(0, 1.02)
        )
        axes.legend(loc="lower right")

    return _figure(draw)


def reliability_plot(reliability: Reliability, title: str) -> Figure:
    """Draw the observed share of fraud over the mean score of bins; the dotted line is perfect calibration."""

    def draw(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], color=_GUIDE, linestyle=":", label="perfect")
        axes.plot(reliability.score, reliability.fraud, marker="o", markersize=4, color=_INK, label="observed")
        axes.set(title=title, xlabel="mean score", ylabel="share of fraud", xlim=(0, 1.02), ylim=(0, 1.02))
        axes.legend(loc="upper left")

    return _figure(draw)


def histogram_plot(counts: Histogram, title: str, *, threshold: float | None = None) -> Figure:
    """Draw how many rows of each label score in each range, on a logarithmic scale, and the threshold."""

    def draw(axes: Axes) -> None:
        edges = counts.edges
        axes.stairs(counts.legitimate, edges, color=_GUIDE, fill=True, alpha=0.45, label="legitimate")
        axes.stairs(counts.fraud, edges, color=_FRAUD, linewidth=1.8, label="fraud")
        if threshold is not None:
            axes.axvline(threshold, color=_INK, linestyle="--", label="threshold")
        highest = max(int(counts.legitimate.max()), int(counts.fraud.max()), 1)
        axes.set(title=title, xlabel="score", ylabel="transactions", xlim=(0, 1), yscale="log", ylim=(0.7, highest * 2))
        # Its own formatter would write powers of ten as formulas.
        axes.yaxis.set_major_formatter("{x:,.0f}")
        axes.yaxis.set_minor_formatter("")
        axes.legend(loc="upper right")

    return _figure(draw)


def confusion_plot(matrix: Confusion, title: str) -> Figure:
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
        axes.grid(visible=False)

    return _figure(draw)


def over_time_plot(series: Sequence[Series], title: str, *, marks: Sequence[Mark] = ()) -> Figure:
    """Draw shares from 0 to 1 over days, with their intervals as upright lines; what is only estimated is dashed."""

    def draw(axes: Axes) -> None:
        from matplotlib.dates import date2num

        colours = {
            name: _LINES[number % len(_LINES)] for number, name in enumerate(dict.fromkeys(s.name for s in series))
        }
        for one in series:
            colour = colours[one.name]
            style = (
                {"linestyle": "--", "marker": ".", "alpha": 0.7} if one.estimated else {"linestyle": "-", "marker": "o"}
            )
            label = f"{one.name}, estimated" if one.estimated else one.name
            days = date2num(list(one.day))
            axes.plot(days, one.value, color=colour, markersize=3, linewidth=1.2, label=label, **style)
            bounded = [(day, *ends) for day, ends in zip(days, one.ends, strict=True) if ends is not None]
            if bounded:
                axes.vlines(*zip(*bounded, strict=True), color=colour, alpha=0.35, linewidth=1.5)
        _by_date(axes, marks)
        axes.set(title=title, xlabel="day of the events (UTC)", ylim=(-0.02, 1.02))
        axes.legend(loc="lower left")

    return _figure(draw, width=_WIDE)


def levels_plot(
    at: Sequence[datetime], level: Sequence[int], names: Sequence[str], title: str, *, marks: Sequence[Mark] = ()
) -> Figure:
    """Draw at which of some levels each of many moments was, the first level at the bottom."""

    def draw(axes: Axes) -> None:
        from matplotlib.dates import date2num

        axes.plot(date2num(list(at)), level, color=_INK, marker="|", markersize=7, linestyle="none")
        _by_date(axes, marks)
        axes.set_yticks(range(len(names)), names)
        axes.set(title=title, xlabel="UTC", ylim=(-0.5, len(names) - 0.5))

    return _figure(draw, width=_WIDE, height=2.4)


def save_png(figure: Figure, path: Path) -> None:
    """Write a figure as a PNG file."""
    with _styled():
        figure.savefig(path, dpi=_DPI)


def to_svg(figure: Figure) -> str:
    """Return a figure as SVG; equal figures give equal text."""
    written = io.StringIO()
    with _styled():
        figure.savefig(written, format="svg", metadata={"Date": None, "Creator": None})
    return written.getvalue()


@contextmanager
def _styled() -> Iterator[None]:
    """Apply the style, when a figure is made and when it is drawn: tick labels come into being with the latter.

    A name in a script that the measuring font lacks is boxes in a PNG and itself in SVG; nobody is warned.
    """
    from matplotlib import rc_context

    with rc_context(_STYLE), warnings.catch_warnings(action="ignore", category=UserWarning):
        yield


def _by_date(axes: Axes, marks: Sequence[Mark]) -> None:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter, date2num

    locator = AutoDateLocator(maxticks=8)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))
    for mark in marks:
        place = float(date2num(mark.at))
        axes.axvline(place, color=_GUIDE, linestyle=":", linewidth=1.2)
        axes.annotate(
            mark.text, (place, 1), xycoords=("data", "axes fraction"), xytext=(2, -2), textcoords="offset points",
            rotation=90, va="top", fontsize=7, color=_GUIDE,
        )  # fmt: skip


def _mark(axes: Axes, chosen: Point | None) -> None:
    if chosen is not None:
        axes.plot(*chosen, marker="o", markersize=7, color=_FRAUD, linestyle="none", label="at the threshold")


def _figure(draw: Callable[[Axes], None], *, width: float = _WIDTH, height: float = 3.9) -> Figure:
    # No pyplot: it keeps figures in a global list and looks for a screen.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with _styled():
        figure = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.add_subplot()
        axes.set_axisbelow(True)
        axes.grid(alpha=0.3)
        draw(axes)
    return figure
