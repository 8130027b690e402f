"""What each verb prints with `--json`. A key more or less is a change for scripts that read it."""

from pydantic import TypeAdapter

from tests.schemas import files, jobs

SCHEMAS = {verb: TypeAdapter(schema) for verb, schema in {**jobs.SCHEMAS, **files.SCHEMAS}.items()}
