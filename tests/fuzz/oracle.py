"""What no input may do, checked for every one of them: the columns of the table that a run ends with."""

import os
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from tests.fuzz.case import Case
from tests.fuzz.verbs import VERBS, writes_to

FAULTS = (
    *("tracebacks", "hangs", "memory", "wrong exit codes"),
    *("files outside", "executed", "control characters", "secrets"),
)
OBEYED = ("Cc", "Cf", "Cs", "Zl", "Zp")  # categories of characters that a terminal may obey in place of printing
LAYOUT = "\n\t"
SECRET = "planted-7f3a9c51"  # in the values of all these variables
SECRETS = {
    name: f"{SECRET}-{number}"
    for number, name in enumerate(
        ("HF_TOKEN", "AWS_SECRET_ACCESS_KEY", "GITHUB_TOKEN", "SLURM_JWT", "WANDB_API_KEY", "DB_PASSWORD")
    )
}


class Limits(NamedTuple):
    """Of an answer."""

    seconds: float = 10.0
    memory: int = 2 * 2**30  # bytes of resident memory over the idle worker's


LIMITS = Limits()


class Fault(NamedTuple):
    """What was wrong with an answer, by the column that counts it."""

    column: str
    words: str


@dataclass
class Answer:
    """Of a command to a case."""

    status: object  # 0, 1 or 2
    out: bytes = b""
    error: bytes = b""
    trace: str = ""  # of an exception that nobody caught
    seconds: float = 0.0
    memory: int = 0  # bytes at most over the idle worker's
    written: Mapping[str, bytes] = field(default_factory=dict)  # below the place: path -> its content by now
    elsewhere: tuple[str, ...] = ()  # paths that it tried to write outside the place
    started: tuple[str, ...] = ()
    net: tuple[str, ...] = ()


def faults_of(case: Case, answer: Answer, limits: Limits = LIMITS) -> list[Fault]:
    """Everything that is wrong with an answer."""
    return [
        *_tracebacks(answer),
        *_limits(answer, limits),
        *_exit_codes(case, answer),
        *_files(case, answer),
        *_executed(case, answer),
        *_characters(answer),
        *_secrets(answer),
    ]


def _tracebacks(answer: Answer) -> Iterable[Fault]:
    if answer.trace:
        yield Fault("tracebacks", answer.trace)
    elif b"Traceback (most recent call last)" in answer.out + answer.error:
        yield Fault("tracebacks", (answer.out + answer.error)[-2000:].decode(errors="replace"))


def _limits(answer: Answer, limits: Limits) -> Iterable[Fault]:
    if answer.seconds > limits.seconds:
        yield Fault("hangs", f"an answer after {answer.seconds:.1f} s")
    if answer.memory > limits.memory:
        yield Fault("memory", f"{answer.memory / 2**30:.1f} GiB over the idle worker's")


def _exit_codes(case: Case, answer: Answer) -> Iterable[Fault]:
    """0 done, 1 a job failed, 2 the command was wrong: said by the verbs that run or check something, and in words."""
    if answer.trace:
        return
    verb = VERBS.get(verb_of(case.arguments))
    allowed = (0, 1, 2) if verb is not None and verb.may_fail else (0, 2)
    if answer.status not in allowed:
        yield Fault("wrong exit codes", f"{answer.status}, expected one of {allowed}: {_end(answer)}")
    elif answer.status == 2 and not (answer.out + answer.error).strip():
        yield Fault("wrong exit codes", "2 without a word")


def _end(answer: Answer) -> str:
    return (answer.out + answer.error)[-500:].decode(errors="replace")


def verb_of(arguments: tuple[str, ...]) -> str:
    """The verb that a command line begins with."""
    return next((name for name in (" ".join(arguments[:2]), " ".join(arguments[:1])) if name in VERBS), "")


def _files(case: Case, answer: Answer) -> Iterable[Fault]:
    """Nothing is written but where the verb says, and nothing where it only reads."""
    roots = writes_to(verb_of(case.arguments), case.arguments)
    inside = [path for path in answer.written if not any(_is_below(f"place/{path}", root) for root in roots)]
    outside = [path for path in answer.elsewhere if not any(_is_below(path, root) for root in roots)]
    if found := inside + outside:
        yield Fault("files outside", ", ".join(sorted(set(found))[:5]))


def _is_below(path: str, root: str) -> bool:
    return path == root or path.startswith(f"{root.rstrip('/')}/") or os.path.dirname(path) == root


def _executed(case: Case, answer: Answer) -> Iterable[Fault]:
    net = () if verb_of(case.arguments) == "assets fetch" else answer.net
    if found := (*answer.started, *net):
        yield Fault("executed", "; ".join(found[:5]))


def _characters(answer: Answer) -> Iterable[Fault]:
    for stream in (answer.out, answer.error):
        try:
            text = stream.decode("utf8")
        except UnicodeDecodeError as error:
            yield Fault("control characters", f"no UTF-8: {error}")
            continue
        if not text.replace("\n", "").replace("\t", "").isprintable():
            bad = [char for char in text if char not in LAYOUT and unicodedata.category(char) in OBEYED]
            if bad:
                at = text.index(bad[0])
                yield Fault("control characters", f"{bad[0]!r} in {text[max(0, at - 60) : at + 30]!r}")


def _secrets(answer: Answer) -> Iterable[Fault]:
    secret = SECRET.encode()
    where = [
        name for name, text in {"its output": answer.out + answer.error, **answer.written}.items() if secret in text
    ]
    if where:
        yield Fault("secrets", f"in {', '.join(where)}: {_end(answer)}")
