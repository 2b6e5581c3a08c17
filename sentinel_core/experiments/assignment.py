"""Which of two models a user sees: by a hash of the user, so that the answer is stable and needs no memory."""

from __future__ import annotations

from typing import Final, Literal

from sentinel_core.errors import ExperimentError
from sentinel_core.schema import hash_text

Arm = Literal["model_a", "model_b"]
ARMS: Final[tuple[Arm, Arm]] = ("model_a", "model_b")
_HASHES: Final = 2**64


def assign(key: str, *, experiment: str, share_a: float) -> Arm:
    """Return the arm of a key, such as a user id: `share_a` of all keys see model_a.

    The key is hashed together with the experiment's name (BLAKE2b), so that it is in the same arm in every process, and
    two experiments divide the users independently of each other.

    >>> assign("u1", experiment="spring", share_a=0.5) == assign("u1", experiment="spring", share_a=0.5)
    True
    """
    return "model_a" if hash_text(f"{experiment}\x1f{key}") < share_a * _HASHES else "model_b"


def require_split(share_a: float) -> None:
    """Raise `ExperimentError` for a share that leaves an arm without traffic."""
    if isinstance(share_a, bool) or not isinstance(share_a, int | float) or not 0 < share_a < 1:
        raise ExperimentError(
            f"expected traffic_split to lie between 0 and 1, both excluded, got {share_a!r}: it is the share of"
            " model_a, and each arm needs traffic.",
            remedy="Give a share such as 0.5; to score with one model alone, leave the experiment out.",
        )
