"""Make .venv from the lock, with any Python from 3.9 on: `make` calls this before anything else.

A Python that the lock covers is used for .venv itself. For any other, one that it covers is looked for, else uv
downloads one.
Only the standard library is at hand here. How and why: docs/decisions/0026.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from errors import InstallError, explain, reason_of
from run import lock, run

ROOT = Path(__file__).resolve().parents[2]
VENV = ROOT / ".venv"
TOOLS = ROOT / ".venv.tools"
REQUIREMENTS = ROOT / "requirements.txt"
STAMP = VENV / ".installed"
UNFINISHED = VENV / ".installing"
DISK_GB = 2.0
# gevent, which the load test needs, has no wheel for Python 3.11 on macOS.
SUPPORTED = ((3, 12), (3, 13)) if sys.platform == "darwin" else ((3, 12), (3, 13), (3, 11))
PLATFORMS = {("Linux", "x86_64"), ("Linux", "aarch64"), ("Darwin", "arm64")}
PROBE = (
    "import sys, sysconfig; t = sysconfig.get_config_var('Py_GIL_DISABLED'); "
    "print(sys.implementation.name if not t else 'free-threaded', *sys.version_info[:2])"
)


def main() -> None:
    """Make or update .venv; raises `InstallError` with one line that says what stands in the way."""
    check_machine()
    with lock(ROOT):
        uv = find_uv()
        fresh = not usable(VENV / "bin" / "python") or not STAMP.exists()
        if fresh:
            make_venv(uv)
        install(uv, fresh=fresh)


def check_machine() -> None:
    """Refuse what has no wheels, and a folder that cannot be written."""
    machine = (platform.system(), platform.machine())
    if machine not in PLATFORMS:
        raise InstallError(
            "expected Linux (x86_64, aarch64) or macOS on Apple silicon, found {} {}".format(*machine),
            "Other machines run it with Docker: see README.md",
        )
    if not os.access(ROOT, os.W_OK):
        raise InstallError(
            f"expected to write to {ROOT}, user {os.geteuid()} may not", "Make a checkout in a folder of your own"
        )


def find_uv() -> list[str]:
    """Return the command of uv: from a small environment of its own, else one that is on PATH."""
    own = TOOLS / "bin" / "uv"
    pin = next(line for line in REQUIREMENTS.read_text(encoding="utf-8").split() if line.startswith("uv=="))
    with suppress(OSError):
        shown = subprocess.run([str(own), "--version"], capture_output=True, text=True, check=False).stdout
        if pin[len("uv==") :] in shown.split():
            return [str(own)]
    say(f"uv, which installs the rest, into {TOOLS.name}")
    made = run([sys.executable, "-m", "venv", "--clear", str(TOOLS)])
    if made.code == 0:
        pip = [str(TOOLS / "bin" / "python"), "-m", "pip"]
        got = run([*pip, "install", "--quiet", "--disable-pip-version-check", "--retries", "2", pin])
        if got.code != 0:
            raise explain(got.output, "uv")
        return [str(own)]
    elsewhere = shutil.which("uv")
    if elsewhere:
        return [elsewhere]
    if "ensurepip" in made.output:
        raise InstallError(
            f"expected Python's venv module, {sys.executable} has none",
            "Debian and Ubuntu: apt-get install python3-venv. Or install uv, and run the command again",
        )
    raise explain(made.output, TOOLS.name)


def make_venv(uv: list[str]) -> None:
    """Make .venv anew, with the best Python there is; what an interrupted installation left goes."""
    free = shutil.disk_usage(ROOT).free / 1e9
    if free < DISK_GB:
        raise InstallError(
            f"expected {DISK_GB:.1f} GB free for .venv at {ROOT}, found {free:.2f} GB", "Free some, then run it again"
        )
    python = find_python()
    if python is None:
        named = ".".join(map(str, SUPPORTED[0]))
        say(f"Python {named}, since {platform.python_version()} at {sys.executable} is not supported")
        asked = ["--managed-python", "--python", named]
    else:
        asked = ["--python", python]
    made = run([*uv, "venv", "--clear", "--no-project", *asked, str(VENV)], UV_HTTP_RETRIES="1")
    if made.code != 0 and python is None:
        versions = ", ".join(sorted(".".join(map(str, version)) for version in SUPPORTED))
        raise InstallError(
            f"expected one of Python {versions}, found {platform.python_version()} at {sys.executable}, and no other "
            f"could be downloaded ({reason_of(made.output)})",
            "Install one and run it again, or name it: make PYTHON=/path/to/python3.12",
        )
    if made.code != 0:
        raise explain(made.output, VENV.name)


def find_python() -> str | None:
    """Return the Python for .venv: the one that runs this where the lock covers it, else the best one there is."""
    if usable(Path(sys.executable)):
        return sys.executable
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    for major, minor in SUPPORTED:
        folders = [Path(folder) for folder in os.get_exec_path()]
        folders += sorted(folder / "bin" for folder in pyenv.glob(f"{major}.{minor}.*"))
        for folder in folders:
            python = folder / f"python{major}.{minor}"
            if usable(python):
                return str(python)
    return None


def usable(python: Path) -> bool:
    """Whether this is a CPython that the lock covers, and starts."""
    with suppress(OSError, ValueError, subprocess.TimeoutExpired):
        done = subprocess.run([str(python), "-c", PROBE], capture_output=True, text=True, timeout=30, check=False)
        name, major, minor = done.stdout.split()
        return name == "cpython" and (int(major), int(minor)) in SUPPORTED
    return False


def install(uv: list[str], *, fresh: bool) -> None:
    """Install the lock and the checkout; the stamp is there only while .venv is complete."""
    if not fresh:
        STAMP.replace(UNFINISHED)
    before = packages_changed()
    into = [*uv, "pip", "install", "--python", str(VENV / "bin" / "python")]
    say(
        f"The locked requirements, into {VENV.name}"
        + (" (1.8 GB; a minute or two, the first download aside)" if fresh else "")
    )
    # No package is built here: a missing wheel is one line instead of a compiler's pages.
    locked = [*into, "--require-hashes", "--no-build", "--requirements", str(REQUIREMENTS)]
    done = run(locked, show=True)
    if done.code != 0 and explain(done.output, "").network:
        done = run([*locked, "--offline"])._replace(output=done.output)  # all of it may be in uv's cache
    if done.code == 0:
        done = run([*into, "--offline", "--no-deps", "--no-build-isolation", "--editable", str(ROOT)])
    if done.code != 0:
        if not fresh and packages_changed() == before:
            UNFINISHED.replace(STAMP)  # nothing was touched: the environment is still whole
            os.utime(STAMP, (0, 0))
        raise explain(done.output, VENV.name)
    UNFINISHED.unlink(missing_ok=True)
    STAMP.touch()


def packages_changed() -> list[int]:
    """Return when packages were last put into .venv or taken out."""
    return [folder.stat().st_mtime_ns for folder in sorted(VENV.glob("lib/python*/site-packages"))]


def say(what: str) -> None:
    """Print one step."""
    print(f"→ {what} …", file=sys.stderr, flush=True)


if __name__ == "__main__":
    begun = time.monotonic()
    try:
        main()
    except InstallError as failure:
        sys.exit(f"install: {failure}")
    except KeyboardInterrupt:
        sys.exit("install: interrupted. Run the same command again: it goes on.")
    print(f"✓ The environment is ready in {VENV} ({time.monotonic() - begun:.0f} s)", file=sys.stderr)
