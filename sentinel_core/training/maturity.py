"""Labels by silence: a payment that went through, and that nobody called fraud within the label window.

Fraud is reported one by one and early, silence counts late and all at once. Parts of a training that took each label
from the moment at which it was certain would hold months of legitimate rows, and then weeks of nothing but frauds.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

WENT_THROUGH: Final = ("approved", "explored")
"""The outcomes of payments that went through: had one been fraud, somebody would have said so."""


def judged_whole(
    is_fraud: NDArray[np.int8],
    known_at: NDArray[np.int64],
    time: NDArray[np.int64],
    outcome: NDArray[Any],
    *,
    label_window: int,
    label_delay: int,
) -> tuple[NDArray[np.int8], NDArray[np.int64]]:
    """Return labels (int8, -1 unknown) and times at which they count (µs) that leave no period half judged; [n] each.

    From the first payment on that went through (`outcome`) and is not judged yet, no label counts: those that are there
    are frauds, mostly. Before it, a payment that silence made legitimate, `label_window` (µs) after it happened, counts
    from the typical delay of a label on, as in a file.
    """
    pending = (is_fraud < 0) & np.isin(outcome, WENT_THROUGH)
    upto = time[pending].min() if pending.any() else np.iinfo(np.int64).max
    by_silence = (is_fraud == 0) & (known_at == time + label_window)
    labels = np.where(time < upto, is_fraud, -1).astype(np.int8)
    return labels, np.where(by_silence, time + min(label_delay, label_window), known_at)
