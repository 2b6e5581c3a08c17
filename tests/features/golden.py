"""Fingerprints of every feature's values on one small table, kept beside its definition's hash in golden.json.

Write them anew, after a definition changed in words and in code: python -m tests.features.golden
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from sentinel_core.features.build import build_offline
from sentinel_core.features.catalog import CATALOGUE, POSITION
from sentinel_core.features.risk import RiskHistory
from tests.features.oracle import DAY
from tests.features.worlds import busy_world

FILE = Path(__file__).with_name("golden.json")


def fingerprints() -> dict[str, dict[str, str]]:
    """Return by feature its definition's hash and a digest of its values' bits."""
    # Small amounts: the logarithm of those has the same float32 on every processor.
    world = busy_world(400, seed=11, users=12, jitter=2 * DAY, share=0.2, max_cents=20_000)
    risk = RiskHistory(world.events(), world.label_arrays(), world.delay)
    values = build_offline(world.events(), risk).values
    return {
        one.name: {
            "definition": one.definition_hash,
            "values": hashlib.blake2b(values[:, POSITION[one.name]].tobytes(), digest_size=8).hexdigest(),
        }
        for one in CATALOGUE
    }


if __name__ == "__main__":
    FILE.write_text(json.dumps(fingerprints(), indent=2) + "\n", encoding="utf-8")
