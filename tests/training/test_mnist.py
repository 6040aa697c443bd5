"""MNIST is found, verified and downloaded, and nothing else is ever taken for it."""

from __future__ import annotations

import gzip
import hashlib
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.training.mirrors import (
    Answer,
    Mirror,
    redirects,
    refuses,
    says_nothing,
    sends,
    sends_without_length,
    unreachable,
)
from tests.training.tiny import TinyMnist
from training import mnist
from training.mnist import PARTS, Digits, Mnist, MnistError

NAME = "train-images-idx3-ubyte"


def ignore(_name: str, _done: int, _total: int | None) -> None:
    """Watch no progress."""


@pytest.mark.parametrize("packed", [True, False])
def test_load_returns_the_digits(tiny: TinyMnist, tmp_path: Path, packed: bool) -> None:  # noqa: FBT001
    """The four files, plain or gzip, become the digits of the official split."""
    loaded = mnist.load(tiny.write(tmp_path / "mnist", packed=packed), tiny.parts)

    np.testing.assert_array_equal(tiny.digits.train.images, loaded.train.images)
    np.testing.assert_array_equal(tiny.digits.train.labels, loaded.train.labels)
    np.testing.assert_array_equal(tiny.digits.test.images, loaded.test.images)
    np.testing.assert_array_equal(tiny.digits.test.labels, loaded.test.labels)
    assert (np.dtype(np.uint8), np.dtype(np.int64)) == (loaded.train.images.dtype, loaded.train.labels.dtype)
    assert (200, 60) == (len(loaded.train), len(loaded.test))


@pytest.mark.parametrize(
    ("key", "header", "n_bytes"),
    [
        ("train_images", "00000803 0000ea60 0000001c 0000001c", 47_040_016),
        ("train_labels", "00000801 0000ea60", 60_008),
        ("test_images", "00000803 00002710 0000001c 0000001c", 7_840_016),
        ("test_labels", "00000801 00002710", 10_008),
    ],
)
def test_parts_describe_the_published_files(key: str, header: str, n_bytes: int) -> None:
    """Header and length of each real file are those of the IDX format."""
    part = PARTS[key]

    assert bytes.fromhex(header) == part.header
    assert n_bytes == part.n_bytes


def test_real_files_hold_the_real_digits(real_mnist: Mnist) -> None:
    """The real MNIST begins with the labels that everyone knows and has 6,742 ones to learn from."""
    assert [5, 0, 4, 1, 9] == real_mnist.train.labels[:5].tolist()
    assert [7, 2, 1, 0, 4] == real_mnist.test.labels[:5].tolist()
    assert 6_742 == int(np.sum(real_mnist.train.labels == 1))


def test_rows_select_digits(tiny: TinyMnist) -> None:
    """Rows of the digits are images with their labels."""
    chosen = tiny.digits.train[np.array([3, 17])]

    assert [3, 7] == chosen.labels.tolist()
    np.testing.assert_array_equal(tiny.digits.train.images[17], chosen.images[1])


labels_of_two_parts = st.tuples(*[st.lists(st.integers(0, 9), max_size=20)] * 2)


@settings(deadline=None)
@given(labels=labels_of_two_parts, classes=st.lists(st.integers(0, 9), max_size=5))
def test_only_some_digits_are_chosen(labels: tuple[list[int], list[int]], classes: list[int]) -> None:
    """Of both parts, the digits of these classes are left, in their order and each with its own image."""
    train, test = (
        # Each image has its own number as its grey.
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


def test_only_leaves_the_others_where_they_are(tiny: TinyMnist) -> None:
    """What was chosen from is as it was, and the choice may name its digits in any order."""
    chosen = tiny.digits.only([7, 3])

    assert (40, 12) == (len(chosen.train), len(chosen.test))
    assert [3, 7, 3, 7] == chosen.test.labels[:4].tolist()
    assert (200, 60) == (len(tiny.digits.train), len(tiny.digits.test))


def test_checksums_are_those_of_the_unpacked_files(tiny: TinyMnist) -> None:
    """The record of what was trained on has each file's SHA-256, unpacked."""
    expected = {name: hashlib.sha256(content).hexdigest() for name, content in tiny.contents.items()}

    assert expected == mnist.checksums(tiny.parts)


@pytest.mark.parametrize("folder", ["mnist", "nowhere"])
def test_missing_file_is_named(tiny: TinyMnist, tiny_directory: Path, folder: str) -> None:
    """Without a file, or without its whole folder, the error says which and how to get it."""
    directory = tiny_directory.parent / folder
    (tiny_directory / f"{NAME}.gz").unlink()

    with pytest.raises(MnistError) as caught:
        mnist.load(directory, tiny.parts)

    assert (
        f"{directory} holds no {NAME}.gz: name the folder with --data or DIGITS_DATA, "
        "or run `digits-train fetch` to download MNIST" == str(caught.value)
    )


def flipped(content: bytes) -> bytes:
    """Return the content with its middle byte changed."""
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 0xFF]) + content[middle + 1 :]


