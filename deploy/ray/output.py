"""Tables in, a folder of Parquet files out, which are whole or not there.

Each file is one part of a job. It is written under a temporary name and then moved, so a killed process leaves no half
of it. Its name is a hash of its paths, so a part that is written twice replaces itself. Which pictures are done is read
from the finished parts alone: there is no other state that could differ from them. Out of scope: what the tables
contain (`rows`).
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from deploy.ray.pictures import PATH, PATHS, absolute
from service.errors import DigitsError

_PARQUET = ".parquet"
# Readers of Parquet folders leave out names that begin with a dot or an underscore.
_TEMPORARY = ".tmp-"
_JOB = "_job.json"


class OutputError(DigitsError):
    """The output cannot be written, or belongs to another job. The message has its name and the reason."""


class Output:
    """The folder of a job's results, on any file system of pyarrow."""

    def __init__(self, name: str) -> None:
        """Write to this folder, a path or a URI. Raises OutputError for a file system that pyarrow does not know."""
        self.name = absolute(name)
        try:
            self._filesystem, self._folder = pafs.FileSystem.from_uri(self.name)
        except (OSError, pa.ArrowException) as error:
            raise self._error(str(error)) from error

    def open(self, job: Mapping[str, str]) -> pa.ChunkedArray:
        """Return the paths that are done, large_string (n,), and remove what killed processes left half-written.

        `job` names what must be the same for all rows. Raises OutputError when it differs from that of the rows that
        are there, and when the folder has Parquet files of something else.
        """
        try:
            self._filesystem.create_dir(self._folder, recursive=True)
            files = self._filesystem.get_file_info(pafs.FileSelector(self._folder))
            for file in files:
                if file.base_name.startswith(_TEMPORARY):
                    self._filesystem.delete_file(file.path)
            parts = sorted(file.path for file in files if file.is_file and file.base_name.endswith(_PARQUET))
            self._check_job(job, is_started=any(file.base_name == _JOB for file in files), has_parts=bool(parts))
            if not parts:
                return pa.chunked_array([], PATHS)
            dataset = pyarrow.dataset.dataset(
                parts, schema=pa.schema([(PATH, pa.string())]), format="parquet", filesystem=self._filesystem
            )
            return dataset.to_table(columns=[PATH])[PATH].cast(PATHS)
        except (OSError, ValueError, pa.ArrowException) as error:
            raise self._error(str(error)) from error

    def _check_job(self, job: Mapping[str, str], *, is_started: bool, has_parts: bool) -> None:
        if not is_started:
            if has_parts:
                reason = "it has Parquet files of something else: choose another output"
                raise self._error(reason)
            self._write(_JOB, json.dumps(job, indent=2).encode())
            return
        with self._filesystem.open_input_stream(f"{self._folder}/{_JOB}") as stream:
            before = json.loads(stream.read())
        changes = [f"{key} {before.get(key)}, not {value}" for key, value in job.items() if before.get(key) != value]
        if changes:
            reason = f"its rows are of {'; of '.join(changes)}: choose another output"
            raise self._error(reason)

    def write(self, paths: Sequence[str], table: pa.Table) -> None:
        """Write a table (n,) of the rows of these paths as one file, atomically. Raises OSError."""
        buffer = pa.BufferOutputStream()
        pq.write_table(table, buffer)
        digest = hashlib.sha256("\0".join(paths).encode()).hexdigest()
        self._write(f"part-{digest[:32]}{_PARQUET}", buffer.getvalue())

    def _write(self, name: str, content: bytes | pa.Buffer) -> None:
        temporary = f"{self._folder}/{_TEMPORARY}{uuid.uuid4().hex}"
        with self._filesystem.open_output_stream(temporary) as stream:
            stream.write(content)
        self._filesystem.move(temporary, f"{self._folder}/{name}")

    def _error(self, reason: str) -> OutputError:
        return OutputError(f"{self.name}: {reason}")


def without(paths: pa.ChunkedArray, done: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return the paths, large_string (n,), that are not in `done`, in their order."""
    return paths.filter(pc.invert(pc.is_in(paths, value_set=done))) if len(done) else paths
