"""`deploy/install`: what an environment that fails says, in one line, and that the next try goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NOWHERE = "http://127.0.0.1:9"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout of a package without requirements, which installs in seconds."""
    place = tmp_path / "checkout"
    place.mkdir()
    subprocess.run(["cp", "-r", str(ROOT / "deploy"), str(place)], check=True)
    (place / "requirements.txt").write_text("uv==0.13.9\n")
    (place / "pyproject.toml").write_text("")
    return place


def install(checkout: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
    return subprocess.run(
        [sys.executable, str(checkout / "deploy" / "install")],
        env={**inherited, "UV_HTTP_RETRIES": "0", **variables},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def last_line(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 1, done
    assert "Traceback" not in done.stderr
    line = done.stderr.strip().splitlines()[-1]
    assert line.startswith("install: expected ")
    return line


@pytest.fixture
def tools(checkout: Path) -> Iterator[Path]:
    """The checkout with a stand-in for uv, which answers as the file `answer` says."""
    folder = checkout / ".venv.tools" / "bin"
    folder.mkdir(parents=True)
    uv = folder / "uv"
    uv.write_text(
        "#!/bin/sh\n"
        'case "$1 $2" in\n'
        '  "--version "*) echo "uv 0.13.9" ;;\n'
        f'  "venv "*) mkdir -p {checkout}/.venv/bin {checkout}/.venv/lib/python3.12/site-packages\n'
        f"    rm -f {checkout}/.venv/.installed; ln -sf {sys.executable} {checkout}/.venv/bin/python ;;\n"
        f'  "pip install") echo "$*" >> {checkout}/calls; cat {checkout}/answer; test ! -s {checkout}/answer ;;\n'
        "esac\n"
    )
    uv.chmod(0o755)
    (checkout / "answer").write_text("")
    yield checkout


FAILURES = {
    "error: Request failed after 3 retries\n  cause: Failed to fetch: https://index/simple/six/\n"
    "  cause: client error (Connect)\n  cause: Connection refused (os error 111)\n": (
        "expected to fetch .venv through the package index, got: Connection refused (os error 111) "
        "(Failed to fetch: https://index/simple/six/). Check the network"
    ),
    "  cause: Failed to copy to `/x/y`\n  cause: failed to copy file: No space left on device (os error 28)\n": (
        "expected space on the disk for .venv, it is full. Free 2 GB"
    ),
    "  cause: failed to create directory `/x/.cache/uv`: Permission denied (os error 13)\n": (
        "expected to write to /x/.cache/uv, and got: permission denied"
    ),
    "  cause: Because numba==0.68.1 has no wheels with a matching platform tag (e.g., `macosx_13_0_x86_64`) and\n": (
        "expected a wheel of numba==0.68.1 for this machine and the Python of .venv, found none. "
        "Use another Python: make PYTHON=python3.12"
    ),
    "  cause: Because there is no version of six==99 and you require six==99, we can conclude\n": (
        "expected six==99 at the package index, it has none"
    ),
    "error: Hash mismatch for `six==1.16.0`\n": "expected the files that requirements.txt locks for .venv",
    "error: something else\n": "expected to make .venv, got: error: something else",
}


@pytest.mark.parametrize(("output", "expected"), FAILURES.items())
def test_a_failure_is_one_line_and_the_next_try_goes_on(tools: Path, output: str, expected: str) -> None:
    (tools / "answer").write_text(output)
    assert expected in last_line(install(tools))
    assert not (tools / ".venv" / ".installed").exists()
    (tools / "answer").write_text("")
    assert install(tools).returncode == 0
    assert (tools / ".venv" / ".installed").exists()


def test_a_proxy_is_named_without_its_password(tools: Path) -> None:
    (tools / "answer").write_text("  cause: tunnel error: Connection refused (os error 111)\n")
    line = last_line(install(tools, HTTPS_PROXY="http://user:word@127.0.0.1:9"))
    assert "through the proxy http://127.0.0.1:9 that HTTPS_PROXY names, got: tunnel error" in line
    assert "word" not in line


def test_without_a_network_the_cache_is_tried(tools: Path) -> None:
    (tools / "answer").write_text("  cause: dns error\n")
    install(tools)
    assert [("--offline" in call) for call in (tools / "calls").read_text().splitlines()] == [False, True]


def test_a_failed_update_keeps_the_environment(tools: Path) -> None:
    assert install(tools).returncode == 0
    kept = tools / ".venv" / "kept"
    kept.touch()
    (tools / "answer").write_text("  cause: dns error\n")
    last_line(install(tools))
    stamp = tools / ".venv" / ".installed"
    assert kept.exists()
    assert stamp.stat().st_mtime == 0, "make asks again"


@pytest.mark.slow
def test_no_index_ends_in_one_line(checkout: Path) -> None:
    line = last_line(install(checkout, PIP_INDEX_URL=NOWHERE, PIP_NO_INDEX="0", PIP_RETRIES="0", PIP_FIND_LINKS=""))
    assert "expected to fetch uv through the package index" in line or "at the package index" in line


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_an_unwritable_folder_is_one_line(checkout: Path) -> None:
    for folder in (checkout, *checkout.parents):
        if folder == Path(tempfile.gettempdir()):
            break
        folder.chmod(0o755)
    done = subprocess.run(
        ["/usr/bin/python3", str(checkout / "deploy" / "install")],
        user=65534,
        group=65534,
        extra_groups=[],
        capture_output=True,
        text=True,
        check=False,
    )
    assert f"expected to write to {checkout}" in last_line(done)


def test_an_installation_that_was_killed_is_made_anew(tools: Path) -> None:
    assert install(tools).returncode == 0
    half = tools / ".venv" / "lib" / "python3.12" / "site-packages" / "half"
    uv = tools / ".venv.tools" / "bin" / "uv"
    uv.write_text(uv.read_text().replace('"pip install")', f'"pip install") touch {half}; sleep 60;'))
    begun = subprocess.Popen([sys.executable, str(tools / "deploy" / "install")], start_new_session=True)
    while not half.exists():
        time.sleep(0.02)
    os.killpg(begun.pid, signal.SIGKILL)
    begun.wait()
    assert not (tools / ".venv" / ".installed").exists()
    uv.write_text(uv.read_text().replace("sleep 60;", "").replace('"venv "*)', f'"venv "*) rm -rf {tools}/.venv;'))
    assert install(tools).returncode == 0
    assert (tools / ".venv" / ".installed").exists()
