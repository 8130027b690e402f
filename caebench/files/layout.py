"""The name of every file of the store.

pretrain/cae-pixels-nano_b-64e-s0-98cac62a22/
    job.json         kind, full config, inputs       provenance.json  commit, versions, machine
    submission.json  who runs it: the lease          metrics.jsonl    a line every few steps and every epoch
    heartbeat        touched while it runs           checkpoints/     of a job that is not done
    attempts.jsonl   when it ran, and how that ended inputs.json      which results it began with, until it is done
    failure.json     why it stopped                  result.json      its numbers: written last, it means done
                                                     and what the job leaves, such as encoder.safetensors
<scheduler>/ what its jobs have printed: flat, and  snapshots/       the code that they run
             there before any job starts
"""

from pathlib import Path

JOB = "job.json"
LEASE = "submission.json"
HEARTBEAT = "heartbeat"
ATTEMPTS = "attempts.jsonl"
FAILURE = "failure.json"
PROVENANCE = "provenance.json"
METRICS = "metrics.jsonl"
CHECKPOINTS = "checkpoints"
INPUTS = "inputs.json"
RESULT = "result.json"
DAMAGED = ".damaged"  # the ending of a result or a checkpoint that is set aside until its job is done

WORLD = "world"  # a folder: the files of a rendered data set
ENCODER = "encoder.safetensors"  # of every job that leaves an encoder
MODEL = "model.pt"  # the whole network of a pretraining
DVAE = "dvae.pt"  # a trained tokenizer
TOKENIZER = "tokenizer.safetensors"  # a released one
MAPPING = "mapping.json"  # of an imported encoder: what became of every key of the file
PER_CLASS = "per_class.csv"
HEADS = "heads.json"  # of a grid of linear probes: what every head reached
MADE_OF = "made_of.json"  # of a code cache: the config, and which runs of tokenizer and data it depends on
EPOCHS = "epoch-*"  # of a code cache

ID_LENGTH = 10  # digits of a job's id, the last of its folder's name
SNAPSHOTS = "snapshots"


def checkpoint_file(folder: Path, step: int) -> Path:
    """A job's checkpoint after so many steps."""
    return folder / CHECKPOINTS / f"{step:09d}.pt"


def epoch_file(folder: Path, epoch: int) -> Path:
    """The codes of an epoch."""
    return folder / f"epoch-{epoch:04}.npy"


def name_of(folder: Path) -> str:
    """`kind/readable-id`: a job's folder below the store."""
    return f"{folder.parent.name}/{folder.name}"


def id_in(name: str) -> str:
    """The id at the end of a folder's name; what stands before it is for people."""
    return name.rpartition("-")[2]


def is_id(text: str) -> bool:
    """Whether a text has the form of a job's id."""
    return len(text) == ID_LENGTH and set(text) <= set("0123456789abcdef")
