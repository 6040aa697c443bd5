"""The pictures of a bulk job: a folder or a table of paths in, their paths and then their bytes out.

Any file system of pyarrow will do. Out of scope: what is in the pictures (`rows`).
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from service.cli.files import SUFFIXES
from service.errors import BodyTooLarge, DigitsError

PATH = "path"
# Offsets of 64 bits: the paths of millions of pictures have more than 2 GiB together.
PATHS = pa.large_string()
_MACOS_METADATA = "__MACOSX"
# Files that are read at the same time, and files that are read ahead. An object store takes ten times as long for a
# file as the classifier for a picture, but serves many at once.
_READERS = 8
_READ_AHEAD = 16


class InputError(DigitsError):
    """The input is neither a folder nor a table of paths. The message has its name and the reason."""


class FileError(DigitsError):
    """A file cannot be read."""


class MissingFile(FileError):
    """There is no file of this name."""


class UnreadableFile(FileError):
    """The file system does not give the file: no permission, a folder, or a broken connection."""


@dataclass(frozen=True)
class Pictures:
    """Paths of pictures: large_string (n,), sorted, each once, and the number of files that are no pictures.

    `root` is the folder, an absolute path or a URI, to which relative paths refer.
    """

    root: str
    paths: pa.ChunkedArray
    n_skipped: int = 0


def absolute(name: str) -> str:
    """Return a URI as it is, and any other name as an absolute path."""
    return name if "://" in name else str(Path(name).resolve())


def find_pictures(name: str) -> Pictures:
    """Return the pictures of a folder, at any depth, or of a table of paths, which is a Parquet or a CSV file.

    In a folder the suffix decides what is a picture, as it does for `digits predict`. A table has a column `path`. Its
    paths are absolute, URIs, or relative to the folder of the table, and need no suffix. Raises InputError.
    """
    name = absolute(name)
    try:
        filesystem, path = pafs.FileSystem.from_uri(name)
        info = filesystem.get_file_info(path)
        if info.type is pafs.FileType.Directory:
            return _find_in_folder(name, filesystem, path)
        if info.type is not pafs.FileType.File:
            message = f"{name}: there is no such folder or file"
            raise InputError(message)
        paths = _read_table(filesystem, path)
    except (OSError, pa.ArrowException) as error:
        message = f"{name}: {error}"
        raise InputError(message) from error
    return Pictures(_parent(name), _sorted(paths))


def _parent(name: str) -> str:
    if "://" not in name:
        return str(Path(name).parent)
    # The query of a URI has options of the file system, such as the region.
    parts = urlsplit(name)
    return parts._replace(path=str(PurePosixPath(parts.path).parent)).geturl()


def _read_table(filesystem: pafs.FileSystem, path: str) -> pa.ChunkedArray:
    suffix = PurePosixPath(path).suffix.lower()
    if suffix == ".parquet":
        # Not `read_table` with `columns`, which returns a table without columns where there is none of the name.
        file = pq.ParquetFile(filesystem.open_input_file(path))
        table = file.read([PATH]) if PATH in file.schema_arrow.names else None
    elif suffix == ".csv":
        with filesystem.open_input_stream(path) as stream:
            # No number is meant by a name like 007, and no missing value by one like NA.
            options = pyarrow.csv.ConvertOptions(column_types={PATH: pa.string()}, strings_can_be_null=False)
            table = pyarrow.csv.read_csv(stream, convert_options=options)
    else:
        message = f"{path}: a table of paths ends in .parquet or .csv; a single picture is for `digits predict`"
        raise InputError(message)
    if table is None or PATH not in table.column_names:
        message = f"{path}: the table has no column `{PATH}`"
        raise InputError(message)
    paths = table[PATH]
    if not (pa.types.is_string(paths.type) or pa.types.is_large_string(paths.type)):
        message = f"{path}: the column `{PATH}` has values of type {paths.type}, not strings"
        raise InputError(message)
    n_empty = len(paths) - (pc.sum(pc.not_equal(paths, "")).as_py() or 0)
    if n_empty:
        message = f"{path}: {n_empty:,} rows have no path"
        raise InputError(message)
    return paths


def _find_in_folder(name: str, filesystem: pafs.FileSystem, folder: str) -> Pictures:
    names = _walk(folder) if isinstance(filesystem, pafs.LocalFileSystem) else _list(filesystem, folder)
    n_files = 0

    def pictures() -> Generator[str]:
        nonlocal n_files
        for path in names:
            n_files += 1
            parts = PurePosixPath(path)
            is_metadata = parts.name.startswith("._") or _MACOS_METADATA in parts.parts
            if parts.suffix.lower() in SUFFIXES and not is_metadata:
                yield path

    paths = pa.chunked_array([pa.array(pictures(), PATHS)])
    return Pictures(name, _sorted(paths), n_files - len(paths))


def _list(filesystem: pafs.FileSystem, folder: str) -> Generator[str]:
    for info in filesystem.get_file_info(pafs.FileSelector(folder, recursive=True)):
        if info.is_file:
            yield info.path.removeprefix(folder).lstrip("/")


def _walk(folder: str) -> Generator[str]:
    """Yield the same of a local folder, where a file name may be any bytes, at which pyarrow's listing fails.

    A name that is not UTF-8 is escaped, since no column of strings can hold it. So its file will not be found.
    """
    for directory, _, names in os.walk(folder, onerror=_raise, followlinks=False):
        relative = Path(directory).relative_to(folder)
        for file in names:
            yield (relative / file).as_posix().encode(errors="surrogateescape").decode(errors="backslashreplace")


def _raise(error: OSError) -> None:
    raise error


def _sorted(paths: pa.ChunkedArray) -> pa.ChunkedArray:
    unique = paths.cast(PATHS).unique()
    return pa.chunked_array([unique.take(pc.array_sort_indices(unique))])


class PictureFiles:
    """Reads the bytes of pictures."""

    def __init__(self, root: str, max_bytes: int) -> None:
        """Read paths that are relative to `root` or absolute, of files with at most this many bytes."""
        self._root = root
        self._max_bytes = max_bytes
        # Keyed by folder, since a connection takes longer than a picture.
        self._filesystem_of = lru_cache(maxsize=64)(pafs.FileSystem.from_uri)

    def read_all(self, paths: Iterable[str]) -> Generator[bytes | DigitsError]:
        """Yield the bytes of each file, or its FileError or BodyTooLarge, in their order. Some are read ahead."""
        with ThreadPoolExecutor(_READERS) as pool:
            futures = (pool.submit(self._read_or_error, path) for path in paths)
            pending = deque(islice(futures, _READ_AHEAD))
            while pending:
                yield pending.popleft().result()
                pending.extend(islice(futures, 1))

    def _read_or_error(self, path: str) -> bytes | DigitsError:
        try:
            return self.read(path)
        except (FileError, BodyTooLarge) as error:
            return error

    def read(self, path: str) -> bytes:
        """Return the bytes of a file. Raises MissingFile, UnreadableFile, and BodyTooLarge before it is read."""
        try:
            filesystem, location = self._locate(path)
            info = filesystem.get_file_info(location)
            if info.type is pafs.FileType.NotFound:
                message = "there is no such file"
                raise MissingFile(message)
            if info.type is not pafs.FileType.File:
                # To open a named pipe would wait for ever.
                message = "it is not a file"
                raise UnreadableFile(message)
            if info.size > self._max_bytes:
                message = f"the file exceeds the limit of {self._max_bytes:,} bytes"
                raise BodyTooLarge(message)
            with filesystem.open_input_stream(location) as stream:
                content: bytes = stream.read()
        except (OSError, pa.ArrowException) as error:
            message = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else str(error)
            raise UnreadableFile(message) from error
        return content

    def _locate(self, path: str) -> tuple[pafs.FileSystem, str]:
        if "://" in path:
            parts = urlsplit(path)
            folder, _, name = parts.path.rpartition("/")
            filesystem, base = self._filesystem_of(parts._replace(path=folder or "/").geturl())
            return filesystem, f"{base.rstrip('/')}/{unquote(name)}"
        if Path(path).is_absolute():
            return pafs.LocalFileSystem(), path
        filesystem, base = self._filesystem_of(self._root)
        return filesystem, f"{base.rstrip('/')}/{path}"
