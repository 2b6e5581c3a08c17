from __future__ import annotations

from pathlib import Path

import pytest

from sentinel_core.datasets.columns import ColumnMap
from sentinel_core.errors import ColumnError, DataError, did_you_mean

HANDBOOK = Path(__file__).parents[2] / "examples" / "handbook.toml"


def load(tmp_path: Path, text: str) -> ColumnMap:
    path = tmp_path / "map.toml"
    path.write_text(text, encoding="utf-8")
    return ColumnMap.load(path)


def test_the_example_map_names_its_columns_and_floors() -> None:
    column_map = ColumnMap.load(HANDBOOK)
    found = [
        "TRANSACTION_ID",
        "TX_DATETIME",
        "CUSTOMER_ID",
        "TERMINAL_ID",
        "TX_AMOUNT",
        "TX_FRAUD",
        "TX_FRAUD_SCENARIO",
    ]
    assert column_map.resolve(found, "f") == {
        "transaction_id": "TRANSACTION_ID",
        "user_id": "CUSTOMER_ID",
        "amount": "TX_AMOUNT",
        "merchant_id": "TERMINAL_ID",
        "timestamp": "TX_DATETIME",
        "is_fraud": "TX_FRAUD",
    }
    assert column_map.floors == {"roc_auc": 0.84, "pr_auc": 0.60}


def test_without_columns_a_file_is_taken_in_our_own_spelling(tmp_path: Path) -> None:
    column_map = load(tmp_path, '[constants]\ncurrency = "EUR"\n')
    found = ["timestamp", "their_extra", "user_id", "amount", "merchant_id", "currency"]
    assert list(column_map.resolve(found, "f")) == ["user_id", "amount", "merchant_id", "timestamp"]


def test_labelled_at_may_stand_at_the_top_level(tmp_path: Path) -> None:
    column_map = load(tmp_path, 'labelled_at = "REPORTED"\n[columns]\namount = "A"\n')
    assert column_map.columns == {"amount": "A", "labelled_at": "REPORTED"}


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        (
            '[columns]\nuser = "X"\n',
            ColumnError,
            r"found 'user'\. Did you mean 'user_id'\? Known names: transaction_id",
        ),
        ("[columns]\namount = 3\n", ColumnError, r"\[columns\] amount in .*map\.toml to be text, got 3\. Quote it"),
        (
            '[columns]\namount = "A"\n[constants]\namount = 3\n',
            ColumnError,
            r"expected amount once .* Keep one of them",
        ),
        ('[column]\namount = "A"\n', DataError, r"found 'column'\. Did you mean 'columns'\?"),
        ("[floors]\nrocauc = 0.9\n", DataError, r"found 'rocauc'\. Did you mean 'roc_auc'\?"),
        ("[floors]\nroc_auc = 84\n", DataError, r"\[floors\] roc_auc .* between 0 and 1, got 84"),
        ("columns = 3\n", DataError, r"\[columns\] .* to be a table, got 3"),
        ("[columns\n", DataError, r"expected TOML in .*map\.toml"),
    ],
)
def test_a_wrong_map_says_what_and_where(tmp_path: Path, text: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        load(tmp_path, text)


def test_a_missing_map_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"column map at .*none\.toml, found no file"):
        ColumnMap.load(tmp_path / "none.toml")


def test_a_mapped_column_that_the_file_lacks_is_named_with_the_nearest() -> None:
    column_map = ColumnMap({"amount": "TX_AMUONT"})
    with pytest.raises(ColumnError, match=r"'TX_AMUONT' \(our amount\) in f\.csv.* Did you mean 'TX_AMOUNT'\?"):
        column_map.resolve(["TX_AMOUNT"], "f.csv")


def test_a_required_column_that_nobody_names_is_an_error() -> None:
    with pytest.raises(ColumnError, match=r"'user_id' in f\.csv, found .* Did you mean 'UserID'\?.*--columns"):
        ColumnMap().resolve(["UserID", "amount", "merchant_id", "timestamp"], "f.csv")


def test_nothing_is_suggested_where_nothing_is_near() -> None:
    assert did_you_mean("amount", ["zebra"]) == ""
