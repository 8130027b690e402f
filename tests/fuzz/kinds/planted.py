"""Faults on purpose, one an input: what the oracle has to catch. It is no kind that `make fuzz` runs."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import ClassVar

from tests.fuzz.case import Case
from tests.fuzz.kinds.base import Files


def trace() -> None:
    raise KeyError("nobody catches it")


def printed_trace() -> None:
    print("Traceback (most recent call last):", file=sys.stderr)


def hang() -> None:
    time.sleep(600)


def memory() -> None:
    kept = bytearray(os.urandom(1024) * 2**19)  # 512 MiB
    time.sleep(0.01)
    assert kept


def die() -> None:
    os.kill(os.getpid(), 9)


def status_1() -> None:
    sys.exit(1)


def silence() -> None:
    sys.exit(2)


def write_outside() -> None:
    Path("/tmp/caebench-fuzz-planted").write_text("x")


def write_here() -> None:
    Path("left.txt").write_text("x")


def write_and_delete() -> None:
    write_here()
    Path("left.txt").unlink()


def write_past_python() -> None:
    subprocess.run(["git", "init", "--quiet", "."], check=True)  # a program that is allowed, and writes


def execute() -> None:
    os.system("true")


def start() -> None:
    subprocess.run(["/bin/sh", "-c", "true"])


def connect() -> None:
    socket.create_connection(("127.0.0.1", 9))


def control() -> None:
    print("\x1b[2J")


def direction() -> None:
    print("\u202egpj", file=sys.stderr)


def past_python() -> None:
    os.write(2, b"\x07")


def secret() -> None:
    print(os.environ["HF_TOKEN"])


def secret_in_a_file() -> None:
    Path("left.txt").write_text(os.environ["GITHUB_TOKEN"])


def nothing() -> None:
    print("well")


FAULTS: dict[Callable[[], None], set[str]] = {  # what each is to be counted as
    trace: {"tracebacks"},
    printed_trace: {"tracebacks"},
    hang: {"hangs"},
    memory: {"memory"},
    die: {"tracebacks"},
    status_1: {"wrong exit codes"},
    silence: {"wrong exit codes"},
    write_outside: {"files outside"},
    write_here: {"files outside"},
    write_and_delete: {"files outside"},
    write_past_python: {"files outside"},
    execute: {"executed"},
    start: {"executed"},
    connect: {"executed"},
    control: {"control characters"},
    direction: {"control characters"},
    past_python: {"control characters"},
    secret: {"secrets"},
    secret_in_a_file: {"secrets", "files outside"},
    nothing: set(),
}


class Planted:
    """Every fault in turn."""

    name = "planted"
    needs_torch = False
    listed: ClassVar = [Case("planted", ("@planted", fault.__name__)) for fault in FAULTS]

    def base(self, scratch: Path) -> Files:
        return {"work/a.txt": b"x"}

    def case(self, rng: Random, base: Files) -> Case:
        return Case(self.name, ("@planted", nothing.__name__))


def plant(name: str) -> None:
    """Do what one of these does."""
    next(fault for fault in FAULTS if fault.__name__ == name)()
