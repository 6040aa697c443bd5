"""MNIST is found, downloaded and verified, and no other file is accepted."""

from __future__ import annotations

import gzip
import hashlib
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.training.mirrors import (
    Answer,
    Mirror,
    redirects,
    responds_with,
    sends,
    sends_nothing,
    sends_without_length,
    unreachable,
)
from tests.training.tiny import TinyMnist
from training import mnist
from training.mnist import PARTS, Digits, Mnist, MnistError

NAME = "train-images-idx3-ubyte"


def ignore(_name: str, _done: int, _total: int | None) -> None:
    """Ignore the progress."""


@pytest.mark.parametrize("packed", [True, False])
def test_load_returns_the_digits(tiny: TinyMnist, tmp_path: Path, packed: bool) -> None:  # noqa: FBT001
    """The four files, uncompressed or gzip, are loaded as the digits of the official split."""
    loaded = mnist.load(tiny.write(tmp_path / "mnist", packed=packed), tiny.parts)

    np.testing.assert_array_equal(tiny.digits.train.images, loaded.train.images)
    np.testing.assert_array_equal(tiny.digits.train.labels, loaded.train.labels)
    np.testing.assert_array_equal(tiny.digits.test.images, loaded.test.images)
    np.testing.assert_array_equal(tiny.digits.test.labels, loaded.test.labels)
    assert (np.dtype(np.uint8), np.dtype(np.int64)) == (loaded.train.images.dtype, loaded.train.labels.dtype)
    assert (200, 60) == (len(loaded.train), len(loaded.test))


def test_parts_describe_the_published_files() -> None:
    """Header and length of each real file are those of the IDX format."""
    expected = {
        "train_images": ("00000803 0000ea60 0000001c 0000001c", 47_040_016),
        "train_labels": ("00000801 0000ea60", 60_008),
        "test_images": ("00000803 00002710 0000001c 0000001c", 7_840_016),
        "test_labels": ("00000801 00002710", 10_008),
    }

    assert expected == {key: (part.header.hex(" ", 4), part.n_bytes) for key, part in PARTS.items()}


def test_real_files_have_the_real_digits(real_mnist: Mnist) -> None:
    """The real MNIST begins with its well-known labels and has 6,742 training digits of class 1."""
    assert [5, 0, 4, 1, 9] == real_mnist.train.labels[:5].tolist()
    assert [7, 2, 1, 0, 4] == real_mnist.test.labels[:5].tolist()
    assert 6_742 == int(np.sum(real_mnist.train.labels == 1))


def test_rows_select_digits(tiny: TinyMnist) -> None:
    """Indexing returns images with their labels."""
    chosen = tiny.digits.train[np.array([3, 17])]

    assert [3, 7] == chosen.labels.tolist()
    np.testing.assert_array_equal(tiny.digits.train.images[17], chosen.images[1])


labels_of_two_parts = st.tuples(*[st.lists(st.integers(0, 9), max_size=20)] * 2)


@given(labels=labels_of_two_parts, classes=st.lists(st.integers(0, 9), max_size=5))
def test_only_selects_classes(labels: tuple[list[int], list[int]], classes: list[int]) -> None:
    """Both parts have the digits of these classes, in their order and with their images."""
    train, test = (
        # The grey of each image is its index.
        Digits(np.full((len(part), 28, 28), np.arange(len(part))[:, None, None], np.uint8), np.array(part, np.int64))
        for part in labels
    )

    chosen = Mnist(train, test).only(classes)

    for part, digits in zip(labels, (chosen.train, chosen.test), strict=True):
        kept = [number for number, label in enumerate(part) if label in classes]
        assert [part[number] for number in kept] == digits.labels.tolist()
        assert kept == digits.images[:, 14, 14].tolist()
        assert ((28, 28), "uint8", "int64") == (
            digits.images.shape[1:],
            digits.images.dtype.name,
            digits.labels.dtype.name,
        )


def test_checksums_are_of_the_uncompressed_files(tiny: TinyMnist) -> None:
    """The training record has the SHA-256 of each uncompressed file."""
    expected = {name: hashlib.sha256(content).hexdigest() for name, content in tiny.contents.items()}

    assert expected == mnist.checksums(tiny.parts)


@pytest.mark.parametrize("folder", ["mnist", "nowhere"])
def test_missing_file_is_named(tiny: TinyMnist, tiny_directory: Path, folder: str) -> None:
    """Without a file, or without the folder, the error names the file and the command that downloads it."""
    directory = tiny_directory.parent / folder
    (tiny_directory / f"{NAME}.gz").unlink()

    with pytest.raises(MnistError) as caught:
        mnist.load(directory, tiny.parts)

    assert (
        f"{directory} has no {NAME}.gz: name the folder with --data or DIGITS_DATA, "
        "or run `digits-train fetch` to download MNIST" == str(caught.value)
    )


