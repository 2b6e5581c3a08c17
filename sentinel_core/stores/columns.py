"""The parts that the tables are made of: the metadata, and columns and checks that come again and again."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import BigInteger, CheckConstraint, Column, DateTime, Identity, MetaData, func, text
from sqlalchemy.dialects.postgresql import JSONB

from sentinel_core.schema import ID_MAX_LENGTH

metadata: Final = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def id_check(column: str) -> CheckConstraint:
    """Check the length of an id."""
    return CheckConstraint(f"char_length({column}) BETWEEN 1 AND {ID_MAX_LENGTH}", name=f"{column}_length")


def one_of(column: str, *values: str) -> CheckConstraint:
    """Check that a text is one of those known."""
    return CheckConstraint(f"{column} IN ({', '.join(repr(value) for value in values)})", name=f"{column}_known")


def between(column: str, low: float, high: float) -> CheckConstraint:
    """Check a number's range, ends included."""
    # NaN sorts above every number in PostgreSQL, so the upper bound refuses it too.
    return CheckConstraint(f"{column} BETWEEN {low} AND {high}", name=f"{column}_range")


def moment(name: str, *, nullable: bool = False) -> Column[Any]:
    """Declare a time with a zone."""
    return Column(name, DateTime(timezone=True), nullable=nullable)


def created_at() -> Column[Any]:
    """Declare when the row was written."""
    return Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now())


def serial() -> Column[Any]:
    """Declare a key that counts rows."""
    return Column("id", BigInteger, Identity(always=True), primary_key=True)


def details(name: str = "details") -> Column[Any]:
    """Declare a JSON object, empty by default."""
    return Column(name, JSONB, nullable=False, server_default=text("'{}'::jsonb"))
