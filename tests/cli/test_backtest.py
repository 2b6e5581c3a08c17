"""`sentinel backtest` as a user runs it: a file, windows in dates, a table, a report and every score."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from sentinel_core.cli.spans import duration, span
from sentinel_core.errors import DataError
from sentinel_core.evaluation.judge import JUDGED
from sentinel_core.evaluation.metrics import average_precision
from tests.cli.command import Sentinel

WINDOWS = ("--train", "2026-03-15:2026-04-20", "--test", "2026-05-01:2026-05-20", "--label-delay", "7d")


@pytest.fixture
def sentinel(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Sentinel:
    monkeypatch.setenv("SENTINEL_HOME", str(tmp_path / "home"))
    return Sentinel(monkeypatch, capsys)


@pytest.fixture
def rows(sentinel: Sentinel, tmp_path: Path) -> Path:
    out = tmp_path / "rows.parquet"
    sentinel("generate", "--rows", 12_000, "--fraud-rate", 0.04, "--end", "2026-06-01T10:00:00", "--out", out)
    return out


def test_a_history_of_ones_own_ends_in_a_table_a_report_and_every_score(
    sentinel: Sentinel, rows: Path, tmp_path: Path
) -> None:
    report, scores, settings = (tmp_path / name for name in ("r.json", "s.parquet", "models.toml"))
    settings.write_text("[random_forest]\nn_estimators = 12\nclass_weight = { 0 = 1, 1 = 5 }\n")
    asked = ("--models", "random_forest,logistic_regression", "--blend", "random_forest,logistic_regression")
    said = sentinel("backtest", rows, *WINDOWS, *asked, "--settings", settings, "--report", report, "--scores", scores)
    found = json.loads(report.read_text())
    assert list(found["models"]) == ["random_forest", "logistic_regression", "blend"]
    (period,) = found["periods"]
    assert period["test"] == ["2026-05-01T00:00:00+00:00", "2026-05-21T00:00:00+00:00"]
    assert found["models"]["random_forest"]["hyperparameters"]["n_estimators"] == 12
    written = pd.read_parquet(scores)
    assert list(written) == ["model", "transaction_id", "timestamp", "user_id", "amount", "is_fraud", "score"]
    source = pd.read_parquet(rows).set_index("transaction_id")
    for name, of_model in written.groupby("model", sort=False):
        figures = found["models"][name]["metrics"]
        assert list(figures) == list(JUDGED)
        assert len(of_model) == period["test_rows"]
        ap = average_precision(of_model.is_fraud.to_numpy(), of_model.score.to_numpy())
        assert figures["pr_auc"]["value"] == pytest.approx(ap)
        theirs = source.loc[of_model.transaction_id]
        assert (of_model.amount.to_numpy() == theirs.amount.to_numpy()).all()
        assert (of_model.is_fraud.to_numpy() == theirs.is_fraud.to_numpy()).all()
    assert f"{period['test_rows']:,} rows, {period['test_frauds']:,} frauds" in said
    assert any(line.startswith("random_forest") and "[" in line for line in said.splitlines())


def test_periods_move_on_by_the_step_and_the_table_says_that_it_shows_means(sentinel: Sentinel, rows: Path) -> None:
    how: tuple[Any, ...] = ("--models", "logistic_regression", "--folds", 2, "--step", "10d", "--exclude-known-cards")
    found = sentinel.json("backtest", rows, "--train", "2026-03-15:2026-04-10", "--test", "2026-04-20:2026-05-05", *how)
    assert [p["test"][0][:10] for p in found["periods"]] == ["2026-04-20", "2026-04-30"]
    each = [part["metrics"]["roc_auc"] for part in found["models"]["logistic_regression"]["by_period"]]
    assert found["models"]["logistic_regression"]["metrics"]["roc_auc"]["value"] == pytest.approx(sum(each) / 2)
    assert found["periods"][0]["left_out"] > 0


def test_a_longer_label_delay_leaves_less_to_learn_from(sentinel: Sentinel, rows: Path, tmp_path: Path) -> None:
    columns = tmp_path / "map.toml"
    needed = ("transaction_id", "user_id", "amount", "merchant_id", "timestamp", "is_fraud")
    columns.write_text("[columns]\n" + "".join(f'{name} = "{name}"\n' for name in needed))
    windows = (
        "--columns",
        columns,
        "--train",
        "2026-03-15:2026-04-20",
        "--test",
        "2026-04-25:2026-05-20",
        "--models",
        "logistic_regression",
    )
    known = [
        sentinel.json("backtest", rows, *windows, "--models", "logistic_regression", "--label-delay", delay)["periods"][
            0
        ]["train_rows"]
        for delay in ("2d", "20d")
    ]
    assert known[0] > 1.3 * known[1]


def test_mistakes_are_told_in_one_line(sentinel: Sentinel, rows: Path, tmp_path: Path) -> None:
    fails = sentinel.fails
    assert "--train as A:B" in fails("backtest", rows, "--train", "yesterday", "--test", "2026-05-01:2026-05-02")
    assert "'test' to begin after 'train' ends" in fails(
        "backtest", rows, "--train", "2026-03-15:2026-05-01", "--test", "2026-05-01:2026-05-20"
    )
    assert "got none of 0 events" in fails("backtest", rows, "--train", "2020-01-01:2020-02-01", *WINDOWS[2:])
    assert "Did you mean 'random_forest'" in fails("backtest", rows, *WINDOWS, "--models", "random_forst")
    assert "a folder at" in fails("backtest", rows, *WINDOWS, "--report", tmp_path / "nowhere" / "r.json")
    bad = tmp_path / "bad.toml"
    bad.write_text("n_estimators = 3")
    assert "a table [n_estimators]" in fails("backtest", rows, *WINDOWS, "--settings", bad)


def test_dates_are_whole_days_and_times_are_exact() -> None:
    assert [end.isoformat() for end in span("2018-07-25:2018-07-31", "--train")] == [
        "2018-07-25T00:00:00+00:00",
        "2018-08-01T00:00:00+00:00",
    ]
    assert [end.isoformat() for end in span("2018-07-25T06:30:2018-07-31T12:00:05+02:00", "--train")] == [
        "2018-07-25T06:30:00+00:00",
        "2018-07-31T10:00:05+00:00",
    ]
    for wrong in ("2018-07-25", "2018-07-25:", "2018-07-31:2018-07-25", "25.7.2018:31.7.2018"):
        with pytest.raises(DataError):
            span(wrong, "--train")
    for wrong in ("7", "7 days", "-1d", "0d", "d"):
        with pytest.raises(DataError, match="--step"):
            duration(wrong, "--step")
