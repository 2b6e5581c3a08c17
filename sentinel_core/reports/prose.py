"""What a model card says of every model here: what it is for, and where it ends."""

from __future__ import annotations

from typing import Final

from sentinel_core.reports.document import Section, Text

_USE: Final = (
    "To rank and flag card transactions of the deployment whose data it was trained on, at the moment of payment, from"
    " what the request and the histories of its entities say. A flag is a reason to check, challenge or decline a"
    " payment under a policy that people own; it is not evidence against a person, and not meant for credit, insurance"
    " or any decision but that on a payment."
)
_GENERATED: Final = (
    "Its data is generated: the figures show that the machinery works, not how it would do on real payments."
)
_LABELS: Final = (
    "It knows the kinds of fraud that its labels knew, at the rate of its data, in its currency. Fraud that nobody"
    " reported counts as legitimate, and what was declined without a label is in no figure."
)
_NEW: Final = (
    "A user's first transactions are judged by what they are, not by how unusual. What happened in the last {days:g}"
    " days before training's clock is in no part: its labels were not known."
)
_TRAITS: Final = (
    "It reads countries, devices and merchants, no personal traits; a country or a device may stand for one all the"
    " same. Compare the segments above before it decides alone, and watch them while it does."
)


def use_section(profile: str) -> Section:
    """Say what the model is meant for; generated data has a word of its own."""
    said = (_USE, _GENERATED) if profile == "synthetic" else (_USE,)
    return Section("Intended use", tuple(Text(text) for text in said))


def limits_section(label_delay_days: float) -> Section:
    """Say what the model does not know."""
    said = (_LABELS, _NEW.format(days=label_delay_days), _TRAITS)
    return Section("Limits", tuple(Text(text) for text in said))
