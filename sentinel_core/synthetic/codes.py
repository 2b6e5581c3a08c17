"""The code spaces of devices and addresses, and how codes become ids that give nothing away."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from sentinel_core.synthetic.vocabulary import CITY_NAMES, N_COUNTRIES, IntArray

SLOTS: Final = 6
"""Device codes a user: three generations of phone, a computer, a tablet, one spare."""
PHONE, COMPUTER, TABLET_SLOT = 0, 3, 4
RING_DEVICES: Final = 4
"""Devices, and as many addresses, of one ring."""
USERS_A_RING: Final = 200


@dataclass(frozen=True, slots=True)
class Codes:
    """Where each kind of device and address begins, for `n_users` users and at most `n_sequences` sequences.

    Devices: six a user, then four a ring, then one a sequence. Addresses: one home a user, four a ring, one a
    sequence, then the carriers' shared ones by country, then those of hotels and cafés by city.
    """

    n_users: int
    n_sequences: int

    @property
    def rings(self) -> int:
        """How many rings of organised attackers there are."""
        return max(2, self.n_users // USERS_A_RING)

    @property
    def ring_device(self) -> int:
        return self.n_users * SLOTS

    @property
    def fresh_device(self) -> int:
        return self.ring_device + self.rings * RING_DEVICES

    @property
    def ring_address(self) -> int:
        return self.n_users

    @property
    def fresh_address(self) -> int:
        return self.ring_address + self.rings * RING_DEVICES

    @property
    def carriers(self) -> int:
        """Shared carrier addresses a country."""
        return 4 + self.n_users // 100

    @property
    def carrier_address(self) -> int:
        return self.fresh_address + self.n_sequences

    @property
    def hotels(self) -> int:
        """Addresses of hotels and cafés a city."""
        return 8 + self.n_users // 500

    @property
    def hotel_address(self) -> int:
        return self.carrier_address + N_COUNTRIES * self.carriers

    def carrier(self, country: IntArray, uniform: IntArray) -> IntArray:
        """Choose one of the country's carrier addresses by a whole number."""
        return self.carrier_address + country * self.carriers + uniform % self.carriers

    def hotel(self, city: IntArray, uniform: IntArray) -> IntArray:
        """Choose one of the city's hotel or café addresses by a whole number."""
        return self.hotel_address + city * self.hotels + uniform % self.hotels

    @property
    def n_addresses(self) -> int:
        return self.hotel_address + len(CITY_NAMES) * self.hotels

    def address_texts(self, codes: IntArray) -> list[str]:
        """Spell address codes in ranges that belong to nobody: RFC 1918 for homes and hotels, RFC 6598 for carriers.

        Homes of customers and of attackers share one range in scrambled order.
        """
        home = (10 << 24) + _scramble(codes, 24)
        carrier = (100 << 24) + (64 << 16) + codes - self.carrier_address
        hotel = (172 << 24) + (16 << 16) + codes - self.hotel_address
        number = np.where(codes < self.carrier_address, home, np.where(codes < self.hotel_address, carrier, hotel))
        return [f"{n >> 24}.{n >> 16 & 255}.{n >> 8 & 255}.{n & 255}" for n in number.tolist()]


def device_texts(codes: IntArray) -> list[str]:
    """Spell device codes in scrambled order, so that an id tells neither its owner nor its kind."""
    return [f"device_{number:08x}" for number in _scramble(codes, 32).tolist()]


def _scramble(codes: IntArray, bits: int) -> IntArray:
    """Permute the whole numbers below 2^bits: odd multiplications and shifted exclusive ors (each can be undone)."""
    mask = np.uint64((1 << bits) - 1)
    x = codes.astype(np.uint64)
    for multiplier in (0x9E3779B1, 0x85EBCA6B):
        x = (x * np.uint64(multiplier)) & mask
        x ^= x >> np.uint64(bits // 2)
    return x.astype(np.int64)
