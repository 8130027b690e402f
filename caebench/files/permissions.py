"""Permission denied, in words: what a user may not do with a file or folder, whose it is, and what to ask for."""

import grp
import os
import pwd
import stat
from pathlib import Path

SHARED = "In a shared store everyone sets `umask 002` before running caebench"


def denied(error: PermissionError) -> str:
    """The error in one line: path, user, owner, mode, and the command to ask for."""
    if not isinstance(error.filename, str):
        return str(error)
    what, do = denied_at(Path(error.filename))
    return f"{error.filename}: {what}. {do}"


def denied_at(path: Path) -> tuple[str, str]:
    """What is not allowed at a path that this user may not read, write or enter; and what to do."""
    place, needed = _obstacle(path.absolute())
    facts = place.stat()
    owner, group = user_of(facts.st_uid), _group_of(facts.st_gid)
    where = "" if place == path.absolute() else f"{place} "
    what = f"permission denied for {user_of(os.getuid())}: {where}belongs to {owner}, group {group}, with mode "
    ask = f"Ask {owner} for: chmod g+{needed} {place}"
    if facts.st_gid not in (os.getegid(), *os.getgroups()):
        ask += f" and for membership in group {group}"
    return what + stat.filemode(facts.st_mode), f"{ask}. {SHARED}"


def check_readable(path: Path) -> None:
    """Check before a library reads a file, since many name another cause.

    Raises:
        PermissionError: the file is there, and this user may not read it.
    """
    try:
        path.open("rb").close()
    except (FileNotFoundError, IsADirectoryError):
        return


def user_of(uid: int) -> str:
    """A user's name; the number of one that has no name here."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _group_of(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)


def _obstacle(path: Path) -> tuple[Path, str]:
    """The file or folder that refuses, and which permissions it would have to give."""
    for folder in reversed(path.parents):
        if not os.access(folder, os.X_OK):
            return folder, "rwx"
    if not path.exists():
        return path.parent, "rwx"
    return path, "rwx" if path.is_dir() else "rw"