def gzip_damaged_at(position: int, content: bytes) -> bytes:
    """Return the content packed, with one byte changed: 10 is where the packed data begins, -8 the checksum."""
    packed = bytearray(gzip.compress(content))
    packed[position] ^= 0xFF
    return bytes(packed)


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        pytest.param(lambda content: gzip.compress(content)[:-100], "cannot be unpacked", id="truncated"),
        pytest.param(lambda content: gzip.compress(content)[:-4], "cannot be unpacked", id="without its length"),
        pytest.param(lambda content: gzip_damaged_at(10, content), "cannot be unpacked", id="corrupt"),
        pytest.param(lambda content: gzip_damaged_at(-8, content), "cannot be unpacked", id="other checksum"),
        pytest.param(lambda content: b"<html>" + content, "cannot be unpacked", id="not gzip"),
        pytest.param(lambda content: gzip.compress(flipped(content)), "is not the MNIST file", id="flipped"),
        pytest.param(lambda content: gzip.compress(content[:-1]), "is not the MNIST file", id="shorter"),
        pytest.param(lambda content: gzip.compress(content + b"\0"), "is not the MNIST file", id="longer"),
        pytest.param(lambda _content: b"", "is not the MNIST file", id="empty"),
    ],
)
def test_damaged_file_is_refused(
    tiny: TinyMnist, tiny_directory: Path, damage: Callable[[bytes], bytes], reason: str
) -> None:
    """A file that is not byte for byte the published one is refused, with its path and the way out."""
    path = tiny_directory / f"{NAME}.gz"
    path.write_bytes(damage(tiny.contents[NAME]))

    with pytest.raises(MnistError) as caught:
        mnist.load(tiny_directory, tiny.parts)

    assert f"{path} {reason}" == str(caught.value)[: len(f"{path} {reason}")]
    assert str(caught.value).endswith("; delete it and run `digits-train fetch`")


def test_damaged_plain_file_is_refused(tiny: TinyMnist, tmp_path: Path) -> None:
    """A plain file is verified just as a packed one, and the error has both checksums."""
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
        (None, {"XDG_CACHE_HOME": "", "HOME": "home"}, "home/.cache/digits/mnist"),
        (None, {"HOME": "home"}, "home/.cache/digits/mnist"),
    ],
)
def test_find_takes_the_first_that_is_set(
    monkeypatch: pytest.MonkeyPatch, argument: str | None, environment: dict[str, str], expected: str
) -> None:
    """The folder is the one given, else $DIGITS_DATA, else in the cache of the user."""
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    assert Path(expected) == mnist.find(Path(argument) if argument else None)


def test_fetch_downloads_all_files(tiny: TinyMnist, mirror: Mirror, tmp_path: Path) -> None:
    """An absent folder is made and filled with the four files, which can then be loaded."""
    directory = tmp_path / "cache" / "mnist"

    written = mnist.fetch(directory, progress=ignore, mirrors=[mirror.url], parts=tiny.parts)

    assert [directory / f"{name}.gz" for name in tiny.contents] == written
    assert sorted(written) == sorted(directory.iterdir())
    np.testing.assert_array_equal(tiny.digits.test.images, mnist.load(directory, tiny.parts).test.images)


def test_fetch_downloads_nothing_twice(tiny: TinyMnist, mirror: Mirror, tmp_path: Path) -> None:
    """Files that are there and whole are not asked for again."""
    mnist.fetch(tmp_path, progress=ignore, mirrors=[mirror.url], parts=tiny.parts)
    requests = list(mirror.requests)

    assert [] == mnist.fetch(tmp_path, progress=ignore, mirrors=[mirror.url], parts=tiny.parts)
    assert requests == mirror.requests


