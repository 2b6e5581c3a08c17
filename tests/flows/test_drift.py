"""The check of drift on real tables and a real registry: quiet traffic, changed traffic, and what cannot be judged."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Engine, text

from sentinel_core.datasets.events import to_events, to_labels
from sentinel_core.datasets.frames import canonical
from sentinel_core.errors import RegistryError, StoreError
from sentinel_core.features.build import build_offline
from sentinel_core.features.risk import RiskHistory
from sentinel_core.flows.drift import _prepared, check_drift, read_report, read_reports
from sentinel_core.flows.ingest import Request
from sentinel_core.flows.pipeline import TrainingPipeline
from sentinel_core.flows.simulation.answering import record_answers, score_rows
from sentinel_core.registry.bundle import load_bundle
from sentinel_core.registry.files import REFERENCE
from sentinel_core.registry.rest import MlflowRegistry
from sentinel_core.settings import Settings
from sentinel_core.synthetic import generate

END = datetime(2026, 6, 1, tzinfo=UTC)
TRAINED = END - timedelta(days=20)
ROWS = 70_000
pytestmark = pytest.mark.slow


@dataclass
class World:
    """A champion in Production, and the traffic after its training."""

    settings: Settings
    bundle: Any
    version: str
    frame: Any
    values: Any
    risk_as_of: Any

    def answer(self, engine: Engine, start: datetime, end: datetime, **changed: Any) -> None:
        """Let the champion answer the traffic of (start, end], some columns of the vectors multiplied."""
        times = self.frame["timestamp"]
        rows = np.flatnonzero(((times > start) & (times <= end)).to_numpy())
        frame, values = self.frame.iloc[rows], self.values[rows].copy()
        for name, factor in changed.items():
            from sentinel_core.features.catalog import POSITION

            values[:, POSITION[name]] *= factor
        answers = score_rows(self.bundle, self.version, values, frame)
        with engine.begin() as conn:
            record_answers(conn, frame, values, self.risk_as_of[rows], answers, now=end)


@pytest.fixture
def world(settings: Settings, mlflow_uri: str, tmp_path: Path) -> World:
    ours = settings.model_copy(update={"mlflow_tracking_uri_given": mlflow_uri, "model_name": settings.redis_namespace})
    frame = canonical(generate(ROWS, 0.04, 3, end=END))
    file, column_map = tmp_path / "history.parquet", tmp_path / "map.toml"
    frame[frame["timestamp"] < TRAINED].to_parquet(file, index=False)
    column_map.write_text("[floors]\nroc_auc = 0.5\n")
    request = Request("file", file=str(file), column_map=str(column_map))
    done = TrainingPipeline(ours, clock=lambda: TRAINED).run_on(request, models="logistic_regression", searched=False)
    assert done["promoted"]
    with MlflowRegistry.of(ours) as registry:
        version = registry.production_version()
        assert version is not None
        registry.download(version, tmp_path / "bundle")
    delay = ours.label_delay
    events = to_events(frame)
    built = build_offline(events, RiskHistory(events, to_labels(frame, delay), int(delay.total_seconds() * 1e6)))
    return World(ours, load_bundle(tmp_path / "bundle"), version.name, frame, built.values, built.risk_as_of)


def test_quiet_traffic_is_no_drift_and_changed_traffic_is_after_two_windows(world: World, engine: Engine) -> None:
    settings, begin = world.settings, TRAINED + timedelta(days=5)
    world.answer(engine, begin - timedelta(days=1), begin)
    quiet = check_drift(settings, now=begin)
    assert (quiet["verdict"], quiet["rejected"]) == ("no_drift", [])
    assert quiet["sample_size"] >= settings.drift_min_rows
    page = (settings.home / quiet["report_path"]).read_text(encoding="utf-8")
    assert "<html" in page[:2000].lower()
    # Evidently's verdict stands beside ours: in the row, and on top of its page with how often each is wrong.
    assert quiet["evidently_verdict"] == "no_drift"
    assert f"<b>Evidently's preset</b>: no_drift: {quiet['evidently_reason']}" in unescape(page)
    assert "<td>no drift</td><td>16 of 5,040</td><td>9%</td>" in page
    # The window has as many hours as the fewest answers take, and not one more.
    length = datetime.fromisoformat(quiet["window_end"]) - datetime.fromisoformat(quiet["window_start"])
    assert timedelta(hours=1) < length < timedelta(hours=24)

    drifting = {"amount": 2.0, "amount_to_avg_ratio": 2.0, "user_avg_amount_30d": 2.0}
    world.answer(engine, begin, begin + timedelta(days=2), **drifting)
    first = check_drift(settings, now=begin + timedelta(hours=24), html=False)
    assert first["verdict"] == "suspected"
    # An hour later the window is nearly the same: that is no second witness.
    assert check_drift(settings, now=begin + timedelta(hours=25), html=False)["verdict"] == "suspected"
    second = check_drift(settings, now=begin + timedelta(hours=48), html=False)
    assert second["verdict"] == "drift"
    assert "amount" in second["rejected"]

    full = read_report(settings, second["id"])
    # Amounts that double are some of all columns: Evidently's preset sees them, and says no drift.
    assert (full["evidently_verdict"], full["report_path"]) == ("no_drift", None)
    assert full["evidently_columns"]["amount"]["drifts"]
    drifting = [name for name, one in full["evidently_columns"].items() if one["drifts"]]
    assert full["evidently_share"] == pytest.approx(len(drifting) / len(full["evidently_columns"]))
    figures = {one["name"]: one for one in full["figures"]["figures"]}
    assert figures["amount"]["rejected"]
    assert figures["amount"]["p_value"] < 0.01
    assert {"amount", "hour_of_day", "merchant_risk_score", "location_country", "fraud_score"} <= set(figures)
    assert not figures["hour_of_day"]["judged"]
    assert sum(one["window"] for one in full["figures"]["volume"]) == pytest.approx(1, abs=0.01)
    assert [row["verdict"] for row in read_reports(settings)] == ["drift", "suspected", "suspected", "no_drift"]


def test_what_cannot_be_judged_is_said_and_the_next_check_works(world: World, engine: Engine) -> None:
    settings, begin = world.settings, TRAINED + timedelta(days=5)
    silent = check_drift(settings, now=begin)
    assert (silent["verdict"], silent["sample_size"]) == ("not_enough_data", 0)
    assert f"0 answers of {world.version} in the last 24 h" in silent["reason"]

    nothing = settings.model_copy(update={"model_name": "nobody"})
    none = check_drift(nothing, now=begin)
    assert (none["verdict"], none["reason"]) == (
        "not_judged",
        "no model is in Production: there is no reference",
    )

    world.answer(engine, begin - timedelta(days=1), begin, user_txn_count_7d=0.0)
    judged = check_drift(settings, now=begin, html=False)
    assert judged["verdict"] == "suspected"  # one feature became constant: it is what is named
    assert judged["rejected"] == ["user_txn_count_7d"]

    away = settings.model_copy(update={"database_url_given": "postgresql://nobody@127.0.0.1:9/none"})
    unjudged = "so the newest answers of the champion could not be judged, and nothing was written down"
    with pytest.raises(StoreError, match=unjudged):
        check_drift(away, now=begin)
    gone = settings.model_copy(update={"mlflow_tracking_uri_given": "http://127.0.0.1:9"})
    with pytest.raises(RegistryError, match=unjudged):
        check_drift(gone, now=begin)
    assert check_drift(settings, now=begin, html=False)["verdict"] == "suspected"


def test_both_verdicts_say_drift_where_most_of_the_traffic_changed(world: World, engine: Engine) -> None:
    settings, begin = world.settings, TRAINED + timedelta(days=5)
    numbers = [feature.name for feature in world.bundle.manifest.features]
    world.frame["merchant_category"] = "space travel"
    world.answer(engine, begin - timedelta(days=1), begin + timedelta(days=1), **dict.fromkeys(numbers, 3.0))
    first = check_drift(settings, now=begin, html=False)
    assert (first["verdict"], first["evidently_verdict"]) == ("suspected", "drift")
    # Without Evidently nothing else changes, and the row says that it was left out.
    second = check_drift(settings, now=begin + timedelta(days=1), evidently=False)
    assert (second["verdict"], second["evidently_verdict"], second["report_path"]) == ("drift", None, None)
    assert second["evidently_reason"] == "Evidently was left out of this check"


def test_where_evidently_fails_our_verdict_is_stored(
    world: World, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, begin = world.settings, TRAINED + timedelta(days=5)
    world.answer(engine, begin - timedelta(days=1), begin)
    for name in ("evidently", "evidently.legacy.calculations.stattests"):
        monkeypatch.setitem(sys.modules, name, None)
    report = check_drift(settings, now=begin)
    assert (report["verdict"], report["evidently_verdict"], report["report_path"]) == ("no_drift", None, None)
    assert report["evidently_reason"].startswith("Evidently failed: ModuleNotFoundError: ")
    assert read_reports(settings)[0]["evidently_reason"] == report["evidently_reason"]


def test_features_under_another_definition_are_named_and_not_judged(world: World, engine: Engine) -> None:
    settings, begin = world.settings, TRAINED + timedelta(days=5)
    world.answer(engine, begin - timedelta(days=1), begin, amount=9.0)
    with engine.begin() as conn:
        conn.execute(
            text(
                "UPDATE feature_sets SET features = (SELECT jsonb_agg(CASE WHEN f ->> 'name' = 'amount'"
                " THEN jsonb_set(f, '{hash}', '\"other\"') ELSE f END) FROM jsonb_array_elements(features) AS f)"
            )
        )
    report = check_drift(settings, now=begin, html=False)
    assert "amount" not in report["rejected"]
    full = read_report(settings, report["id"])
    assert "amount_log" in full["evidently_columns"]
    assert "amount" not in full["evidently_columns"]
    figures = {one["name"]: one for one in full["figures"]["figures"]}
    assert figures["amount"]["reason"].endswith("vectors were logged under another definition")


def test_a_reference_that_is_lost_is_said_and_fetched_again(world: World, engine: Engine) -> None:
    settings, begin = world.settings, TRAINED + timedelta(days=5)
    world.answer(engine, begin - timedelta(days=1), begin)
    assert check_drift(settings, now=begin, html=False)["verdict"] == "no_drift"
    (lost,) = (settings.home / "monitoring").glob(f"*/{REFERENCE}")
    lost.unlink()
    _prepared.cache_clear()
    without = check_drift(settings, now=begin, html=False)
    assert without["verdict"] == "not_judged"
    assert without["reason"].startswith(f"{world.version} has no usable reference: ")
    assert check_drift(settings, now=begin, html=False)["verdict"] == "no_drift"


def test_a_new_category_and_a_constant_feature_are_judged(world: World, engine: Engine) -> None:
    settings, begin = world.settings, TRAINED + timedelta(days=5)
    world.frame["merchant_category"] = (
        world.frame["merchant_category"].astype(object).where(np.arange(ROWS) % 5 != 0, "space travel")
    )
    world.answer(engine, begin - timedelta(days=1), begin, user_txn_count_7d=0.0)
    report = check_drift(settings, now=begin)
    assert report["verdict"] == "suspected"
    assert {"merchant_category", "user_txn_count_7d"} <= set(report["rejected"])
    figures = {one["name"]: one for one in read_report(settings, report["id"])["figures"]["figures"]}
    # What the reference does not have is among the others.
    title, reference, window = next(one for one in figures["merchant_category"]["bins"] if one[0] == "other")
    assert (title, reference) == ("other", 0.0)
    assert 0.1 < window < 0.3
