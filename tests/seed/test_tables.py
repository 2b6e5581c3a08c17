"""The three tables with their columns and indexes, in a database that the migrations made."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Engine, inspect

from sentinel_core.schema import REQUEST_COLUMNS

COLUMNS = {
    "transactions": (*REQUEST_COLUMNS, "fraud_score", "model_version", "features", "created_at"),
    "prediction_logs": (
        *("transaction_id", "prediction_time_ms", "fraud_score", "prediction", "model_version"),
        *("variant", "cache_hit", "degraded", "created_at"),
    ),
    "model_metrics": (
        *("model_version", "model_name", "precision", "recall", "f1_score", "roc_auc", "pr_auc"),
        *("sample_size", "created_at"),
    ),
}
INDEXES = {
    "transactions": ("user_id", "merchant_id", "timestamp", "created_at"),
    "prediction_logs": ("transaction_id", "created_at"),
}


@pytest.mark.parametrize("table", COLUMNS)
def test_a_table_has_its_columns(engine: Engine, table: str) -> None:
    found = {column["name"]: column for column in inspect(engine).get_columns(table)}
    assert set(COLUMNS[table]) <= set(found)
    assert not found["created_at"]["nullable"]
    assert found["created_at"]["type"].timezone  # type: ignore[attr-defined]


def test_a_transaction_has_one_row_and_money_is_exact(engine: Engine) -> None:
    assert inspect(engine).get_pk_constraint("transactions")["constrained_columns"] == ["transaction_id"]
    amount: Any = next(c for c in inspect(engine).get_columns("transactions") if c["name"] == "amount")["type"]
    assert (amount.precision, amount.scale) == (12, 2)


@pytest.mark.parametrize(("table", "column"), [(table, column) for table in INDEXES for column in INDEXES[table]])
def test_a_column_that_is_searched_by_has_an_index(engine: Engine, table: str, column: str) -> None:
    assert [column] in [index["column_names"] for index in inspect(engine).get_indexes(table)]