def test_fetch_replaces_only_what_is_damaged(tiny: TinyMnist, mirror: Mirror, tmp_path: Path) -> None:
    """Of a folder with one damaged plain file, that one is replaced by a whole packed one."""
    directory = tiny.write(tmp_path / "mnist", packed=False)
    (directory / NAME).write_bytes(b"damaged")

    written = mnist.fetch(directory, progress=ignore, mirrors=[mirror.url], parts=tiny.parts)

    assert [directory / f"{NAME}.gz"] == written
    assert sorted([f"{NAME}.gz", *(set(tiny.contents) - {NAME})]) == sorted(path.name for path in directory.iterdir())
    assert 200 == len(mnist.load(directory, tiny.parts).train)


def test_fetch_reports_progress(tiny: TinyMnist, mirror: Mirror, tmp_path: Path) -> None:
    """For every file, progress grows up to all of its bytes."""
    reports: dict[str, list[tuple[int, int | None]]] = {}

    def progress(name: str, done: int, total: int | None) -> None:
        reports.setdefault(name, []).append((done, total))

    written = mnist.fetch(tmp_path, progress=progress, mirrors=[mirror.url], parts=tiny.parts)

    sizes = [path.stat().st_size for path in written]
    assert list(tiny.contents) == list(reports)
    assert [(size, size) for size in sizes] == [of_one[-1] for of_one in reports.values()]
    assert all(sorted(of_one) == of_one for of_one in reports.values())


def test_fetch_reports_no_total_that_it_is_not_told(tiny: TinyMnist, mirror: Mirror, tmp_path: Path) -> None:
    """From a mirror that sends no length, progress is reported without a total and the file is whole."""
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
    "absent": (refuses(404), "Client error '404 Not Found'"),
    "broken": (refuses(500), "Server error '500 Internal Server Error'"),
    "hangs up": (sends(b"\x1f\x8b\x08", length=1000), "peer closed connection"),
    "truncated": (sends(gzip.compress(NOISE)[:-20]), "cannot be unpacked"),
    "error page": (sends(b"<html>Please sign in</html>"), "cannot be unpacked (Not a gzipped file"),
    "wrong content": (sends(gzip.compress(NOISE)), "is not the MNIST file: its content has SHA-256"),
    "too much": (sends(bytes(100_000_000)), "sends more than the whole file unpacked"),
}


@pytest.mark.parametrize(("answer", "reason"), BAD_ANSWERS.values(), ids=BAD_ANSWERS)
def test_fetch_goes_on_to_the_next_mirror(  # noqa: PLR0913, PLR0917 - two mirrors and two kinds of answers
    tiny: TinyMnist, mirror: Mirror, other_mirror: Mirror, tmp_path: Path, answer: Answer, reason: str
) -> None:
    """What one mirror serves badly is taken from the next, and only that; alone, the error has its reason."""
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


def test_fetch_passes_by_a_mirror_that_is_down(tiny: TinyMnist, mirror: Mirror, tmp_path: Path) -> None:
    """Where nobody listens, the next mirror is used."""
    written = mnist.fetch(tmp_path, progress=ignore, mirrors=[unreachable(), mirror.url], parts=tiny.parts)

    assert 4 == len(written)
    assert 4 == len(mirror.requests)


def test_fetch_does_not_wait_for_ever(tiny: TinyMnist, mirror: Mirror, tmp_path: Path) -> None:
    """A mirror that falls silent is left after the time-out."""
    mirror.answers[f"{NAME}.gz"] = says_nothing
    begun = time.monotonic()

    with pytest.raises(MnistError, match=f"no mirror serves {NAME}.gz: {mirror.url}: timed out"):
        mnist.fetch(tmp_path, progress=ignore, mirrors=[mirror.url], parts=tiny.parts, timeout=0.1)

    # Left to itself, httpx waits for five seconds.
    assert time.monotonic() - begun < 4
    assert [] == list(tmp_path.iterdir())


