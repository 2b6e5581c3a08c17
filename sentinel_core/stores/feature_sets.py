"""The table `feature_sets`: names and definition hashes of the catalogues that vectors were logged under."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, select, text

from sentinel_core.stores.tables import feature_sets

_INSERT = text(
    """
    INSERT INTO feature_sets (id, features)
    SELECT s.id, s.features FROM json_to_record(CAST(:body AS json)) AS s (id text, features jsonb)
    ON CONFLICT DO NOTHING
    """
)


def insert_feature_set(conn: Connection, body: bytes) -> None:
    """Insert a feature set from the body of its stream entry; one that is there stays."""
    conn.execute(_INSERT, {"body": body.decode()})


def add_feature_set(conn: Connection, set_id: str, features: Sequence[Mapping[str, str]]) -> None:
    """Insert a feature set, [{"name": …, "hash": …}, …] in vector order; one that is there stays."""
    insert_feature_set(conn, json.dumps({"id": set_id, "features": list(features)}).encode())


def get_feature_set(conn: Connection, set_id: str) -> list[dict[str, str]] | None:
    """Return a feature set in vector order, or None where no vector was ever logged under it."""
    return conn.execute(select(feature_sets.c.features).where(feature_sets.c.id == set_id)).scalar_one_or_none()
