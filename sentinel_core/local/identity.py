"""Leave root before a server starts: PostgreSQL refuses to run as root.

As a module it is the launcher itself, `python -m sentinel_core.local.identity MODE PROGRAM ARGUMENT…`:
it takes on the identity in its own, single-threaded process and becomes the program, so the pid stays.
"""

from __future__ import annotations

import ctypes
import os
import pwd
import stat
import subprocess
import sys
from enum import StrEnum
from pathlib import Path
from typing import Final

_CLONE_NEWUSER: Final = 0x10000000


class Identity(StrEnum):
    """Who a server runs as."""

    SELF = "self"
    """We are an ordinary user with an account: nothing to do."""
    NAMESPACE = "namespace"
    """Ourselves outside, `nobody` inside a user namespace: files stay ours, no account and no chown is needed."""
    NOBODY = "nobody"
    """The account `nobody`, where user namespaces are forbidden (Docker's seccomp profile, macOS)."""


def choose_identity() -> Identity:
    """Return the gentlest identity that works here for a server that refuses root."""
    root = os.geteuid() == 0
    if not root and has_account():
        return Identity.SELF
    probe = subprocess.run(launcher(Identity.NAMESPACE, ["/bin/sh", "-c", ":"]), capture_output=True, check=False)
    if probe.returncode == 0:
        return Identity.NAMESPACE
    return Identity.NOBODY if root else Identity.SELF


def has_account() -> bool:
    """Whether our user has a name, which initdb wants; in a container that runs as any number it has none."""
    try:
        pwd.getpwuid(os.geteuid())
    except KeyError:
        return False
    return True


def launcher(identity: Identity, command: list[str]) -> list[str]:
    """Return the command line that runs `command` under an identity."""
    if identity is Identity.SELF:
        return command
    return [sys.executable, "-m", "sentinel_core.local.identity", identity.value, *command]


def assume(identity: Identity) -> None:
    """Become the identity; there is no way back. The process must have one thread.

    Raises `OSError` where the system forbids it.
    """
    nobody = pwd.getpwnam("nobody")
    if identity is Identity.NOBODY:
        os.setgroups([])
        os.setgid(nobody.pw_gid)
        os.setuid(nobody.pw_uid)
    elif identity is Identity.NAMESPACE:
        user, group = os.geteuid(), os.getegid()
        libc = ctypes.CDLL(None, use_errno=True)
        if not hasattr(libc, "unshare") or libc.unshare(_CLONE_NEWUSER) != 0:
            number = ctypes.get_errno()
            raise OSError(number, f"unshare(CLONE_NEWUSER): {os.strerror(number)}")
        own = Path("/proc/self")
        # The kernel takes a group map from us only once setgroups is given up.
        (own / "setgroups").write_text("deny")
        (own / "uid_map").write_text(f"{nobody.pw_uid} {user} 1")
        (own / "gid_map").write_text(f"{nobody.pw_gid} {group} 1")


def nobody_reaches(path: Path) -> bool:
    """Whether the account `nobody` may enter every folder on the way to `path`, and read `path` itself."""
    user = pwd.getpwnam("nobody").pw_uid
    for folder in path.resolve().parents:
        status = folder.stat()
        if status.st_uid != user and not status.st_mode & stat.S_IXOTH:
            return False
    status = path.stat()
    return status.st_uid == user or bool(status.st_mode & stat.S_IROTH)


def give(tree: Path, user: int, group: int) -> None:
    """Change the owner of a folder and of all in it."""
    for folder, _, files in os.walk(tree):
        os.chown(folder, user, group)
        for name in files:
            os.chown(Path(folder) / name, user, group, follow_symlinks=False)


if __name__ == "__main__":
    assume(Identity(sys.argv[1]))
    os.execv(sys.argv[2], sys.argv[2:])  # noqa: S606  # a launcher is what this is
