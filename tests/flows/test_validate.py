from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sentinel_core.errors import ValidationError
from sentinel_core.flows import validate as flow
from sentinel_core.flows.ingest import Request, make_snapshot
from sentinel_core.flows.validate import validate_snapshot
from sentinel_core.settings import load_settings
from tests.datasets.frames import csv

NOW = datetime(2026, 6, 1, tzinfo=UTC)


def test_generated_rows_pass_the_suite(tmp_path: Path) -> None:
    settings = load_settings(None, home=tmp_path)
    snapshot = make_snapshot(settings, Request(rows=2_000), now=NOW)
    ref = validate_snapshot(settings, snapshot)
    assert json.loads(json.dumps(ref)) == ref
    assert (ref["snapshot"], ref["rows"]) == (snapshot, 2_000)
    assert Path(ref["docs"]).is_relative_to(tmp_path / "validation" / snapshot)
    assert Path(ref["docs"]).is_file()


def test_a_negative_amount_stops_here_and_the_row_is_kept(tmp_path: Path) -> None:
    settings = load_settings(None, home=tmp_path / "home")
    file = csv(tmp_path / "f.csv", amount=["1", "-2", "NaN", "4"])
    snapshot = make_snapshot(settings, Request("file", file=str(file)), now=NOW)
    with pytest.raises(ValidationError, match=r"amount failed for 1 row \(row 2: amount=-2\.0\)"):
        validate_snapshot(settings, snapshot)
    assert (settings.home / "validation" / snapshot / "rejected.parquet").is_file()


def test_the_verdict_is_that_of_the_suite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load_settings(None, home=tmp_path / "home")
    snapshot = make_snapshot(settings, Request(rows=500), now=NOW)
    assert validate_snapshot(settings, snapshot)["rows"] == 500
    project = tmp_path / "great_expectations"
    shutil.copytree(flow.PROJECT, project)
    suite = project / "expectations" / "transactions.json"
    document = json.loads(suite.read_text(encoding="utf-8"))
    # The same rows fail one expectation more, and it is named.
    impossible = {"column": "amount", "min_value": -2, "max_value": -1}
    document["expectations"].append({"type": "expect_column_max_to_be_between", "kwargs": impossible})
    suite.write_text(json.dumps(document), encoding="utf-8")
    monkeypatch.setattr(flow, "PROJECT", project)
    with pytest.raises(ValidationError, match="expect_column_max_to_be_between on amount failed"):
        validate_snapshot(settings, snapshot)
    assert not flow.is_valid(settings, snapshot)


def test_a_foreign_currency_stops_here(tmp_path: Path) -> None:
    settings = load_settings(None, home=tmp_path / "home", currency="CHF")
    file = csv(tmp_path / "f.csv", currency=["CHF", "EUR", "CHF", "CHF"])
    snapshot = make_snapshot(settings, Request("file", file=str(file)), now=NOW)
    with pytest.raises(ValidationError, match=r"currency failed for 1 row \(row 2: currency=EUR\)"):
        validate_snapshot(settings, snapshot)


def test_too_many_unplaceable_rows_stop_here(tmp_path: Path) -> None:
    settings = load_settings(None, home=tmp_path / "home")
    file = csv(tmp_path / "f.csv", merchant_id=["m", "", "m", "m"])
    snapshot = make_snapshot(settings, Request("file", file=str(file)), now=NOW)
    with pytest.raises(ValidationError, match=r"max_removed_share failed for 25\.0% of the rows"):
        validate_snapshot(settings, snapshot)
