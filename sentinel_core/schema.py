"""The transaction and everything that is said about it: the only spelling of columns, types and bounds.

Three forms of the same fields are derived from here: the HTTP request (`Transaction`), the
table of a data set (`COLUMNS`) and the database row (`sentinel_core.stores.tables`).
Inside the feature kernel amounts are integer cents, times integer microseconds since the
epoch, and categories 64-bit hashes; `to_cents`, `to_micros` and `hash_text` are the only conversions.
"""

from __future__ import annotations

import hashlib
import ipaddress
import socket
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from enum import StrEnum
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, field_validator

AMOUNT_MAX: Final = 9_999_999.99
"""Largest amount, in units of the currency.

10^9 cents: the square of one amount fits in 60 bits, so the kernel's two-word sums of
squares stay exact for windows of two million events at the bound (docs/decisions/0003).
"""
ID_MAX_LENGTH: Final = 128
TEXT_MAX_LENGTH: Final = 64
TIMESTAMP_MIN: Final = datetime(1971, 1, 1, tzinfo=UTC)
TIMESTAMP_MAX: Final = datetime(2099, 12, 31, tzinfo=UTC)
MICROS_PER_SECOND: Final = 1_000_000


class ColumnType(StrEnum):
    """The type of a data-set column."""

    ID = "id"
    TEXT = "text"
    MONEY = "money"
    TIMESTAMP = "timestamp"
    FLOAT = "float"
    BOOLEAN = "boolean"


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a data set.

    `request` columns travel in an HTTP request; `required_in_request` and
    `required_in_data` say where a missing one is an error.
    """

    name: str
    type: ColumnType
    minimum: float | None = None
    maximum: float | None = None
    request: bool = True
    required_in_request: bool = False
    required_in_data: bool = False


COLUMNS: Final[tuple[Column, ...]] = (
    Column("transaction_id", ColumnType.ID),
    Column("user_id", ColumnType.ID, required_in_request=True, required_in_data=True),
    Column("amount", ColumnType.MONEY, 0.0, AMOUNT_MAX, required_in_request=True, required_in_data=True),
    Column("merchant_id", ColumnType.ID, required_in_request=True, required_in_data=True),
    Column("merchant_category", ColumnType.TEXT, required_in_request=True),
    Column("transaction_type", ColumnType.TEXT, required_in_request=True),
    Column("timestamp", ColumnType.TIMESTAMP, required_in_data=True),
    Column("device_id", ColumnType.ID),
    Column("device_type", ColumnType.TEXT),
    Column("ip_address", ColumnType.TEXT),
    Column("location_country", ColumnType.TEXT),
    Column("location_city", ColumnType.TEXT),
    Column("latitude", ColumnType.FLOAT, -90.0, 90.0),
    Column("longitude", ColumnType.FLOAT, -180.0, 180.0),
    Column("card_type", ColumnType.TEXT),
    Column("card_last_four", ColumnType.TEXT),
    Column("currency", ColumnType.TEXT, request=False),
    Column("outcome", ColumnType.TEXT, request=False),
    Column("propensity", ColumnType.FLOAT, 0.0, 1.0, request=False),
    Column("is_fraud", ColumnType.BOOLEAN, request=False),
    Column("labelled_at", ColumnType.TIMESTAMP, request=False),
    # Only generated data knows these two; they are judged against, never trained on.
    Column("is_fraud_true", ColumnType.BOOLEAN, request=False),
    Column("fraud_scenario", ColumnType.TEXT, request=False),
)
COLUMN: Final[dict[str, Column]] = {column.name: column for column in COLUMNS}
STATEMENT_COLUMN: Final[dict[str, Column]] = {
    column.name: column
    for column in (
        Column("transaction_id", ColumnType.ID, required_in_data=True),
        COLUMN["is_fraud"],
        COLUMN["labelled_at"],
        COLUMN["outcome"],
        COLUMN["propensity"],
        Column("decided_at", ColumnType.TIMESTAMP),
        Column("source", ColumnType.TEXT),
    )
}
"""The columns of a file that says what became of transactions which are known already: labels, outcomes or both."""
REQUEST_COLUMNS: Final[tuple[str, ...]] = tuple(c.name for c in COLUMNS if c.request)
CATEGORY_COLUMNS: Final[tuple[str, ...]] = (
    "merchant_category",
    "transaction_type",
    "device_type",
    "card_type",
    "location_country",
)
"""The raw categories that accompany every feature vector, in this order."""

BANK_TRANSFER: Final = "bank_transfer"
"""The `transaction_type` of a transfer between accounts; the others in use are purchase, online, withdrawal, refund."""

Outcome = Literal["approved", "challenged", "declined", "explored"]
Confidence = Literal["low", "medium", "high"]
MEDIUM_CONFIDENCE: Final = 0.65
HIGH_CONFIDENCE: Final = 0.85
"""From which probability of being right (inclusive) a decision has medium, and high, confidence."""


def to_cents(amount: float | Decimal | str) -> int:
    """Convert an amount to integer cents, rounding half to even at the third decimal.

    >>> to_cents(0.1 + 0.2), to_cents("12.34")
    (30, 1234)
    """
    if isinstance(amount, float):
        # Most amounts have two decimals: then this is what the text says, at a tenth of the price.
        cents = round(amount * 100) if abs(amount) <= AMOUNT_MAX else 0
        if cents / 100 == amount:
            return cents
    return int((Decimal(str(amount)) * 100).to_integral_value(ROUND_HALF_EVEN))


def to_micros(moment: datetime) -> int:
    """Convert an aware time to integer microseconds since 1970-01-01 UTC.

    Raises `ValueError` where the time has no zone.
    """
    if moment.tzinfo is None:
        raise ValueError(f"expected a time with a zone, got {moment.isoformat()}; attach UTC or the real zone")
    delta = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (delta.days * 86_400 + delta.seconds) * MICROS_PER_SECOND + delta.microseconds


def from_micros(micros: int) -> datetime:
    """Convert microseconds since 1970-01-01 UTC to an aware time; the inverse of `to_micros`."""
    seconds, rest = divmod(micros, MICROS_PER_SECOND)
    return datetime.fromtimestamp(seconds, tz=UTC).replace(microsecond=rest)


def hash_text(text: str | None) -> int:
    """Hash a category or an id to 64 bits by BLAKE2b; null is 0, and no text is.

    Equal in every process and on every machine, unlike `hash()` (RFC 7693).
    """
    if text is None:
        return 0
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little") or 1


def canonical_address(text: str) -> str:
    """Return an IP address in its one canonical spelling (RFC 5952), and any other text as it is."""
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return text


def _no_nul(text: str) -> str:
    if "\x00" in text:
        raise ValueError("must not contain the character NUL")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise ValueError("must be valid Unicode text (a lone surrogate cannot be stored)") from None
    return text


def _aware(moment: datetime) -> datetime:
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    if not TIMESTAMP_MIN <= moment <= TIMESTAMP_MAX:
        raise ValueError(f"must lie between {TIMESTAMP_MIN:%Y-%m-%d} and {TIMESTAMP_MAX:%Y-%m-%d}")
    return moment


def _no_bool(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("must be a number, not a boolean")  # noqa: TRY004 (pydantic reports ValueErrors)
    return value


def _address(text: str) -> str:
    try:
        # Most are IPv4, in their only spelling; the system's parser takes a tenth of the time.
        socket.inet_pton(socket.AF_INET, text)
    except OSError:
        return str(ipaddress.ip_address(text))
    return text


Identifier = Annotated[str, Field(min_length=1, max_length=ID_MAX_LENGTH), AfterValidator(_no_nul)]
Text = Annotated[str, Field(min_length=1, max_length=TEXT_MAX_LENGTH), AfterValidator(_no_nul)]
Reason = Annotated[str, Field(min_length=1, max_length=500), AfterValidator(_no_nul)]
Money = Annotated[float, Field(ge=0, le=AMOUNT_MAX, allow_inf_nan=False), BeforeValidator(_no_bool)]
Moment = Annotated[datetime, AfterValidator(_aware)]
"""A time; one without a zone is taken as UTC."""

MINIMAL_EXAMPLE: Final[dict[str, Any]] = {
    "user_id": "user_000042",
    "amount": 1250.0,
    "merchant_id": "merchant_00789",
    "merchant_category": "online_shopping",
    "transaction_type": "purchase",
}
"""A transaction with the five required fields alone."""
FULL_EXAMPLE: Final[dict[str, Any]] = {
    "transaction_id": "txn_0000000001",
    **MINIMAL_EXAMPLE,
    "timestamp": "2026-01-15T14:30:00Z",
    "device_id": "device_00123",
    "device_type": "mobile",
    "ip_address": "192.0.2.17",
    "location_country": "DE",
    "location_city": "Berlin",
    "latitude": 52.52,
    "longitude": 13.405,
    "card_type": "visa",
    "card_last_four": "4242",
}
"""A transaction with every field that a request may have."""


class Transaction(BaseModel):
    """A card transaction as a client sends it: five required fields, eleven optional ones.

    Amounts are in units of the deployment's currency (two decimals, 0 to `AMOUNT_MAX`); a
    timestamp without a zone is taken as UTC; unknown fields are refused.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        str_strip_whitespace=False,
    )

    user_id: Identifier
    amount: Money
    merchant_id: Identifier
    merchant_category: Text
    transaction_type: Text
    transaction_id: Identifier | None = None
    timestamp: Moment | None = None
    device_id: Identifier | None = None
    device_type: Text | None = None
    ip_address: Annotated[str, Field(max_length=45), AfterValidator(_address)] | None = None
    location_country: Text | None = None
    location_city: Annotated[str, Field(min_length=1, max_length=ID_MAX_LENGTH), AfterValidator(_no_nul)] | None = None
    latitude: Annotated[float, Field(ge=-90, le=90, allow_inf_nan=False), BeforeValidator(_no_bool)] | None = None
    longitude: Annotated[float, Field(ge=-180, le=180, allow_inf_nan=False), BeforeValidator(_no_bool)] | None = None
    card_type: Text | None = None
    card_last_four: Annotated[str, Field(pattern=r"^[0-9]{4}$")] | None = None