def flipped(content: bytes) -> bytes:
    """Return the content with its middle byte changed."""
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 0xFF]) + content[middle + 1 :]


def gzip_damaged(content: bytes) -> bytes:
    """Return the content compressed, with the first byte of the compressed data changed."""
    packed = bytearray(gzip.compress(content))
    packed[10] ^= 0xFF
    return bytes(packed)


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        pytest.param(lambda content: gzip.compress(content)[:-100], "cannot be decompressed", id="truncated"),
        pytest.param(gzip_damaged, "cannot be decompressed", id="corrupt"),
        pytest.param(lambda content: b"<html>" + content, "cannot be decompressed", id="not gzip"),
        pytest.param(lambda content: gzip.compress(flipped(content)), "is not the MNIST file", id="flipped"),
        pytest.param(lambda content: gzip.compress(content + b"\0"), "is not the MNIST file", id="longer"),
    ],
)
def test_damaged_file_is_rejected(
    tiny: TinyMnist, tiny_directory: Path, damage: Callable[[bytes], bytes], reason: str
) -> None:
    """A file that differs from the published one is rejected, with its path and what to do."""
    path = tiny_directory / f"{NAME}.gz"
    path.write_bytes(damage(tiny.contents[NAME]))

    with pytest.raises(MnistError) as caught:
        mnist.load(tiny_directory, tiny.parts)

    assert f"{path} {reason}" == str(caught.value)[: len(f"{path} {reason}")]
    assert str(caught.value).endswith("; delete it and run `digits-train fetch`")


def test_damaged_uncompressed_file_is_rejected(tiny: TinyMnist, tmp_path: Path) -> None:
    """An uncompressed file is verified too, and the error has both checksums."""
    directory = tiny.write(tmp_path / "mnist", packed=False)
    wrong = flipped(tiny.contents[NAME])
    (directory / NAME).write_bytes(wrong)

    with pytest.raises(MnistError) as caught:
        mnist.load(directory, tiny.parts)

    found, published = hashlib.sha256(wrong).hexdigest(), hashlib.sha256(tiny.contents[NAME]).hexdigest()
    assert (
        f"{directory / NAME} is not the MNIST file: its content has SHA-256 {found[:12]}..., not {published[:12]}...; "
        "delete it and run `digits-train fetch`" == str(caught.value)
    )


@pytest.mark.parametrize(
    ("argument", "environment", "expected"),
    [
        ("given", {"DIGITS_DATA": "variable", "XDG_CACHE_HOME": "cache"}, "given"),
        (None, {"DIGITS_DATA": "variable", "XDG_CACHE_HOME": "cache"}, "variable"),
        (None, {"DIGITS_DATA": "", "XDG_CACHE_HOME": "cache"}, "cache/digits/mnist"),
        (None, {"HOME": "home"}, "home/.cache/digits/mnist"),
    ],
)
def test_find_takes_the_first_that_is_set(
    monkeypatch: pytest.MonkeyPatch, argument: str | None, environment: dict[str, str], expected: str
) -> None:
    """The folder is the argument, else $DIGITS_DATA, else in the user's cache."""
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    assert Path(expected) == mnist.find(Path(argument) if argument else None)


def test_fetch_downloads_all_files(tiny: TinyMnist, mirror: Mirror, tmp_path: Path) -> None:
    """A missing folder is created and filled with the four files, which can be loaded."""
    directory = tmp_path / "cache" / "mnist"

    written = mnist.fetch(directory, progress=ignore, mirrors=[mirror.url], parts=tiny.parts)

    assert [directory / f"{name}.gz" for name in tiny.contents] == written
    assert sorted(written) == sorted(directory.iterdir())
    np.testing.assert_array_equal(tiny.digits.test.images, mnist.load(directory, tiny.parts).test.images)


def test_fetch_skips_valid_files(tiny: TinyMnist, mirror: Mirror, tmp_path: Path) -> None:
    """Files that are present and valid are not requested again."""
    mnist.fetch(tmp_path, progress=ignore, mirrors=[mirror.url], parts=tiny.parts)
    requests = list(mirror.requests)

    assert [] == mnist.fetch(tmp_path, progress=ignore, mirrors=[mirror.url], parts=tiny.parts)
    assert requests == mirror.requests


