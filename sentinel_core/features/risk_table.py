"""The risk table of one midnight: what every row of a day looks merchant and country risk up in."""

from __future__ import annotations

import io
import zipfile
import zlib
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sentinel_core.errors import BundleError
from sentinel_core.features.events import Hash

Float32 = NDArray[np.float32]

RECENCY_DAYS: Final = 90
"""How far back the last known fraud of a merchant is looked for, and its distance where there is none."""
MERCHANT_NAMES: Final = (
    "merchant_risk_score",
    "merchant_risk_1d",
    "merchant_risk_7d",
    "merchant_count_1d",
    "merchant_count_7d",
    "merchant_count_30d",
    "merchant_recent_known_frauds",
    "merchant_days_since_known_fraud",
)
COUNTRY_NAMES: Final = ("country_risk_score",)
RISK_NAMES: Final = MERCHANT_NAMES + COUNTRY_NAMES
_FOREIGN: Final = (ValueError, KeyError, OSError, TypeError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error)
"""What reading an archive raises, depending on the byte that is wrong: a test flips each."""


@dataclass(frozen=True, slots=True)
class RiskTable:
    """Risk by merchant and by country as of one midnight (`as_of`, µs; 0 for the empty table).

    Keys are sorted 64-bit hashes, none of them 0 (null); each matrix, float32, has a row a key and a last one for
    keys that it does not hold: the prior, with counts of zero.
    """

    as_of: int
    merchants: Hash
    merchant_values: Float32
    countries: Hash
    country_values: Float32

    @classmethod
    def empty(cls) -> RiskTable:
        """Return the table of a system that knows no label: every risk 0."""
        nobody = np.empty(0, dtype=np.uint64)
        unknown = np.zeros((1, len(MERCHANT_NAMES)), dtype=np.float32)
        unknown[0, MERCHANT_NAMES.index("merchant_days_since_known_fraud")] = RECENCY_DAYS
        return cls(0, nobody, unknown, nobody, np.zeros((1, len(COUNTRY_NAMES)), dtype=np.float32))

    def lookup(self, merchant: Hash, country: Hash) -> dict[str, Float32]:
        """Return each risk feature of rows in the catalogue's order: name → float32, shape (n,)."""
        merchant_values = _find(self.merchants, self.merchant_values, merchant)
        country_values = _find(self.countries, self.country_values, country)
        columns = dict(zip(MERCHANT_NAMES, merchant_values.T, strict=True))
        return columns | dict(zip(COUNTRY_NAMES, country_values.T, strict=True))

    def to_bytes(self) -> bytes:
        """Write the table as an .npz archive without pickle."""
        buffer = io.BytesIO()
        np.savez_compressed(
            buffer,
            as_of=np.int64(self.as_of),
            merchants=self.merchants,
            merchant_values=self.merchant_values,
            countries=self.countries,
            country_values=self.country_values,
        )
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, blob: bytes) -> RiskTable:
        """Read what `to_bytes` wrote; raises `BundleError` for anything else."""
        try:
            with np.load(io.BytesIO(blob), allow_pickle=False) as archive:
                table = cls(
                    int(archive["as_of"]),
                    archive["merchants"].astype(np.uint64, casting="equiv"),
                    archive["merchant_values"].astype(np.float32, casting="equiv"),
                    archive["countries"].astype(np.uint64, casting="equiv"),
                    archive["country_values"].astype(np.float32, casting="equiv"),
                )
        except _FOREIGN as error:
            raise BundleError(
                f"expected a risk table in .npz form, found {len(blob)} bytes of something else: {error}.",
                remedy="The next daily refresh replaces a published table; a bundle's is made by training again.",
            ) from None
        table._check()
        return table

    def _check(self) -> None:
        parts = (
            ("merchant", self.merchants, self.merchant_values, len(MERCHANT_NAMES)),
            ("country", self.countries, self.country_values, len(COUNTRY_NAMES)),
        )
        for name, keys, values, width in parts:
            if keys.ndim != 1 or values.shape != (len(keys) + 1, width):
                raise BundleError(
                    f"expected a {name} matrix of shape {(keys.size + 1, width)} in the risk table,"
                    f" found {values.shape} for keys of shape {keys.shape}.",
                    remedy="The table is of another release: make it again.",
                )
            if (keys[1:] <= keys[:-1]).any() or not np.isfinite(values).all():
                raise BundleError(
                    f"expected ascending {name} keys and finite values in the risk table, found others.",
                    remedy="The table is broken: make it again.",
                )


def _find(keys: Hash, values: Float32, wanted: Hash) -> Float32:
    """Return the row of `values` for each wanted key, the last row for those that are not in `keys`."""
    if len(keys) == 0:
        return values.repeat(len(wanted), axis=0)
    at = np.minimum(keys.searchsorted(wanted), len(keys) - 1)
    found: Float32 = values.take(np.where(keys[at] == wanted, at, len(keys)), axis=0)
    return found
