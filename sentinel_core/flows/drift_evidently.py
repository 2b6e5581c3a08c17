"""What Evidently says of a drift check's window: its verdict, and its page with both verdicts on top.

Where Evidently fails, the check goes on: the report then holds our verdict, and says why the other is missing.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from sentinel_core.flows import Progress
from sentinel_core.monitoring.drift import DriftVerdict
from sentinel_core.monitoring.reference import Reference
from sentinel_core.monitoring.sample import Sample
from sentinel_core.reports.drift import write_page
from sentinel_core.reports.drift_preset import PresetVerdict, judge_by_preset

LEFT_OUT: Final = "Evidently was left out of this check"


@dataclass(frozen=True, slots=True)
class EvidentlySays:
    """Evidently's part of a check; `reason` is its verdict in words, or why there is none, or no page."""

    reason: str
    verdict: PresetVerdict | None = None
    page: Path | None = None

    @property
    def outcome(self) -> str | None:
        """The verdict as the report names it; None without one."""
        return None if self.verdict is None else "drift" if self.verdict.drifts else "no_drift"

    @property
    def text(self) -> str:
        """Outcome and reason as one line."""
        return f"{self.outcome or 'no verdict'}: {self.reason}"

    def columns(self, home: Path) -> dict[str, Any]:
        """Return the columns of `drift_reports` that hold it; the page's path is given from `home` on."""
        verdict = self.verdict
        return {
            "evidently_verdict": self.outcome,
            "evidently_share": None if verdict is None else verdict.share,
            "evidently_columns": None if verdict is None else verdict.to_dict(),
            "evidently_reason": self.reason,
            "report_path": None if self.page is None else str(self.page.relative_to(home)),
        }


def ask_evidently(
    sample: Sample,
    reference: Reference,
    window: Sample,
    ours: DriftVerdict,
    *,
    leave_out: Collection[str],
    page: Path | None,
    progress: Progress,
) -> EvidentlySays:
    """Let Evidently's preset judge the window against `sample`, and draw the page where a path for it is given."""
    progress("asking Evidently")
    says = _judged(sample, window, leave_out)
    if page is None:
        return says
    progress("drawing the report")
    verdicts = {"SentinelML": f"{ours.outcome}: {ours.reason}", "Evidently's preset": says.text}
    try:
        page.parent.mkdir(parents=True, exist_ok=True)
        write_page(sample, window, reference.season_rows(window, seed=0), page, verdicts)
    except Exception as error:  # noqa: BLE001 (nothing is swallowed: the report says it)
        page.unlink(missing_ok=True)
        return replace(says, reason=f"{says.reason}; there is no page, since drawing it failed: {_named(error)}")
    return replace(says, page=page)


def keep_newest(folder: Path, count: int) -> None:
    """Remove all but the newest `count` pages of a folder; their names begin with their time."""
    for old in sorted(folder.glob("*.html"))[:-count]:
        old.unlink(missing_ok=True)


def _judged(sample: Sample, window: Sample, leave_out: Collection[str]) -> EvidentlySays:
    try:
        verdict = judge_by_preset(sample, window, leave_out=leave_out)
    except Exception as error:  # noqa: BLE001 (nothing is swallowed: the report says it)
        return EvidentlySays(f"Evidently failed: {_named(error)}")
    return EvidentlySays(verdict.reason, verdict)


def _named(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
