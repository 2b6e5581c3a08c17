"""The names of everything in Redis.

A user's history, answers and stream carry the same hash tag `{s}`, so that one script may touch
them all on a Redis Cluster too. A device, an address or a merchant has a slot of its own.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

from sentinel_core.settings import Settings


def slot(entity_id: str, slots: int) -> int:
    """Return the slot of a user or another entity: CRC32 of the id's UTF-8 bytes, modulo the number of slots."""
    return zlib.crc32(entity_id.encode("utf-8", "surrogatepass")) % slots


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of one deployment: a namespace and its number of slots."""

    namespace: str
    slots: int

    @classmethod
    def of(cls, settings: Settings) -> Keys:
        """Take namespace and slots from the settings."""
        return cls(settings.redis_namespace, settings.redis_slots)

    def tag(self, entity_id: str) -> str:
        """Return the prefix that an entity's keys share: namespace and slot."""
        return f"{self.namespace}:{{{slot(entity_id, self.slots)}}}"

    def history(self, entity_id: str, kind: str = "user") -> str:
        """Return the key of an entity's history."""
        return f"{self.tag(entity_id)}:h:{kind}:{entity_id}"

    def answer(self, user_id: str, transaction_id: str) -> str:
        """Return the key of the answer to a transaction."""
        return f"{self.tag(user_id)}:a:{transaction_id}"

    def quarantine(self, entity_id: str, kind: str = "user") -> str:
        """Return the key under which a foreign history is kept."""
        return f"{self.tag(entity_id)}:q:{kind}:{entity_id}"

    def stream(self, number: int) -> str:
        """Return the key of the event stream of slot `number`."""
        return f"{self.namespace}:{{{number}}}:events"

    def streams(self) -> list[str]:
        """Return the keys of all event streams, by slot."""
        return [self.stream(number) for number in range(self.slots)]

    def counts(self, number: int) -> str:
        """Return the key of the counters of slot `number`: late, late_touches, capped and quarantined."""
        return f"{self.namespace}:{{{number}}}:counts"

    @property
    def risk(self) -> str:
        """The key of the current risk tables."""
        return f"{self.namespace}:risk:current"

    def requests(self, caller: str) -> str:
        """Return the key of the number of requests that a caller sent lately."""
        return f"{self.tag(caller)}:r:{caller}"

    def for_history(self, entity_id: str, kind: str) -> tuple[str, str, str]:
        """Return the keys that scripts/history.lua names, in its order."""
        tag = self.tag(entity_id)
        return f"{tag}:h:{kind}:{entity_id}", f"{tag}:q:{kind}:{entity_id}", f"{tag}:counts"

    def for_record(self, user_id: str, transaction_id: str) -> tuple[str, ...]:
        """Return the keys of scripts/record.lua, in its order."""
        tag = self.tag(user_id)
        own = (f"{tag}:a:{transaction_id}", f"{tag}:events", f"{tag}:l:{transaction_id}")
        return (*self.for_history(user_id, "user"), *own)

    def for_commit(self, user_id: str, transaction_id: str) -> tuple[str, str]:
        """Return the keys of scripts/commit.lua, in its order."""
        tag = self.tag(user_id)
        return f"{tag}:a:{transaction_id}", f"{tag}:events"
