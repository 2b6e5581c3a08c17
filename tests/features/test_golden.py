from __future__ import annotations

import json

from tests.features.golden import FILE, fingerprints


def test_values_change_only_together_with_their_definition() -> None:
    """A model trained on the old values would be accepted beside the new ones: the hash has to tell."""
    kept, now = json.loads(FILE.read_text(encoding="utf-8")), fingerprints()
    for name in kept.keys() & now.keys():
        if kept[name]["definition"] == now[name]["definition"]:
            assert kept[name]["values"] == now[name]["values"], (
                f"{name} has other values under the same definition: change its words in the catalogue, or undo it"
            )
    assert kept == now, "definitions changed: python -m tests.features.golden"
