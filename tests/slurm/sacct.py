"""Stand-in for sacct on a cluster without accounting: the same questions, answered from slurmctld's memory.

It knows a job for MinJobAge seconds after its end, and shows only the state of now: where SLURM's own sacct would
keep the record of a run before a requeue, this one does not. Uses nothing but the standard library.
"""

import argparse
import re
import subprocess
import sys
from collections.abc import Callable, Iterator

Record = dict[str, str]

# States that sacct never shows. submitit takes a state that it does not know for the job's end.
SHOWN_AS = {
    **dict.fromkeys(["COMPLETING", "CONFIGURING", "RESIZING", "SIGNALING", "STAGE_OUT"], "RUNNING"),
    **dict.fromkeys(["REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "RESV_DEL_HOLD", "SPECIAL_EXIT"], "PENDING"),
}


def records(text: str) -> Iterator[Record]:
    """The jobs in what `scontrol -o show job` prints: a line each, of Key=value, where a value may hold spaces."""
    for line in text.splitlines():
        pairs = re.findall(r"([\w:/-]+)=(.*?)(?= [\w:/-]+=|\s*$)", line)
        if pairs and pairs[0][0] == "JobId":
            yield dict(reversed(pairs))  # the first of a name counts


def job_id(record: Record) -> str:
    """`7`, or `7_3` in an array, or `7_[4-9%2]` for those of its tasks that have not been started."""
    if "ArrayTaskId" not in record:
        return record["JobId"]
    task = record["ArrayTaskId"]
    return f"{record['ArrayJobId']}_{task if task.isdigit() else f'[{task}]'}"


def state(record: Record) -> str:
    return SHOWN_AS.get(record["JobState"], record["JobState"])


def nodes(record: Record) -> str:
    found = record.get("NodeList", "")
    return "None assigned" if found in ("", "(null)") else found


def plain(name: str) -> Callable[[Record], str]:
    return lambda record: record.get(name, "")


FIELDS: dict[str, Callable[[Record], str]] = {
    "JobID": job_id,
    "JobIDRaw": plain("JobId"),
    "JobName": plain("JobName"),
    "Partition": plain("Partition"),
    "State": state,
    "ExitCode": plain("ExitCode"),
    "DerivedExitCode": plain("DerivedExitCode"),
    "Reason": plain("Reason"),
    "NodeList": nodes,
    "Submit": plain("SubmitTime"),
    "Start": plain("StartTime"),
    "End": plain("EndTime"),
    "Elapsed": plain("RunTime"),
    "Timelimit": plain("TimeLimit"),
    "Restarts": plain("Restarts"),
    "Comment": plain("Comment"),
}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="sacct", description="A stand-in for sacct on a test cluster.")
    parser.add_argument("-j", "--jobs", action="append", default=[])
    parser.add_argument("-o", "--format", default="JobID,JobName,Partition,State,ExitCode")
    parser.add_argument("-P", "--parsable2", action="store_true", required=True)
    parser.add_argument("-n", "--noheader", action="store_true")
    for ignored in (["-X", "--allocations"], ["-D", "--duplicates"], ["-a", "--allusers"]):
        parser.add_argument(*ignored, action="store_true", help="taken, without effect here")
    return parser.parse_args()


def columns(names: str) -> list[str]:
    """The fields asked for, in sacct's spelling; a width, as in State%30, means nothing here."""
    known = {name.lower(): name for name in FIELDS}
    asked = [name.partition("%")[0].lower() for name in names.split(",")]
    if unknown := [name for name in asked if name not in known]:
        sys.exit(f"sacct (stand-in): unknown field {unknown[0]!r}; known: {', '.join(FIELDS)}")
    return [known[name] for name in asked]


def is_asked_for(record: Record, ids: set[str]) -> bool:
    return not ids or not ids.isdisjoint({record["JobId"], record.get("ArrayJobId", ""), job_id(record)})


def main() -> None:
    options = arguments()
    shown = columns(options.format)
    ids = {one for group in options.jobs for one in group.split(",")}
    answer = subprocess.run(["scontrol", "-o", "show", "job"], capture_output=True, text=True, check=False)
    if answer.returncode:
        sys.exit(f"sacct (stand-in): scontrol failed: {answer.stderr.strip()}")
    if not options.noheader:
        print("|".join(shown))
    for record in records(answer.stdout):
        if is_asked_for(record, ids):
            print("|".join(FIELDS[name](record) for name in shown))


if __name__ == "__main__":
    main()
