"""What a process does to the machine, told by Python's audit events: files written, programs started, connections.

A file outside the place is not written: the command meets a permission that is denied. Nothing is connected to.
"""

import errno
import os
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
DEVICES = ("/dev/null", "/dev/tty")
PROGRAMS = ("git", "nvidia-smi", "squeue", "sacct", "sinfo", "scontrol", "sbatch", "scancel")  # that caebench asks
ON_PATHS = {  # event -> which of its arguments are paths that it changes; the last is the folder's descriptor
    **dict.fromkeys(("os.remove", "os.rmdir", "os.mkdir", "os.truncate", "os.chmod", "os.chown", "os.utime"), (0,)),
    **{"os.rename": (0, 1), "os.link": (1,), "os.symlink": (1,), "os.mkfifo": (0,), "os.mknod": (0,)},
}
STARTING = ("os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "os.forkpty", "pty.spawn")
RUNNING = ("pickle.find_class", "code.__new__", "ctypes.dlopen")
CONNECTING = ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.bind", "urllib.Request")


@dataclass
class Guard:
    """Notes events while it is on."""

    root: str = ""  # of the place
    is_on: bool = False
    is_noting: bool = False  # an event of its own would be noted, too
    written: list[str] = field(default_factory=list)
    started: list[str] = field(default_factory=list)
    net: list[str] = field(default_factory=list)

    def begin(self, root: str) -> None:
        """Watch what happens from now on."""
        self.root, self.is_on = root, True
        self.written, self.started, self.net = [], [], []

    def end(self) -> None:
        """Watch no more."""
        self.is_on = False

    def hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        """An audit event."""
        if self.is_on and not self.is_noting and (note := NOTES.get(event)) is not None:
            self.is_noting = True
            try:
                note(self, event, arguments)
            finally:
                self.is_noting = False

    def write(self, paths: Iterable[Any], folder: int = -1) -> None:
        """Files are about to change."""
        for path in paths:
            if isinstance(path, int) or path is None:
                continue
            whole = _whole(os.fsdecode(path), folder)
            if whole in DEVICES:
                continue
            self.written.append(whole)
            if not whole.startswith(f"{self.root}/"):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), whole)


def _whole(path: str, folder: int) -> str:
    """A path with its folder, links in it resolved; the last part may be a link itself."""
    base = os.readlink(f"/proc/self/fd/{folder}") if folder >= 0 else os.getcwd()
    parent, name = os.path.split(os.path.join(base, path))
    return os.path.normpath(os.path.join(os.path.realpath(parent), name))


def _open(guard: Guard, _: str, arguments: tuple[Any, ...]) -> None:
    path, _, flags = arguments
    if isinstance(flags, int) and flags & WRITING:
        guard.write([path])


def _paths(guard: Guard, event: str, arguments: tuple[Any, ...]) -> None:
    folder = arguments[-1] if isinstance(arguments[-1], int) and event != "os.truncate" else -1
    guard.write([arguments[number] for number in ON_PATHS[event]], folder)


def _popen(guard: Guard, _: str, arguments: tuple[Any, ...]) -> None:
    program, words = str(arguments[0]), arguments[1]
    if os.path.basename(program) not in PROGRAMS:
        guard.started.append(f"{program} {words}"[:200])


def _start(guard: Guard, event: str, arguments: tuple[Any, ...]) -> None:
    guard.started.append(f"{event} {arguments}"[:200])
    raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


def _run(guard: Guard, event: str, arguments: tuple[Any, ...]) -> None:
    guard.started.append(f"{event} {arguments}"[:200])


def _connect(guard: Guard, event: str, arguments: tuple[Any, ...]) -> None:
    guard.net.append(f"{event} {arguments}"[:200])
    raise OSError(errno.ENETUNREACH, os.strerror(errno.ENETUNREACH))


NOTES: dict[str, Callable[[Guard, str, tuple[Any, ...]], None]] = {
    "open": _open,
    "subprocess.Popen": _popen,
    **dict.fromkeys(ON_PATHS, _paths),
    **dict.fromkeys(STARTING, _start),
    **dict.fromkeys(RUNNING, _run),
    **dict.fromkeys(CONNECTING, _connect),
}
_installed: list[Guard] = []


def installed() -> Guard:
    """The guard of this process; Python has no way to take one away."""
    if not _installed:
        _installed.append(Guard())
        sys.addaudithook(_installed[0].hear)
    return _installed[0]
