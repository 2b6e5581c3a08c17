from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sentinel_core.datasets.logged import LOGGED, LoggedFile, LoggedVectors
from sentinel_core.datasets.snapshot import load_snapshot, write_snapshot
from tests.datasets.frames import frame

NOW = datetime(2026, 2, 1, tzinfo=UTC)
TERMS = {"profile": "database", "floors": {}, "as_of": NOW.isoformat(), "label_delay_days": 7.0}
NAN = np.nan
VECTORS = LoggedVectors(
    rows=np.array([0, 2]),
    risk_as_of=np.array([0, 86_400_000_000]),
    definitions=("amount:a1", "hour_of_day:b2"),
    values=np.array([[0.1, NAN], [-3.5, 7.0]], np.float32),
)


def test_vectors_lie_in_the_snapshot_and_come_back_bit_for_bit(tmp_path: Path) -> None:
    rows = frame(tmp_path)
    made = write_snapshot(rows, tmp_path, source={}, terms=TERMS, cleaning={}, now=NOW, logged=VECTORS)
    assert load_snapshot(tmp_path, made.id).manifest["logged"] == {"rows": 2, "content_hash": VECTORS.content_hash()}
    assert (made.path / LOGGED).stat().st_mode & 0o777 == 0o444
    file = LoggedFile(made.path / LOGGED)
    assert (file.rows.tolist(), file.risk_as_of.tolist()) == ([0, 2], [0, 86_400_000_000])
    for place, name in enumerate(("amount", "hour_of_day")):
        column = file.column(name, ("a1", "b2")[place])
        assert column is not None
        assert column.dtype == np.float32
        np.testing.assert_array_equal(column, VECTORS.values[:, place])
    assert file.column("amount", "b2") is None, "another definition"
    assert file.column("row", "a1") is None
    file.close()
    plain = write_snapshot(rows, tmp_path, source={}, terms=TERMS, cleaning={}, now=NOW)
    assert plain.id != made.id
    assert "logged" not in plain.manifest
    assert not (plain.path / LOGGED).exists()


@pytest.mark.parametrize(
    "change",
    [
        {"rows": np.array([0, 1])},
        {"risk_as_of": np.array([0, 0])},
        {"definitions": ("amount:a2", "hour_of_day:b2")},
        {"values": np.array([[0.1, 7.0], [-3.5, NAN]], np.float32)},
    ],
    ids=["row", "midnight", "definition", "value"],
)
def test_the_hash_covers_everything_that_was_logged(change: dict[str, Any]) -> None:
    assert VECTORS.content_hash() == replace(VECTORS, values=VECTORS.values.copy(order="F")).content_hash()
    assert VECTORS.content_hash() != replace(VECTORS, **change).content_hash()
