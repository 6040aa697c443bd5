"""MNIST: finds or downloads its four files, verifies their checksums, and returns them as arrays.

Enters: a folder, or mirrors. Leaves: the official 60,000 training and 10,000 test digits. Images are uint8
(n, 28, 28), 0 = background to 255 = foreground; labels are int64 (n,), 0 to 9. Out of scope: scaling, validation split,
augmentation.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import tempfile
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import httpx
import numpy as np
import numpy.typing as npt

from service.types import IMAGE_SIDE
from training.errors import TrainingError

VARIABLE = "DIGITS_DATA"


@dataclass(frozen=True)
class Part:
    """One IDX file: its name without `.gz`, the SHA-256 of its uncompressed content, and the shape of its array."""

    name: str
    sha256: str
    shape: tuple[int, ...]

    @property
    def header(self) -> bytes:
        """The IDX header: two zero bytes, 8 for uint8, the number of axes, and the size of each axis as 32 bits."""
        sizes = b"".join(size.to_bytes(4, "big") for size in self.shape)
        return bytes((0, 0, 8, len(self.shape))) + sizes

    @property
    def n_bytes(self) -> int:
        """Length of the uncompressed file."""
        return len(self.header) + int(np.prod(self.shape))


# The checksums of the files that Yann LeCun published. Every mirror below serves these.
PARTS: Mapping[str, Part] = MappingProxyType(
    {
        "train_images": Part(
            "train-images-idx3-ubyte",
            "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            (60_000, IMAGE_SIDE, IMAGE_SIDE),
        ),
        "train_labels": Part(
            "train-labels-idx1-ubyte",
            "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            (60_000,),
        ),
        "test_images": Part(
            "t10k-images-idx3-ubyte",
            "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            (10_000, IMAGE_SIDE, IMAGE_SIDE),
        ),
        "test_labels": Part(
            "t10k-labels-idx1-ubyte",
            "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
            (10_000,),
        ),
    }
)

MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
    "https://azureopendatastorage.blob.core.windows.net/mnist/",
    "http://yann.lecun.com/exdb/mnist/",
)

# The errors of a damaged gzip file, depending on the layer that detects it.
_GZIP_ERRORS = (OSError, EOFError, zlib.error)


class MnistError(TrainingError):
    """MNIST is missing, damaged, or could not be downloaded."""


@dataclass(frozen=True, eq=False)
class Digits:
    """Images uint8 (n, 28, 28), 0 = background to 255 = foreground, and labels int64 (n,)."""

    images: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64]

    def __len__(self) -> int:
        """Return the number of digits."""
        return len(self.labels)

    def __getitem__(self, rows: npt.NDArray[np.int64] | slice) -> Digits:
        """Return the digits of these rows."""
        return Digits(self.images[rows], self.labels[rows])

    def only(self, classes: Sequence[int]) -> Digits:
        """Return the digits of these classes."""
        return self[np.flatnonzero(np.isin(self.labels, classes))]


@dataclass(frozen=True, eq=False)
class Mnist:
    """The official split into training and test digits."""

    train: Digits
    test: Digits

    def only(self, classes: Sequence[int]) -> Mnist:
        """Return the digits of these classes."""
        return Mnist(self.train.only(classes), self.test.only(classes))


def default_directory() -> Path:
    """Return the default folder of the files: digits/mnist in the user's cache."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "digits" / "mnist"


def find(directory: Path | None = None) -> Path:
    """Return the folder of the files: the argument, else $DIGITS_DATA, else the default folder."""
    if directory is not None:
        return directory
    return Path(os.environ[VARIABLE]) if os.environ.get(VARIABLE) else default_directory()


def load(directory: Path, parts: Mapping[str, Part] = PARTS) -> Mnist:
    """Read and verify the four files of a folder, uncompressed or gzip.

    Raises MnistError when a file is missing or is not the published one.
    """
    arrays = {key: _read(directory, part) for key, part in parts.items()}
    return Mnist(
        train=Digits(arrays["train_images"], arrays["train_labels"].astype(np.int64)),
        test=Digits(arrays["test_images"], arrays["test_labels"].astype(np.int64)),
    )


def checksums(parts: Mapping[str, Part] = PARTS) -> dict[str, str]:
    """Return the SHA-256 of each uncompressed file by its name, for the training record of a model."""
    return {part.name: part.sha256 for part in parts.values()}


