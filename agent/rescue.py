"""Lets an operator into this ramdisk: a user with a password, and an SSH server.

The user may do everything: whoever rescues a machine mounts its disks. There is no
login at the console; the password's kind is one that the console's programs do not know.
"""

from __future__ import annotations

import os
import re
import subprocess

from agent.console import say
from agent.errors import InvalidCommandParams, RescueError

USER = "rescue"
SSH_SERVER = "usr/sbin/dropbear"
#: crypt(5): the method's name and its parts, in an alphabet without ":" and line breaks.
_HASH = re.compile(r"\$[0-9a-z]{1,8}\$[A-Za-z0-9./$=,]{8,200}")
_START_SECONDS = 30


def check_hash(password: object, hashed: object) -> str:
    """The password as it came, hashed. Raises InvalidCommandParams for anything else."""
    if hashed is not True:
        raise InvalidCommandParams("rescue_password must come hashed, and hashed be true")
    if not isinstance(password, str) or not _HASH.fullmatch(password):
        raise InvalidCommandParams("rescue_password is no hash of crypt(5), like $2b$10$...")
    return password


def let_in(password_hash: str, root: str = "/") -> str:
    """Make the user, start the SSH server; a sentence about it. Raises RescueError.

    Doing it again replaces the password.
    """
    server = os.path.join(root, SSH_SERVER)
    if not os.access(server, os.X_OK):
        raise RescueError(f"this ramdisk has no SSH server (/{SSH_SERVER}): nobody could log in")
    _write_line(os.path.join(root, "etc/passwd"), f"{USER}:x:0:0:{USER}:/root:/bin/sh", 0o644)
    _write_line(os.path.join(root, "etc/shadow"), f"{USER}:{password_hash}:19000::::::", 0o600)
    os.makedirs(os.path.join(root, "etc/dropbear"), mode=0o700, exist_ok=True)
    _mount_terminals(os.path.join(root, "dev/pts"))
    # It makes its host keys when somebody first asks for them.
    _run([server, "-R"], "the SSH server")
    say(f"rescue: user {USER} may log in by SSH")
    return f"user {USER} may log in by SSH"


def _write_line(path: str, line: str, mode: int) -> None:
    """Replace the file by one that holds ``line`` for our user besides what it held."""
    try:
        with open(path, encoding="utf-8") as file:
            kept = [old for old in file.read().splitlines() if not old.startswith(f"{USER}:")]
    except FileNotFoundError:
        kept = []
    new = f"{path}.new"
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w") as file:
        os.fchmod(file.fileno(), mode)
        file.write("\n".join([*kept, line]) + "\n")
    os.replace(new, path)


def _mount_terminals(path: str) -> None:
    if os.path.ismount(path):
        return
    os.makedirs(path, exist_ok=True)
    _run(["mount", "-t", "devpts", "devpts", path], "the terminals of remote shells")


def _run(command: list[str], what: str) -> None:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_START_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise RescueError(f"{what} could not be started: {error}") from None
    if done.returncode != 0:
        raise RescueError(f"{what} could not be started: {done.stderr.strip()[-300:]}")
