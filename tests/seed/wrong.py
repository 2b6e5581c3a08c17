"""Every field of a request, wrong in each way that it can be, and what the message must say. `...` leaves it out."""

from __future__ import annotations

from typing import Any

WRONG: dict[str, list[tuple[Any, str]]] = {
    "user_id": [
        (..., "required"),
        (None, "string"),
        (42, "string"),
        (["u"], "string"),
        ("", "at least 1 character"),
        ("u" * 129, "at most 128 characters"),
        ("a\x00b", "NUL"),
    ],
    "amount": [
        (..., "required"),
        (None, "number"),
        ("a lot", "number"),
        (True, "number, not a boolean"),
        ({}, "number"),
        (-0.01, "greater than or equal to 0"),
        (10_000_000, "less than or equal to 9999999.99"),
        ("NaN", "finite number"),
    ],
    "merchant_id": [
        (..., "required"),
        (None, "string"),
        (7, "string"),
        ("", "at least 1 character"),
        ("m" * 129, "at most 128 characters"),
    ],
    "merchant_category": [
        (..., "required"),
        (None, "string"),
        (5411, "string"),
        ("", "at least 1 character"),
        ("c" * 65, "at most 64 characters"),
    ],
    "transaction_type": [
        (..., "required"),
        (None, "string"),
        (1, "string"),
        ("", "at least 1 character"),
        ("t" * 65, "at most 64 characters"),
    ],
    "transaction_id": [(12, "string"), ("", "at least 1 character"), ("t" * 129, "at most 128 characters")],
    "timestamp": [
        ("yesterday", "datetime"),
        ("", "datetime"),
        (True, "datetime"),
        ({}, "datetime"),
        ("1970-12-31T23:59:59Z", "between 1971-01-01 and 2099-12-31"),
        ("2100-01-01T00:00:00Z", "between 1971-01-01 and 2099-12-31"),
        ("2026-02-30T00:00:00Z", "datetime"),
    ],
    "device_id": [(9, "string"), ("", "at least 1 character"), ("d" * 129, "at most 128 characters")],
    "device_type": [(9, "string"), ("", "at least 1 character"), ("d" * 65, "at most 64 characters")],
    "ip_address": [
        (9, "string"),
        ("", "IPv4 or IPv6"),
        ("256.0.0.1", "IPv4 or IPv6"),
        ("somewhere", "IPv4 or IPv6"),
        ("1" * 46, "at most 45 characters"),
    ],
    "location_country": [(49, "string"), ("", "at least 1 character"), ("C" * 65, "at most 64 characters")],
    "location_city": [(49, "string"), ("", "at least 1 character"), ("C" * 129, "at most 128 characters")],
    "latitude": [
        ("north", "number"),
        (True, "number, not a boolean"),
        (90.1, "less than or equal to 90"),
        (-90.1, "greater than or equal to -90"),
    ],
    "longitude": [
        ("east", "number"),
        (False, "number, not a boolean"),
        (180.1, "less than or equal to 180"),
        (-180.1, "greater than or equal to -180"),
    ],
    "card_type": [(4, "string"), ("", "at least 1 character"), ("v" * 65, "at most 64 characters")],
    "card_last_four": [
        (4242, "string"),
        ("", "[0-9]{4}"),
        ("424", "[0-9]{4}"),
        ("42424", "[0-9]{4}"),
        ("42x2", "[0-9]{4}"),
        ("4242\n", "[0-9]{4}"),
    ],
}
WRONG_FIELDS = [(field, value, bound) for field, cases in WRONG.items() for value, bound in cases]
