"""Evidently's verdict is that of its own preset, and a failure of Evidently takes nothing else along."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sentinel_core.flows import silent
from sentinel_core.flows.drift_evidently import EvidentlySays, ask_evidently
from sentinel_core.monitoring.drift import judge_window
from sentinel_core.monitoring.reference import Reference
from sentinel_core.monitoring.sample import Sample
from sentinel_core.monitoring.variables import VARIABLES
from sentinel_core.reports.drift_preset import ColumnDrift, PresetVerdict, frame, judge_by_preset
from tests.monitoring.traffic import VARIABLES as FEW
from tests.monitoring.traffic import traffic


def sample(rows: int, seed: int, *, changed: int = 0) -> Sample:
    """Make rows with every variable; the first `changed` numbers are larger than usual."""
    rng = np.random.default_rng(seed)
    numbers: dict[str, Any] = {
        one.name: rng.integers(0, 3, rows).astype(float) if place % 3 else rng.lognormal(0, 1, rows)
        for place, one in enumerate(one for one in VARIABLES if one.kind == "number")
    }
    for name in list(numbers)[:changed]:
        numbers[name] = numbers[name] + 1
    categories: dict[str, Any] = {
        one.name: np.array([None, "a", "b", "c"], object)[rng.integers(0, 4, rows)]
        for one in VARIABLES
        if one.kind == "category"
    }
    score = rng.beta(1, 30, rows)
    ids = rng.integers(0, rows, rows)
    return Sample(np.arange(rows) * 1_000_000, ids, ids, score, score > 0.5, numbers, categories)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_the_verdict_is_that_of_evidentlys_own_preset_column_by_column() -> None:
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset

    reference, window = sample(1_500, 1), sample(600, 2, changed=7)
    ours = judge_by_preset(reference, window)
    numbers = [one.name for one in VARIABLES if one.kind != "category"]
    texts = [one.name for one in VARIABLES if one.kind == "category"]
    definition = DataDefinition(numerical_columns=numbers, categorical_columns=texts)
    theirs, new = (
        Dataset.from_pandas(frame(one, VARIABLES), data_definition=definition) for one in (reference, window)
    )
    counted, *columns = Report([DataDriftPreset()]).run(new, theirs).dict()["metrics"]
    assert counted["value"] == {"count": len(ours.drifting), "share": pytest.approx(ours.share)}
    assert {one["config"]["column"]: float(one["value"]) for one in columns} == pytest.approx(
        {one.name: one.value for one in ours.columns}
    )
    assert {one["config"]["column"]: one["config"]["method"] for one in columns} == {
        one.name: one.test for one in ours.columns
    }
    assert set(list(reference.numbers)[:7]) <= set(ours.drifting)
    assert not ours.drifts

    most = judge_by_preset(reference, sample(600, 2, changed=40))
    assert most.drifts
    assert most.reason.startswith(f"{len(most.drifting)} of {len(VARIABLES)} columns drift (")
    # What the window does not have as the champion defines it says nothing.
    less = judge_by_preset(reference, window, leave_out=["amount"])
    assert {one.name for one in ours.columns} - {one.name for one in less.columns} == {"amount"}


@pytest.mark.parametrize(("drifting", "drifts"), [(0, False), (4, False), (5, True), (10, True)])
def test_half_of_the_columns_are_drift(drifting: int, drifts: bool) -> None:
    verdict = PresetVerdict(tuple(ColumnDrift(f"c{n}", "test", 0.2, 0.1, n < drifting) for n in range(10)))
    assert (verdict.drifts, verdict.share) == (drifts, drifting / 10)


def test_where_evidently_fails_the_reason_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    reference, window = traffic(4_000, 1), traffic(700, 2, days=1.0, start=20)
    prepared = Reference(reference, FEW)
    ours = judge_window(prepared, window, before=None, missing={}, rate=0.05, seed=0)
    # As where it is not installed, or does not import: the packages are there by name alone.
    for name in ("evidently", "evidently.legacy.calculations.stattests"):
        monkeypatch.setitem(sys.modules, name, None)
    page = tmp_path / "drift" / "page.html"
    says = ask_evidently(reference, prepared, window, ours, leave_out=(), page=page, progress=silent)
    assert says.reason.startswith("Evidently failed: ModuleNotFoundError: import of evidently.legacy.calculations")
    assert "; there is no page, since drawing it failed: ModuleNotFoundError: " in says.reason
    assert says.columns(tmp_path) == {
        "evidently_verdict": None,
        "evidently_share": None,
        "evidently_columns": None,
        "evidently_reason": says.reason,
        "report_path": None,
    }
    assert not page.exists()
    assert EvidentlySays("why").text == "no verdict: why"


def test_a_value_that_is_no_number_can_be_stored() -> None:
    verdict = PresetVerdict((ColumnDrift("constant", "Wasserstein", None, 0.1, False),))
    told = {"test": "Wasserstein", "value": None, "threshold": 0.1, "drifts": False}
    assert verdict.to_dict() == {"constant": told}
