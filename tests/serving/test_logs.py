"""Log lines: JSON, masked, and failures without the data that caused them."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from serving import logs


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    handlers, level = logging.root.handlers, logging.root.level
    stream = io.StringIO()
    logs.configure("INFO", process="serving", stream=stream)
    yield stream
    logging.root.handlers, logging.root.level = handlers, level
    structlog.reset_defaults()


def read(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_is_one_json_object_with_time_level_process_and_fields(lines: io.StringIO) -> None:
    logs.get_logger("serving.test").info("model in service", version="v20260101_000000")
    (line,) = read(lines)
    assert line["event"] == "model in service"
    assert (line["level"], line["process"], line["version"]) == ("info", "serving", "v20260101_000000")
    assert str(line["time"]).endswith("Z")


def test_what_must_not_be_read_is_masked_at_any_depth(lines: io.StringIO) -> None:
    logs.get_logger("serving.test").info(
        "request",
        card_last_four="4242",
        body={"ip_address": "203.0.113.7", "items": [{"card_last_four": "1111"}], "device_id": None},
        url="postgresql+psycopg2://sentinel:hunter2@127.0.0.1/db",
    )
    text = lines.getvalue()
    for secret in ("4242", "1111", "203.0.113.7", "hunter2"):
        assert secret not in text
    assert read(lines)[0]["url"] == "postgresql+psycopg2://***@127.0.0.1/db"


@pytest.mark.parametrize(
    "text",
    [
        "refused {'card_last_four': '4242', 'ip_address': '203.0.113.7'}",
        '{"card_last_four":"4242","ip_address":"203.0.113.7"}',
        "Transaction(card_last_four='4242', ip_address='203.0.113.7')",
        "card_last_four=4242 ip_address=203.0.113.7, key sml_0123456789abcdefghijABCDEFGHIJ0123456789-_x",
    ],
)
def test_what_stands_in_the_middle_of_a_text_is_masked_too(lines: io.StringIO, text: str) -> None:
    logs.get_logger("serving.test").info(text, reason=text)
    logs.get_logger("serving.test").error("batch failed", exc_info=ValueError(text))
    for secret in ("4242", "203.0.113.7", "0123456789abcdef"):
        assert secret not in lines.getvalue()
    assert lines.getvalue().count("card_last_four") == 3, "what was hidden can be seen"


def refuse_a_row() -> None:
    raise ValueError("refused\nDETAIL: row (203.0.113.7, 4242)")


def test_a_failure_names_its_type_its_first_line_and_its_frames(lines: io.StringIO) -> None:
    try:
        refuse_a_row()
    except ValueError:
        logs.get_logger("serving.test").exception("batch failed")
    (line,) = read(lines)
    assert line["error"] == "ValueError: refused"
    assert "203.0.113.7" not in lines.getvalue()
    assert isinstance(line["frames"], list) and "test_logs.py" in line["frames"][0]


def test_the_lines_of_libraries_take_the_same_way_out(lines: io.StringIO) -> None:
    logging.getLogger("some.library").warning("password in redis://:secret@host")
    (line,) = read(lines)
    assert (line["event"], line["logger"]) == ("password in redis://***@host", "some.library")
