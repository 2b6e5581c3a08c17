"""The report in a real browser: nothing runs over the edge of a narrow window, and every picture is drawn."""

from __future__ import annotations

import html
import re
import subprocess
from pathlib import Path

import pytest

from sentinel_core.flows.card import model_report
from sentinel_core.reports.page import to_html
from tests.flows.test_report import VERDICT, findings, full_manifest

QUIET = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--virtual-time-budget=5000"),
)
# The page forbids scripts, its own and anybody's: a frame around it measures.
FRAME = """<body><iframe width="{width}" height="900" srcdoc="{page}"></iframe><script>
onload = () => {{
  const inside = document.querySelector("iframe").contentDocument;
  const pictures = [...inside.images].filter(image => image.complete && image.naturalWidth > 100).length;
  document.body.dataset.found = [inside.documentElement.scrollWidth, pictures, inside.images.length].join(" ");
}};
</script></body>"""


@pytest.mark.browser
@pytest.mark.parametrize("width", [320, 768, 1280])
def test_the_page_fits_its_window_and_shows_its_pictures(browser: str, tmp_path: Path, width: int) -> None:
    name = "merchant_category " + "no_blank_in_it_" * 12
    segments = tuple(segment.model_copy(update={"name": name}) for segment in findings().segments)
    page = to_html(model_report(full_manifest(tmp_path / "bundle"), findings(segments=segments), VERDICT))
    frame = tmp_path / "frame.html"
    frame.write_text(FRAME.format(width=width, page=html.escape(page)), encoding="utf-8")
    command = [browser, *QUIET, f"--user-data-dir={tmp_path / 'profile'}", "--window-size=1400,1000", "--dump-dom"]
    dom = subprocess.run([*command, frame.as_uri()], capture_output=True, text=True, check=True, timeout=120).stdout
    found = re.search(r'data-found="(\d+) (\d+) (\d+)"', dom)
    assert found, dom[-500:]
    scrolled, drawn, pictures = map(int, found.groups())
    assert scrolled <= width
    assert drawn == pictures == 5