def test_fetch_replaces_damaged_files_only(tiny: TinyMnist, mirror: Mirror, tmp_path: Path) -> None:
    """One damaged uncompressed file is replaced by a valid compressed one."""
    directory = tiny.write(tmp_path / "mnist", packed=False)
    (directory / NAME).write_bytes(b"damaged")

    written = mnist.fetch(directory, progress=ignore, mirrors=[mirror.url], parts=tiny.parts)

    assert [directory / f"{NAME}.gz"] == written
    assert sorted([f"{NAME}.gz", *(set(tiny.contents) - {NAME})]) == sorted(path.name for path in directory.iterdir())
    assert 200 == len(mnist.load(directory, tiny.parts).train)


def test_fetch_reports_progress(tiny: TinyMnist, mirror: Mirror, tmp_path: Path) -> None:
    """For every file, progress grows up to its size."""
    reports: dict[str, list[tuple[int, int | None]]] = {}

    def progress(name: str, done: int, total: int | None) -> None:
        reports.setdefault(name, []).append((done, total))

    written = mnist.fetch(tmp_path, progress=progress, mirrors=[mirror.url], parts=tiny.parts)

    sizes = [path.stat().st_size for path in written]
    assert list(tiny.contents) == list(reports)
    assert [(size, size) for size in sizes] == [of_one[-1] for of_one in reports.values()]
    assert all(sorted(of_one) == of_one for of_one in reports.values())


def test_fetch_reports_no_total_without_a_content_length(tiny: TinyMnist, mirror: Mirror, tmp_path: Path) -> None:
    """Without a Content-Length progress has no total, and the file is complete."""
    content = gzip.compress(tiny.contents[NAME])
    mirror.answers[f"{NAME}.gz"] = sends_without_length(content)
    totals: dict[str, int | None] = {}

    def progress(name: str, _done: int, total: int | None) -> None:
        totals[name] = total

    mnist.fetch(tmp_path, progress=progress, mirrors=[mirror.url], parts=tiny.parts)

    assert totals[NAME] is None
    assert content == (tmp_path / f"{NAME}.gz").read_bytes()


NOISE = bytes(range(256)) * 8
BAD_ANSWERS: dict[str, tuple[Answer, str]] = {
    "absent": (responds_with(404), "Client error '404 Not Found'"),
    "hangs up": (sends(b"\x1f\x8b\x08", length=1000), "peer closed connection"),
    "truncated": (sends(gzip.compress(NOISE)[:-20]), "cannot be decompressed"),
    "wrong content": (sends(gzip.compress(NOISE)), "is not the MNIST file: its content has SHA-256"),
    "too much": (sends(bytes(10_000_000)), "sends more bytes than the uncompressed file has"),
}


@pytest.mark.parametrize(("answer", "reason"), BAD_ANSWERS.values(), ids=BAD_ANSWERS)
def test_fetch_falls_back_to_the_next_mirror(  # noqa: PLR0913, PLR0917 - two mirrors and two kinds of answers
    tiny: TinyMnist, mirror: Mirror, other_mirror: Mirror, tmp_path: Path, answer: Answer, reason: str
) -> None:
    """Only the file that a mirror fails to serve is requested from the next. Without one, the error has the reason."""
    mirror.answers[f"{NAME}.gz"] = answer

    with pytest.raises(MnistError) as caught:
        mnist.fetch(tmp_path / "failed", progress=ignore, mirrors=[mirror.url], parts=tiny.parts)
    written = mnist.fetch(
        tmp_path / "mnist", progress=ignore, mirrors=iter([mirror.url, other_mirror.url]), parts=tiny.parts
    )

    start = f"no mirror serves {NAME}.gz: {mirror.url}: {reason}"
    assert start == str(caught.value)[: len(start)]
    assert [] == list((tmp_path / "failed").iterdir())
    assert [f"{NAME}.gz"] == other_mirror.requests
    assert sorted(written) == sorted((tmp_path / "mnist").iterdir())
    assert 200 == len(mnist.load(tmp_path / "mnist", tiny.parts).train)


def test_fetch_skips_a_mirror_that_is_down(tiny: TinyMnist, mirror: Mirror, tmp_path: Path) -> None:
    """After a refused connection, the next mirror is used."""
    written = mnist.fetch(tmp_path, progress=ignore, mirrors=[unreachable(), mirror.url], parts=tiny.parts)

    assert 4 == len(written)
    assert 4 == len(mirror.requests)


def test_fetch_times_out(tiny: TinyMnist, mirror: Mirror, tmp_path: Path) -> None:
    """A mirror that sends nothing is abandoned after the timeout."""
    mirror.answers[f"{NAME}.gz"] = sends_nothing
    begun = time.monotonic()

    with pytest.raises(MnistError, match=f"no mirror serves {NAME}.gz: {mirror.url}: timed out"):
        mnist.fetch(tmp_path, progress=ignore, mirrors=[mirror.url], parts=tiny.parts, timeout=0.1)

    # The default timeout of httpx is five seconds.
    assert time.monotonic() - begun < 4
    assert [] == list(tmp_path.iterdir())


