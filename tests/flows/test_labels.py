from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from sqlalchemy import Engine, text

from sentinel_core.datasets import statements
from sentinel_core.datasets.columns import ColumnMap
from sentinel_core.errors import ColumnError, DataError, StoreError
from sentinel_core.flows.labels import ingest_labels
from sentinel_core.schema import STATEMENT_COLUMN
from sentinel_core.settings import Settings
from sentinel_core.stores.history_load import load_transactions

NOW = datetime(2026, 6, 1, tzinfo=UTC)
OURS = ColumnMap(known=STATEMENT_COLUMN)


@pytest.fixture(autouse=True)
def _known(engine: Engine) -> None:
    columns = ("transaction_id", "user_id", "amount", "merchant_id", "timestamp", "arrived_at")
    with engine.begin() as conn:
        load_transactions(conn, columns, [(f"t{n}", "u", 1, "m", NOW, NOW) for n in range(40)], now=NOW)


def write(path: Path, **columns: Any) -> Path:
    """Write columns as CSV, or as Parquet with the types that they have."""
    frame = pd.DataFrame(columns)
    if path.suffix == ".parquet":
        frame.to_parquet(path)
    else:
        frame.to_csv(path, index=False)
    return path


def rows(engine: Engine, query: str) -> list[tuple[Any, ...]]:
    with engine.connect() as conn:
        return [tuple(row) for row in conn.execute(text(query))]


LABELS = "SELECT transaction_id, is_fraud, labelled_at, source, created_at FROM labels ORDER BY id"
OUTCOMES = "SELECT transaction_id, outcome, propensity, decided_at, source FROM outcomes ORDER BY id"


@pytest.mark.parametrize("name", ["chargebacks.csv", "chargebacks.parquet"])
def test_a_file_of_ids_is_one_of_chargebacks_known_now(
    settings: Settings, engine: Engine, tmp_path: Path, name: str
) -> None:
    file = write(tmp_path / name, transaction_id=["t2", "t1"])
    done = ingest_labels(settings, file, OURS, now=NOW)
    assert done == {
        "file": str(file),
        "rows": 2,
        "labels": {"recorded": 2, "known": 0},
        "outcomes": {"recorded": 0, "known": 0},
        "unknown": 0,
        "unknown_file": None,
        "rejected": 0,
        "rejected_file": None,
        "problem": None,
    }
    assert rows(engine, LABELS) == [(name, True, NOW, "chargeback", NOW) for name in ("t1", "t2")]
    again = ingest_labels(settings, file, OURS, now=NOW + timedelta(days=1))
    assert again["labels"] == {"recorded": 0, "known": 2}
    assert len(rows(engine, LABELS)) == 2


def test_a_row_says_what_its_cells_say(settings: Settings, engine: Engine, tmp_path: Path) -> None:
    file = write(
        tmp_path / "f.csv",
        transaction_id=["t0", "t1", "t2"],
        is_fraud=["no", "", "1"],
        labelled_at=["2026-05-01T10:00:00+02:00", "", ""],
        outcome=["explored", "declined", ""],
        propensity=["0.1", "", ""],
        decided_at=["2026-04-01", "", ""],
        source=["review", "", ""],
    )
    done = ingest_labels(settings, file, OURS, now=NOW)
    assert (done["labels"]["recorded"], done["outcomes"]["recorded"]) == (2, 2)
    assert rows(engine, LABELS) == [
        ("t0", False, datetime(2026, 5, 1, 8, tzinfo=UTC), "review", NOW),
        ("t2", True, NOW, "chargeback", NOW),
    ]
    assert rows(engine, OUTCOMES) == [
        ("t0", "explored", 0.1, datetime(2026, 4, 1, tzinfo=UTC), "review"),
        ("t1", "declined", None, NOW, "client"),
    ]


def test_a_file_of_outcomes_says_nothing_of_fraud(settings: Settings, engine: Engine, tmp_path: Path) -> None:
    file = write(tmp_path / "f.csv", transaction_id=["t0"], outcome=["challenged"])
    assert ingest_labels(settings, file, OURS, now=NOW)["outcomes"] == {"recorded": 1, "known": 0}
    assert rows(engine, LABELS) == []


def test_what_is_not_known_yet_is_kept_with_its_time_and_can_be_sent_again(
    settings: Settings, engine: Engine, tmp_path: Path
) -> None:
    bank = ColumnMap({"transaction_id": "ref"}, {"source": "bank"}, known=STATEMENT_COLUMN)
    file = write(tmp_path / "bank.csv", ref=["t1", "late", "t2"])
    first = ingest_labels(settings, file, bank, now=NOW)
    assert (first["unknown"], first["unknown_file"]) == (1, str(tmp_path / "bank.unknown.csv"))
    kept = tmp_path / "bank.unknown.csv"
    assert ingest_labels(settings, kept, OURS, now=NOW + timedelta(days=1))["unknown"] == 1
    columns = ("transaction_id", "user_id", "amount", "merchant_id", "timestamp", "arrived_at")
    with engine.begin() as conn:
        load_transactions(conn, columns, [("late", "u", 1, "m", NOW, NOW)], now=NOW)
    last = ingest_labels(settings, kept, OURS, now=NOW + timedelta(days=2))
    assert (last["labels"], last["unknown_file"]) == ({"recorded": 1, "known": 0}, None)
    assert rows(engine, LABELS)[-1] == ("late", True, NOW, "bank", NOW + timedelta(days=2))
    # The file that all of it came from leaves nothing aside any more.
    assert ingest_labels(settings, file, bank, now=NOW)["unknown"] == 0
    assert not kept.exists()


