"""MNIST: its four files found or downloaded, verified, and handed out as arrays.

Leaves: the official 60,000 training and 10,000 test digits, images uint8 of shape (n, 28, 28), 0 = background to
255 = ink, labels int64 of shape (n,), 0 to 9. Out of scope: scaling, splitting off validation digits, distortions.
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
    """One IDX file: its name without `.gz`, the SHA-256 of its unpacked content and the shape of its array."""

    name: str
    sha256: str
    shape: tuple[int, ...]

    @property
    def header(self) -> bytes:
        """The bytes before the values: two zeros, 8 for uint8, the number of axes, each axis as 32 bits."""
        sizes = b"".join(size.to_bytes(4, "big") for size in self.shape)
        return bytes((0, 0, 8, len(self.shape))) + sizes

    @property
    def n_bytes(self) -> int:
        """Length of the unpacked file."""
        return len(self.header) + int(np.prod(self.shape))


# The checksums of the files that Yann LeCun published; every mirror below serves these.
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

# Damage that gzip reports in as many ways as there are layers.
_GZIP_ERRORS = (OSError, EOFError, zlib.error)


class MnistError(TrainingError):
    """MNIST is missing, damaged, or could not be downloaded; the message says what to do."""


@dataclass(frozen=True, eq=False)
class Digits:
    """Images uint8 (n, 28, 28), 0 = background to 255 = ink, and labels int64 (n,)."""

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
    """The official split."""

    train: Digits
    test: Digits

    def only(self, classes: Sequence[int]) -> Mnist:
        """Return the digits of these classes."""
        return Mnist(self.train.only(classes), self.test.only(classes))


def default_directory() -> Path:
    """Return where `fetch` puts the files when nothing else is said: digits/mnist in the user's cache."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "digits" / "mnist"


def find(directory: Path | None = None) -> Path:
    """Return the folder to read: the one given, else $DIGITS_DATA, else the cache."""
    if directory is not None:
        return directory
    return Path(os.environ[VARIABLE]) if os.environ.get(VARIABLE) else default_directory()


def load(directory: Path, parts: Mapping[str, Part] = PARTS) -> Mnist:
    """Read and verify the four files, plain or gzip, of a folder.

    Raises MnistError when one is missing or is not the published file.
    """
    arrays = {key: _read(directory, part) for key, part in parts.items()}
    return Mnist(
        train=Digits(arrays["train_images"], arrays["train_labels"].astype(np.int64)),
        test=Digits(arrays["test_images"], arrays["test_labels"].astype(np.int64)),
    )


def checksums(parts: Mapping[str, Part] = PARTS) -> dict[str, str]:
    """Return the SHA-256 of each unpacked file, for the record of what a model was trained on."""
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
        f"{directory} holds no {part.name}.gz: name the folder with --data or {VARIABLE}, "
        "or run `digits-train fetch` to download MNIST"
    )
    raise MnistError(message)


def _verified(path: Path, part: Part) -> bytes:
    """Return the unpacked content of a file that is what it should be, or raise MnistError with what it is instead."""
    try:
        with (gzip.open if path.suffix == ".gz" else open)(path, "rb") as file:
            # One byte more than there should be shows a longer file, and bounds what a foreign one can unpack to.
            content: bytes = file.read(part.n_bytes + 1)
    except _GZIP_ERRORS as error:
        message = f"cannot be unpacked ({error})"
        raise MnistError(message) from error
    digest = hashlib.sha256(content).hexdigest()
    if digest != part.sha256:
        message = f"is not the MNIST file: its content has SHA-256 {digest[:12]}..., not {part.sha256[:12]}..."
        raise MnistError(message)
    return content


Progress = Callable[[str, int, int | None], None]
"""Told the file's name, the bytes so far and, where the mirror says, how many there will be."""


def fetch(
    directory: Path,
    *,
    progress: Progress,
    mirrors: Iterable[str] = MIRRORS,
    parts: Mapping[str, Part] = PARTS,
    timeout: float = 30.0,
) -> list[Path]:
    """Download the files that the folder does not hold yet, trying one mirror after another.

    Every file is verified before it gets its name, so a folder never holds a damaged or half-written one. `timeout` is
    the longest silence of a mirror in seconds. Returns the paths that were written. Raises MnistError, with each
    mirror's reason, when none serves a file, and when the folder cannot be written.
    """
    mirrors = list(mirrors)
    with httpx.Client(follow_redirects=True, timeout=timeout) as client:
        try:
            directory.mkdir(parents=True, exist_ok=True)
            return [
                _fetch_part(client, directory, part, mirrors, progress)
                for part in parts.values()
                if not _holds(directory, part)
            ]
        except OSError as error:
            message = f"cannot write {error.filename2 or error.filename or directory}: {error.strerror}"
            raise MnistError(message) from error


def _holds(directory: Path, part: Part) -> bool:
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
            # httpx adds a second line that points to an explanation of the status.
            reasons.append(f"{mirror}: {str(error).partition(chr(10))[0]}")
        else:
            # A damaged unpacked twin would only confuse whoever looks at the folder.
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
        # Raw, since a mirror that labels the file `Content-Encoding: gzip` would otherwise have it unpacked on the way.
        for chunk in response.iter_raw():
            file.write(chunk)
            if file.tell() > part.n_bytes:
                message = "sends more than the whole file unpacked"
                raise MnistError(message)
            progress(part.name, file.tell(), total)