def test_fetch_follows_a_redirect(tiny: TinyMnist, mirror: Mirror, other_mirror: Mirror, tmp_path: Path) -> None:
    """A redirect to another mirror is followed."""
    mirror.answers[f"{NAME}.gz"] = redirects(other_mirror.url)

    assert 4 == len(mnist.fetch(tmp_path, progress=ignore, mirrors=[mirror.url], parts=tiny.parts))
    assert [f"{NAME}.gz"] == other_mirror.requests


def test_fetch_names_every_mirror_that_failed(
    tiny: TinyMnist, mirror: Mirror, other_mirror: Mirror, tmp_path: Path
) -> None:
    """When all mirrors fail, one line has each reason. Complete files stay, partial ones do not."""
    down = unreachable()
    mirror.answers["train-labels-idx1-ubyte.gz"] = responds_with(404)
    other_mirror.answers["train-labels-idx1-ubyte.gz"] = sends(b"not what you want")

    with pytest.raises(MnistError) as caught:
        mnist.fetch(tmp_path, progress=ignore, mirrors=[down, mirror.url, other_mirror.url], parts=tiny.parts)

    message = str(caught.value)
    assert 1 == len(message.splitlines())
    assert message.startswith("no mirror serves train-labels-idx1-ubyte.gz: ")
    assert sorted([message.index(url) for url in (down, mirror.url, other_mirror.url)]) == [
        message.index(f"{down}: "),
        message.index(f"; {mirror.url}: Client error '404 Not Found'") + 2,
        message.index(f"; {other_mirror.url}: cannot be decompressed") + 2,
    ]
    assert [f"{NAME}.gz"] == [path.name for path in tmp_path.iterdir()]


def test_fetch_bounds_the_download(tiny: TinyMnist, mirror: Mirror, tmp_path: Path) -> None:
    """No more bytes are received than the uncompressed file has."""
    mirror.answers[f"{NAME}.gz"] = sends(bytes(10_000_000))
    done = [0]

    with pytest.raises(MnistError, match="sends more bytes than the uncompressed file has"):
        mnist.fetch(
            tmp_path,
            progress=lambda _name, so_far, _total: done.append(so_far),
            mirrors=[mirror.url],
            parts=tiny.parts,
        )

    assert max(done) <= tiny.parts["train_images"].n_bytes


def test_fetch_ignores_the_content_encoding(tiny: TinyMnist, mirror: Mirror, tmp_path: Path) -> None:
    """With `Content-Encoding: gzip` the compressed file itself is stored."""
    content = gzip.compress(tiny.contents[NAME])
    mirror.answers[f"{NAME}.gz"] = sends(content, headers={"Content-Encoding": "gzip"})

    mnist.fetch(tmp_path, progress=ignore, mirrors=[mirror.url], parts=tiny.parts)

    assert content == (tmp_path / f"{NAME}.gz").read_bytes()


def test_mirror_address_needs_no_trailing_slash(tiny: TinyMnist, mirror: Mirror, tmp_path: Path) -> None:
    """The address of a mirror may end with a slash or not."""
    mnist.fetch(tmp_path, progress=ignore, mirrors=[mirror.url.rstrip("/")], parts=tiny.parts)

    assert [f"{name}.gz" for name in tiny.contents] == mirror.requests


def test_folder_that_cannot_be_created_is_named(tiny: TinyMnist, tmp_path: Path) -> None:
    """The error names a folder whose parent is a file."""
    (tmp_path / "taken").write_text("a file")

    with pytest.raises(MnistError, match=f"cannot write {tmp_path / 'taken' / 'mnist'}: "):
        mnist.fetch(tmp_path / "taken" / "mnist", progress=ignore, mirrors=[], parts=tiny.parts)


def test_file_that_cannot_be_written_is_named(tiny: TinyMnist, mirror: Mirror, tmp_path: Path) -> None:
    """The error names a file in whose place there is a folder, and no partial file stays."""
    (tmp_path / f"{NAME}.gz").mkdir()

    with pytest.raises(MnistError, match=f"cannot write {tmp_path / NAME}.gz: Is a directory"):
        mnist.fetch(tmp_path, progress=ignore, mirrors=[mirror.url], parts=tiny.parts)

    assert [f"{NAME}.gz"] == [path.name for path in tmp_path.iterdir()]
