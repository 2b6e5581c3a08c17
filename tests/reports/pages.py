"""What a page holds, read back from its HTML."""

from __future__ import annotations

from html.parser import HTMLParser

VOID = {"meta", "img", "br", "link"}


class Page(HTMLParser):
    """Tags with their attributes in order, the text, and whether every tag was closed in its place."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.text: list[str] = []
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] != "style":
            self.text.append(data)

    def of(self, tag: str) -> list[dict[str, str]]:
        """Return the attributes of every tag of a name."""
        return [attributes for name, attributes in self.tags if name == tag]

    @property
    def said(self) -> str:
        """The text of the page in one line."""
        return " ".join(" ".join(self.text).split())


def outside(page: Page) -> list[str]:
    """Return every address that the page would fetch or lead to outside of itself."""
    named = [a[key] for _, a in page.tags for key in ("src", "href", "action", "data", "srcset") if key in a]
    return [address for address in named if not address.startswith(("#", "data:"))]