BAD: dict[str, tuple[dict[str, str], str]] = {
    "label": (
        {"is_fraud": "maybe"},
        r"true or false, 1 or 0 in the column 'is_fraud' of f\.csv, got 'maybe' in row 5\.",
    ),
    "time": ({"labelled_at": "soon"}, r"ISO 8601.* in the column 'labelled_at' of f\.csv, got 'soon' in row 5\."),
    "year": ({"labelled_at": "1960-01-01"}, r"column 'labelled_at' of f\.csv.*in row 5: must lie between 1971-01-01"),
    "id": (
        {"transaction_id": "x" * 129},
        r"column 'transaction_id' of f\.csv.*in row 5: String should have at most 128",
    ),
    "no id": ({"transaction_id": ""}, r"column 'transaction_id' of f\.csv, got None in row 5: Field required"),
    "outcome": ({"outcome": "lost"}, r"column 'outcome' of f\.csv, got 'lost' in row 5: Input should be 'approved'"),
    "alone": ({"outcome": "explored"}, r"column 'propensity' of f\.csv, got None in row 5: propensity must come with"),
    "chance": ({"propensity": "0.5"}, r"column 'outcome' of f\.csv, got None in row 5: Field required"),
    "nothing": ({"is_fraud": ""}, r"a value in the column 'is_fraud' or 'outcome' of f\.csv, got none in row 5\."),
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
def test_a_bad_row_is_named_and_kept_and_every_other_one_is_recorded(
    settings: Settings, engine: Engine, tmp_path: Path, bad: tuple[dict[str, str], str]
) -> None:
    wrong, message = bad
    good = {"is_fraud": "1", "labelled_at": "2026-05-01", "outcome": "", "propensity": ""}
    table = [{"transaction_id": f"t{n}", **good} for n in range(40)]
    table[4] |= wrong
    file = tmp_path / "f.csv"
    pd.DataFrame(table).to_csv(file, index=False)
    done = ingest_labels(settings, file, OURS, now=NOW)
    assert (done["labels"]["recorded"], done["rejected"], done["rows"]) == (39, 1, 40)
    with pytest.raises(ColumnError, match=message):
        raise ColumnError(done["problem"])
    kept = pd.read_csv(tmp_path / "f.rejected.csv", dtype=str, keep_default_na=False)
    assert kept.drop(columns="problem").to_dict("records") == [{**table[4], "row": "5"}]
    assert kept["problem"][0] in done["problem"]
    # Corrected, it may be sent again as it is.
    pd.DataFrame([{**kept.iloc[0], **table[3]}]).to_csv(tmp_path / "f.rejected.csv", index=False)
    again = ingest_labels(settings, tmp_path / "f.rejected.csv", OURS, now=NOW)
    assert (again["labels"], again["rejected"]) == ({"recorded": 0, "known": 1}, 0)


def test_what_is_wrong_with_a_whole_column_or_file_is_said_once(
    settings: Settings, engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ColumnError, match=r"expected the column 'transaction_id' in a\.csv, found id\..*--columns"):
        ingest_labels(settings, write(tmp_path / "a.csv", id=["t1"]), OURS, now=NOW)
    numbers = write(tmp_path / "b.parquet", transaction_id=["t1"], labelled_at=[1_700_000_000])
    with pytest.raises(ColumnError, match=r"a time in the column 'labelled_at' of b\.parquet, got the type int64"):
        ingest_labels(settings, numbers, OURS, now=NOW)
    (tmp_path / "broken.csv").write_text("transaction_id,is_fraud\nt1,1\nt2\n")
    with pytest.raises(DataError, match=r"expected CSV or Parquet in broken\.csv"):
        ingest_labels(settings, tmp_path / "broken.csv", OURS, now=NOW)
    monkeypatch.setattr(statements, "BAD_MOST", 5)
    monkeypatch.setattr(statements, "ROWS", 10)
    words = write(tmp_path / "c.csv", transaction_id=[f"t{n}" for n in range(40)], is_fraud=["1"] * 20 + ["x"] * 20)
    with pytest.raises(
        DataError, match=r"at most 5 rows .* in c\.csv, and the first 10 lie before row 31.*'x' in row 30"
    ):
        ingest_labels(settings, words, OURS, now=NOW)
    assert len(rows(engine, LABELS)) == 20
    assert not list(tmp_path.glob("*.part"))


def test_without_postgresql_nothing_is_lost(settings: Settings, tmp_path: Path) -> None:
    away = settings.model_copy(update={"database_url_given": "postgresql://nobody:x@127.0.0.1:1/none"})
    file = write(tmp_path / "f.csv", transaction_id=["t1"])
    with pytest.raises(StoreError, match="expected PostgreSQL at"):
        ingest_labels(away, file, OURS, now=NOW)
    assert list(tmp_path.glob("f*")) == [file]