class Prediction(BaseModel):
    """The answer to one transaction.

    `fraud_score` is a calibrated probability from 0 to 1; `prediction` is true where it
    reaches the model's threshold; `confidence` says how probable it is that the prediction is right;
    `inference_time_ms` is the time spent in this service. `explored` is true, and only then there,
    where the transaction is to be let through all the same: a small random share of what is
    declined, off unless SENTINEL_EXPLORE_SHARE is set. `warning` is there only where the model is
    below its floor: it names each floor and the figure.
    """

    model_config = ConfigDict(frozen=True, protected_namespaces=())

    transaction_id: str
    fraud_score: float = Field(ge=0, le=1)
    prediction: bool
    confidence: Confidence = Field(
        description=f"The probability that the prediction is right: low below {MEDIUM_CONFIDENCE}, "
        f"medium from {MEDIUM_CONFIDENCE} to below {HIGH_CONFIDENCE}, high from {HIGH_CONFIDENCE}."
    )
    model_version: str
    inference_time_ms: float = Field(ge=0)
    cached: bool = False
    degraded: bool = False
    warning: str | None = Field(None, exclude_if=lambda warning: warning is None)
    explored: bool = Field(False, exclude_if=lambda explored: not explored)


class Label(BaseModel):
    """What a transaction turned out to be, and when that became known.

    `source` names who said so (chargeback, review, customer, …). `labelled_at` defaults to the
    time of arrival.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    transaction_id: Identifier
    is_fraud: bool
    labelled_at: Moment | None = None
    source: Text = "chargeback"


class OutcomeReport(BaseModel):
    """What became of a payment: a score is not its fate.

    `declined` and `challenged` ones did not go through as they were; an `explored` one would have been declined and was
    let through by chance, `propensity` (0 to 1) being that chance. `decided_at` defaults to the time of arrival.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    transaction_id: Identifier
    outcome: Outcome
    propensity: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False), BeforeValidator(_no_bool)] | None = Field(
        None, validate_default=True
    )
    decided_at: Moment | None = None
    source: Text = "client"

    @field_validator("propensity")
    @classmethod
    def _propensity_of_explored(cls, propensity: float | None, info: ValidationInfo) -> float | None:
        # An outcome that is not valid itself is not there.
        outcome = info.data.get("outcome")
        if outcome is not None and (outcome == "explored") != (propensity is not None):
            raise ValueError(
                f"propensity must come with the outcome explored, and with no other: got {propensity} with {outcome}"
            )
        return propensity