def test_fetch_follows_a_redirect(tiny: TinyMnist, mirror: Mirror, other_mirror: Mirror, tmp_path: Path) -> None:
    """A mirror that has moved is followed to its new place."""
    mirror.answers[f"{NAME}.gz"] = redirects(other_mirror.url)

    assert 4 == len(mnist.fetch(tmp_path, progress=ignore, mirrors=[mirror.url], parts=tiny.parts))
    assert [f"{NAME}.gz"] == other_mirror.requests


def test_fetch_names_every_mirror_that_failed(
    tiny: TinyMnist, mirror: Mirror, other_mirror: Mirror, tmp_path: Path
) -> None:
    """When all mirrors fail, one line has the reason of each, whole files stay and nothing half-written does."""
    down = unreachable()
    mirror.answers["train-labels-idx1-ubyte.gz"] = refuses(404)
    other_mirror.answers["train-labels-idx1-ubyte.gz"] = sends(b"not what you want")

    with pytest.raises(MnistError) as caught:
        mnist.fetch(tmp_path, progress=ignore, mirrors=[down, mirror.url, other_mirror.url], parts=tiny.parts)

    message = str(caught.value)
    assert 1 == len(message.splitlines())
    assert message.startswith("no mirror serves train-labels-idx1-ubyte.gz: ")
    assert sorted([message.index(url) for url in (down, mirror.url, other_mirror.url)]) == [
        message.index(f"{down}: "),
        message.index(f"; {mirror.url}: Client error '404 Not Found'") + 2,
        message.index(f"; {other_mirror.url}: cannot be unpacked") + 2,
    ]
    assert [f"{NAME}.gz"] == [path.name for path in tmp_path.iterdir()]


def test_fetch_stops_a_mirror_that_sends_too_much(tiny: TinyMnist, mirror: Mirror, tmp_path: Path) -> None:
    """No more than the whole file unpacked is ever taken, however much a mirror sends."""
    mirror.answers[f"{NAME}.gz"] = sends(bytes(100_000_000))
    done = [0]

    with pytest.raises(MnistError, match="sends more than the whole file unpacked"):
        mnist.fetch(
            tmp_path,
            progress=lambda _name, so_far, _total: done.append(so_far),
            mirrors=[mirror.url],
            parts=tiny.parts,
        )

    assert max(done) <= tiny.parts["train_images"].n_bytes


def test_fetch_takes_a_file_that_is_labelled_as_encoded(tiny: TinyMnist, mirror: Mirror, tmp_path: Path) -> None:
    """A mirror that says `Content-Encoding: gzip` of the packed file gives the same file."""
    content = gzip.compress(tiny.contents[NAME])
    mirror.answers[f"{NAME}.gz"] = sends(content, headers={"Content-Encoding": "gzip"})

    mnist.fetch(tmp_path, progress=ignore, mirrors=[mirror.url], parts=tiny.parts)

    assert content == (tmp_path / f"{NAME}.gz").read_bytes()


def test_fetch_takes_a_mirror_with_or_without_a_slash(tiny: TinyMnist, mirror: Mirror, tmp_path: Path) -> None:
    """The address of a mirror may end in a slash or not."""
    mnist.fetch(tmp_path, progress=ignore, mirrors=[mirror.url.rstrip("/")], parts=tiny.parts)

    assert [f"{name}.gz" for name in tiny.contents] == mirror.requests


@pytest.mark.parametrize("inside", [".", "mnist"])
def test_folder_that_cannot_be_made_is_named(tiny: TinyMnist, tmp_path: Path, inside: str) -> None:
    """A file where the folder should be is an error that names it."""
    (tmp_path / "taken").write_text("a file")

    with pytest.raises(MnistError, match=f"cannot write {tmp_path / 'taken' / inside}: "):
        mnist.fetch(tmp_path / "taken" / inside, progress=ignore, mirrors=[], parts=tiny.parts)


def test_file_that_cannot_be_written_is_named(tiny: TinyMnist, mirror: Mirror, tmp_path: Path) -> None:
    """A folder in the place of a file is an error that names it, and nothing half-written stays."""
    (tmp_path / f"{NAME}.gz").mkdir()

    with pytest.raises(MnistError, match=f"cannot write {tmp_path / NAME}.gz: Is a directory"):
        mnist.fetch(tmp_path, progress=ignore, mirrors=[mirror.url], parts=tiny.parts)

    assert [f"{NAME}.gz"] == [path.name for path in tmp_path.iterdir()]