def _read(directory: Path, part: Part) -> npt.NDArray[np.uint8]:
    for path in (directory / f"{part.name}.gz", directory / part.name):
        if path.is_file():
            try:
                content = _verified(path, part)
            except MnistError as error:
                message = f"{path} {error}; delete it and run `digits-train fetch`"
                raise MnistError(message) from error
            return np.frombuffer(content, np.uint8, offset=len(part.header)).reshape(part.shape)
    message = (
        f"{directory} has no {part.name}.gz: name the folder with --data or {VARIABLE}, "
        "or run `digits-train fetch` to download MNIST"
    )
    raise MnistError(message)


def _verified(path: Path, part: Part) -> bytes:
    """Return the uncompressed content of a file. Raises MnistError when its checksum is not the published one."""
    try:
        with (gzip.open if path.suffix == ".gz" else open)(path, "rb") as file:
            # One byte more than expected detects a longer file, and limits what a decompression bomb can expand to.
            content: bytes = file.read(part.n_bytes + 1)
    except _GZIP_ERRORS as error:
        message = f"cannot be decompressed ({error})"
        raise MnistError(message) from error
    digest = hashlib.sha256(content).hexdigest()
    if digest != part.sha256:
        message = f"is not the MNIST file: its content has SHA-256 {digest[:12]}..., not {part.sha256[:12]}..."
        raise MnistError(message)
    return content


Progress = Callable[[str, int, int | None], None]
"""Called with the file's name, the bytes received, and the total if the mirror sends a Content-Length."""


def fetch(
    directory: Path,
    *,
    progress: Progress,
    mirrors: Iterable[str] = MIRRORS,
    parts: Mapping[str, Part] = PARTS,
    timeout: float = 30.0,
) -> list[Path]:
    """Download the missing or damaged files of a folder, trying one mirror after another.

    Every file is verified before it gets its name, so that a folder never has a damaged or partial one. `timeout` is
    the timeout of connecting and of each read, in seconds. Returns the paths that were written. Raises MnistError, with
    the error of each mirror, when all mirrors fail for a file, and when the folder cannot be written.
    """
    mirrors = list(mirrors)
    with httpx.Client(follow_redirects=True, timeout=timeout) as client:
        try:
            directory.mkdir(parents=True, exist_ok=True)
            return [
                _fetch_part(client, directory, part, mirrors, progress)
                for part in parts.values()
                if not _is_valid(directory, part)
            ]
        except OSError as error:
            message = f"cannot write {error.filename2 or error.filename or directory}: {error.strerror}"
            raise MnistError(message) from error


def _is_valid(directory: Path, part: Part) -> bool:
    try:
        _read(directory, part)
    except MnistError:
        return False
    return True


def _fetch_part(client: httpx.Client, directory: Path, part: Part, mirrors: list[str], progress: Progress) -> Path:
    target = directory / f"{part.name}.gz"
    reasons = []
    for mirror in mirrors:
        handle, name = tempfile.mkstemp(dir=directory, prefix=f".{part.name}.", suffix=".gz")
        os.close(handle)
        temporary = Path(name)
        try:
            _download(client, mirror.rstrip("/") + f"/{part.name}.gz", temporary, part, progress)
            _verified(temporary, part)
            temporary.replace(target)
        except (httpx.HTTPError, MnistError) as error:
            # Only the first line: httpx adds one with a link to the explanation of the status.
            reasons.append(f"{mirror}: {str(error).partition(chr(10))[0]}")
        else:
            # A damaged uncompressed copy must not stay beside the new file.
            (directory / part.name).unlink(missing_ok=True)
            return target
        finally:
            temporary.unlink(missing_ok=True)
    message = f"no mirror serves {part.name}.gz: " + "; ".join(reasons)
    raise MnistError(message)


def _download(client: httpx.Client, url: str, path: Path, part: Part, progress: Progress) -> None:
    with client.stream("GET", url) as response, path.open("wb") as file:
        response.raise_for_status()
        length = response.headers.get("content-length", "")
        total = int(length) if length.isdecimal() else None
        # Raw: some mirrors send `Content-Encoding: gzip` with the file, and httpx would decompress it.
        for chunk in response.iter_raw():
            file.write(chunk)
            if file.tell() > part.n_bytes:
                message = "sends more bytes than the uncompressed file has"
                raise MnistError(message)
            progress(part.name, file.tell(), total)
