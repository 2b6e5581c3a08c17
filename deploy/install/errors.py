"""What went wrong in one line: the output of pip and uv is for people who know them."""

from __future__ import annotations

import os
import re

_DISK = ("No space left on device", "os error 28", "Disk quota exceeded")
_DENIED = ("Permission denied", "Read-only file system", "Operation not permitted")
_NETWORK = (
    *("error sending request", "Connection refused", "ConnectTimeout", "ReadTimeout", "dns error", "tunnel error"),
    *(
        "ProxyError",
        "Cannot connect to proxy",
        "NewConnectionError",
        "name resolution",
        "timed out",
        "Network is unreach",
    ),
    *("Request failed after", "HTTP status", "invalid peer certificate", "CERTIFICATE_VERIFY_FAILED", "offline mode"),
)
_NO_WHEEL = re.compile(r"Because (?:only )?(\S+?)(?:\[\S*\])? has no (?:\S+ )?wheels|Wheels are required for `([^`]+)`")
_NO_VERSION = re.compile(r"there is no version of (\S+?)(?: and|,)|No matching distribution found for (\S+)")
_HASH = re.compile(r"Hash mismatch for `?([^`\s]+)|hashes? (?:do not|mismatch)")
_PATH = re.compile(r"[`'\" ](/[^`'\"]+?)[`'\"]?(?:: | \()?(?:" + "|".join(_DENIED) + ")")
_PROXIES = ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "HTTP_PROXY", "http_proxy")


class InstallError(Exception):
    """What was expected, what came, and the remedy; printed as one line."""

    def __init__(self, what: str, remedy: str, *, network: bool = False) -> None:
        super().__init__(f"{what}. {remedy}.")
        self.what = what
        self.network = network


def explain(output: str, target: str) -> InstallError:
    """Return the error that the output of pip or uv tells of; `target` is what was being made."""
    for look in (_full_disk, _no_permission, _no_wheel, _no_network, _no_version, _changed_file):
        error = look(output, target)
        if error is not None:
            return error
    return InstallError(
        f"expected to make {target}, got: {reason_of(output)}", "Correct it, then run the command again"
    )


def _full_disk(output: str, target: str) -> InstallError | None:
    if not _says(output, _DISK):
        return None
    return InstallError(
        f"expected space on the disk for {target}, it is full", "Free 2 GB, then run the command again: it goes on"
    )


def _no_permission(output: str, target: str) -> InstallError | None:
    if not _says(output, _DENIED):
        return None
    found = _PATH.search(output)
    return InstallError(
        f"expected to write to {found[1] if found else target}, and got: permission denied",
        "Work in a folder of your own; UV_CACHE_DIR names another one for downloads",
    )


def _no_wheel(output: str, target: str) -> InstallError | None:
    found = _NO_WHEEL.search(output)
    return found and InstallError(
        f"expected a wheel of {found[1] or found[2]} for this machine and the Python of {target}, found none",
        "Use another Python: make PYTHON=python3.12",
    )


def _no_network(output: str, target: str) -> InstallError | None:
    if not _says(output, _NETWORK):
        return None
    proxy = next((name for name in _PROXIES if os.environ.get(name)), None)
    if proxy is None:
        source, remedy = "the package index", "Check the network, or name a mirror by UV_DEFAULT_INDEX"
    else:
        source = f"the proxy {_without_login(os.environ[proxy])} that {proxy} names"
        remedy = "Correct or unset it"
    return InstallError(
        f"expected to fetch {target} through {source}, got: {reason_of(output)}",
        f"{remedy}, then run the command again: it goes on",
        network=True,
    )


def _no_version(output: str, _: str) -> InstallError | None:
    found = _NO_VERSION.search(output)
    return found and InstallError(
        f"expected {found[1] or found[2]} at the package index, it has none", "Name another index by UV_DEFAULT_INDEX"
    )


def _changed_file(output: str, target: str) -> InstallError | None:
    if not _HASH.search(output):
        return None
    return InstallError(
        f"expected the files that requirements.txt locks for {target}, their hashes differ",
        "The index or a proxy changes files: name another index by UV_DEFAULT_INDEX",
    )


def _without_login(url: str) -> str:
    return re.sub(r"//[^/@]*@", "//", url)


def _says(output: str, words: tuple[str, ...]) -> bool:
    return any(word in output for word in words)


def reason_of(output: str) -> str:
    """Return the innermost cause that uv prints, else the last line that holds an error."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    causes = [line[len("cause:") :].strip() for line in lines if line.startswith("cause:")]
    said = (causes or [line for line in lines if "error" in line.lower()] or lines or ["no output"])[-1].rstrip(".")
    fetched = [line for line in causes[:1] if "http" in line]
    return _without_login(f"{said} ({fetched[0]})" if fetched and fetched[0] != said else said)[:300]
