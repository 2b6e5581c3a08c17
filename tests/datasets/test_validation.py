from __future__ import annotations

import importlib.util
import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from sentinel_core.datasets.cleaning import clean
from sentinel_core.datasets.validation import ValidationReport, validate
from sentinel_core.errors import DataError, ValidationError
from sentinel_core.schema import COLUMN, COLUMNS, ID_MAX_LENGTH, TEXT_MAX_LENGTH, TIMESTAMP_MAX, TIMESTAMP_MIN
from tests.datasets.frames import frame

ROOT = Path(__file__).parents[2]
PROJECT = ROOT / "great_expectations"


def judge(tmp_path: Path, rows: pd.DataFrame, removed_share: float = 0.0) -> ValidationReport:
    return validate(
        rows,
        project_dir=PROJECT,
        out_dir=tmp_path / "validation" / "s1",
        parameters={"currencies": ["EUR"]},
        removed_share=removed_share,
    )


def suite() -> list[dict[str, Any]]:
    document = json.loads((PROJECT / "expectations" / "transactions.json").read_text(encoding="utf-8"))
    expectations: list[dict[str, Any]] = document["expectations"]
    return expectations


def test_the_project_folder_does_not_shadow_the_package() -> None:
    assert not list(PROJECT.rglob("__init__.py"))
    spec = importlib.util.find_spec("great_expectations")
    assert spec is not None
    assert spec.origin is not None
    assert "site-packages" in spec.origin


def test_the_suite_says_what_the_schema_says() -> None:
    between = {
        e["kwargs"]["column"]: (e["kwargs"]["min_value"], e["kwargs"]["max_value"])
        for e in suite()
        if e["type"] == "expect_column_values_to_be_between"
    }
    bounded = {c.name: (c.minimum, c.maximum) for c in COLUMNS if c.minimum is not None}
    assert between == bounded | {"timestamp": (TIMESTAMP_MIN.isoformat(), TIMESTAMP_MAX.replace(hour=0).isoformat())}
    patterns = {e["kwargs"]["column"]: e["kwargs"]["regex"] for e in suite() if "regex" in e["kwargs"]}
    for name, pattern in patterns.items():
        if name not in ("ip_address", "card_last_four"):
            longest = ID_MAX_LENGTH if name == "location_city" or COLUMN[name].type == "id" else TEXT_MAX_LENGTH
            assert pattern == f"^[^\\x00]{{1,{longest}}}$", name
    assert {c.name for c in COLUMNS if c.type == "id"} <= set(patterns)
    required = {e["kwargs"]["column"] for e in suite() if e["type"] == "expect_column_values_to_not_be_null"}
    assert required == {c.name for c in COLUMNS if c.required_in_data} | {"transaction_id"}


def test_good_rows_pass_and_leave_docs_outside_the_repository(tmp_path: Path) -> None:
    before = _git_status()
    report = judge(tmp_path, frame(tmp_path, currency=["EUR"] * 4))
    assert report.success
    assert report.evaluated + report.left_out == len(suite())
    assert report.left_out > 0
    assert "<html" in report.docs.read_text(encoding="utf-8").lower()
    assert json.loads((report.docs.parents[4] / "report.json").read_text())["success"] is True
    assert _git_status() == before


def _git_status() -> str:
    command = ["git", "-C", str(ROOT), "status", "--porcelain", "--ignored", "great_expectations"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_a_failing_suite_says_which_expectation_on_how_many_rows_and_keeps_them(tmp_path: Path) -> None:
    rows = frame(tmp_path, amount=["12", "NaN", "-3", "-4"], transaction_id=["t1", "t2", "t2", "t4"])
    with pytest.raises(ValidationError) as raised:
        judge(tmp_path, rows)
    message = str(raised.value)
    assert "expect_column_values_to_be_between on amount failed for 2 rows (row 3: amount=-3.0; row 4" in message
    assert "expect_column_values_to_not_be_null on amount failed for 1 row (row 2: amount=nan)" in message
    assert "expect_column_values_to_be_unique on transaction_id failed for 2 rows" in message
    folder = tmp_path / "validation" / "s1"
    rejected = pd.read_parquet(folder / "rejected.parquet")
    assert rejected.index.tolist() == [2, 3, 4]
    assert f"3 rejected rows are kept in {folder / 'rejected.parquet'}" in message
    report = json.loads((folder / "report.json").read_text())
    assert (report["success"], report["rejected_rows"]) == (False, 3)
    assert Path(report["docs"]).is_file()


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (
            {"is_fraud": ["1", "1", "1", "0"]},
            "expect_column_mean_to_be_between on is_fraud failed for the observed value 0.75",
        ),
        ({"currency": ["EUR", "EUR", "USD", "EUR"]}, r"in_set on currency failed for 1 row \(row 3: currency=USD\)"),
        ({"card_last_four": ["1234", "12", "0000", ""]}, r"match_regex on card_last_four failed for 1 row \(row 2"),
        ({"ip_address": ["10.0.0.1", "::1", "here", ""]}, r"match_regex on ip_address failed for 1 row \(row 3"),
        ({"user_id": ["u" * 129, "é" * 128, "u", "u"]}, r"match_regex on user_id failed for 1 row \(row 1"),
        ({"latitude": ["91", "90", "", "0"]}, r"between on latitude failed for 1 row \(row 1: latitude=91"),
        (
            {"labelled_at": ["2025-12-31", "", "2026-02-01", "2026-02-01"]},
            r"labelled_at, timestamp failed for 1 row \(row 1",
        ),
        ({"timestamp": ["1970-06-01", "2026-01-01", "2026-01-01", "2026-01-01"]}, r"on timestamp failed for 1 row"),
    ],
)
def test_each_rule_names_its_column_and_row(tmp_path: Path, columns: dict[str, Sequence[Any]], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        judge(tmp_path, frame(tmp_path, **columns))


def test_cleaning_may_not_take_away_too_much(tmp_path: Path) -> None:
    rows, cleaned = clean(frame(tmp_path, user_id=["", "u", "u", "u"]))
    with pytest.raises(ValidationError, match=r"max_removed_share failed for 25\.0% of the rows: .* at most 5%"):
        judge(tmp_path, rows, cleaned.removed_share)


def test_a_missing_suite_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"expected the suite .*nowhere.*transactions\.json"):
        validate(frame(tmp_path), project_dir=tmp_path / "nowhere", out_dir=tmp_path / "v", parameters={})
    assert [p.name for p in tmp_path.iterdir()] == ["plain.csv"]
