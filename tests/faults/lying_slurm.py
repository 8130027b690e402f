"""A SLURM of shell scripts that knows the truth, and that can be made to fail, hang, lie or answer late."""

import os
import random
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from tests.fake_slurm import FakeSlurm

CONTACT = "Unable to contact slurm controller (connect failure)"
TRUE = 'answer "$@"'
SILENT = f'echo "$name: error: {CONTACT}" >&2; exit 1'
FAULTS: Mapping[str, str] = {  # what a command does in place of its answer, in shell
    "fails": SILENT,
    "fails with an answer": f"{TRUE}; echo Segmentation fault >&2; exit 139",
    "hangs": "exec sleep 60",
    "is late": f"sleep 0.3; {TRUE}",
    "is empty": ":",
    "breaks off in a line": f"{TRUE} | head -c -%(bytes)d",
    "breaks off after a line": f"{TRUE} | head -n %(lines)d",
    "garbage": 'cat "$truth/garbage"',
    "of another job": f"{TRUE} | sed 's/^[0-9]/90&/; s/JobId=/&90/g'",
    "stale": 'cat "$truth/$name.stale"',
    "twice": f"{TRUE}; {TRUE}",
    "unknown states": f"{TRUE} | sed 's/RUNNING/POWERING_UP/; s/PENDING/HIBERNATING/'",
    "not UTF-8": f"{TRUE} | LC_ALL=C sed 's/n1/n\\xff\\xfe/; s/JobName=/&\\xe9 JobState=FAILED /'",
}
LOST = {  # what sbatch does after SLURM has accepted the job
    "times out": f"{TRUE} > /dev/null; echo 'sbatch: error: Socket timed out on send/recv operation' >&2; exit 1",
    "fails": f"{TRUE} > /dev/null; echo Segmentation fault >&2; exit 139",
    "hangs": f"{TRUE} > /dev/null; exec sleep 60",
    "is empty": f"{TRUE} > /dev/null",
    "breaks off": f"{TRUE} | head -c 20",
    "garbage": f'{TRUE} > /dev/null; cat "$truth/garbage"',
    "talks first": f"echo 'job 3 of your 9 jobs'; {TRUE}",
    "is late": f"{TRUE}; sleep 0.3",
}
ANSWERS = {
    "squeue": 'case "$*" in *%o*) cat "$truth/scripts";; *) cat "$truth/squeue";; esac',
    "sacct": 'cat "$truth/sacct"',
    "scontrol": 'cat "$truth/scontrol"',
    "scancel": ":",
    "srun": ":",
    "sbatch": """
id=$(( $(cat "$truth/last") + 1 )); echo $id > "$truth/last"; echo "$id|$1" >> "$truth/scripts"
tasks=$(sed -n 's/^#SBATCH --array=0-\\([0-9]*\\).*/\\1/p' "$1")
for one in $([ -z "$tasks" ] && echo $id || seq -f "${id}_%.0f" 0 "$tasks"); do
    echo "$one|PENDING|Priority|0:00|1:00|" >> "$truth/squeue"
done
echo "Submitted batch job $id" """,
}


class LyingSlurm(FakeSlurm):
    """Stand-ins for SLURM's commands, with the truth in files and a fault for each command."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, draw: random.Random) -> None:
        super().__init__(folder, monkeypatch)
        self.truth, self.draw = folder / "truth", draw
        self.truth.mkdir()
        (self.truth / "garbage").write_bytes(draw.randbytes(200) + b"|\xff|\n")
        (self.truth / "last").write_text("100\n")
        (self.truth / "scripts").write_text("")
        self.know({}, {}, {})
        for name in ANSWERS:
            self.fault(name)

    def know(self, queued: Mapping[str, str], ended: Mapping[str, str], stale: Mapping[str, str]) -> None:
        """Write the states of jobs by id: of those in the queue, of those that have ended, and what it was before."""
        for suffix, jobs in (("", queued), (".stale", stale)):
            lines = [f"{job_id}|{state}|None|0:01|1:00|n1\n" for job_id, state in jobs.items()]
            (self.truth / f"squeue{suffix}").write_text("".join(lines))
            everything = {**jobs, **({} if suffix else ended)}
            lines = [f"{job_id}|{state}\n{job_id}.batch|{state}\n" for job_id, state in everything.items()]
            (self.truth / f"sacct{suffix}").write_text("".join(lines))
            named = "JobName=x UserId=me(1) GroupId=me(1)"
            lines = [f"JobId={job_id} {named} JobState={state}\n" for job_id, state in everything.items()]
            (self.truth / f"scontrol{suffix}").write_text("".join(lines))

    def fault(self, name: str, lines: str = TRUE, once: bool = False) -> None:
        """Have a command answer so from now on, or once; by default with the truth."""
        drawn = {"bytes": self.draw.randint(1, 12), "lines": self.draw.randint(0, 1)}
        told = f'name={name} truth="{self.truth}"\nanswer() {{\n{ANSWERS[name]}\n}}\n'
        lines = lines % drawn if "%(" in lines else lines
        marker = f"$truth/{name}.once"
        self.put({name: told + (f'if [ -e "{marker}" ]; then {TRUE}; exit; fi\ntouch "{marker}"\n' * once) + lines})

    def scripts(self) -> Sequence[str]:
        """The ids of the jobs, or arrays, that sbatch has accepted."""
        lines = (self.truth / "scripts").read_text(encoding="utf8").splitlines()
        return [line.partition("|")[0] for line in lines]

    def end(self, *job_ids: str) -> None:
        """Have jobs leave the queue."""
        path = self.truth / "squeue"
        lines = path.read_text(encoding="utf8").splitlines(keepends=True)
        path.write_text("".join(line for line in lines if line.partition("|")[0] not in job_ids))


def seeded(name: str) -> random.Random:
    """The random choices of a test, with a seed that it prints; CAEBENCH_KILLS sets another."""
    seed = f"{os.environ.get('CAEBENCH_KILLS', '0')} {name}"
    print(f"faults are drawn with the seed {seed!r}")
    return random.Random(seed)
