"""A checkpoint is read as it was written or refused in one line that says what to do, and holds no pickle."""

from __future__ import annotations

import io
import re
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.types import FloatArray
from tests.training.tiny import BENT, PLAIN, SCHEDULE
from training.checkpoints import START, Checkpoint, CheckpointError, fingerprint, load, save
from training.errors import TrainingError
from training.recipes import LECTURE, QUICK

THIS_FIT = fingerprint(BENT, {"train": "a1"})


def arrays(n: int, seed: int) -> list[FloatArray]:
    """Return so many arrays of other sizes, some with one axis."""
    rng = np.random.default_rng(seed)
    return [rng.standard_normal((30 + i, 20) if i % 2 else (40 + i,), dtype=np.float32) for i in range(n)]


SETTLING = Checkpoint(arrays(4, seed=0), arrays(4, seed=1), 2, [2.5, 1.5, 0.1 + 0.2], [0.5, 0.25, 0.125], 0.7)


def assert_same(expected: Checkpoint, actual: Checkpoint) -> None:
    """Assert that two checkpoints are the same to the last bit."""
    for before, after in ((expected.parameters, actual.parameters), (expected.mean, actual.mean)):
        assert len(before) == len(after)
        for a, b in zip(before, after, strict=True):
            assert (a.shape, a.dtype) == (b.shape, b.dtype)
            np.testing.assert_array_equal(a, b)
    assert expected.n_averaged == actual.n_averaged
    assert list(expected.losses) == list(actual.losses)
    assert list(expected.validation_errors) == list(actual.validation_errors)
    assert expected.seconds == actual.seconds


def refusal(path: Path, of: str = THIS_FIT) -> str:
    """See that a checkpoint is refused by one line that begins with its path, and return the rest of that line."""
    with pytest.raises(CheckpointError) as caught:
        load(path, of)
    line = str(caught.value)
    assert "\n" not in line
    assert line.startswith(f"{path} ")
    return line.removeprefix(f"{path} ")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return the path of a checkpoint that was saved."""
    path = tmp_path / "model.safetensors.checkpoint.npz"
    save(path, SETTLING, THIS_FIT)
    return path


# --- Round trip


@pytest.mark.parametrize(
    "checkpoint",
    [
        SETTLING,
        START,
        Checkpoint(arrays(2, seed=2), (), 0, (0.5,), (1.0,), 1e-9),
        Checkpoint(arrays(24, seed=3), arrays(24, seed=4), 60, [1e-300] * 400, [0.1] * 400, 86_400.0),
    ],
    ids=["settling", "nothing", "before settling", "many layers"],
)
def test_what_is_saved_is_loaded(tmp_path: Path, checkpoint: Checkpoint) -> None:
    """Weights and history come back bit for bit, and nothing else is left in the folder."""
    path = tmp_path / "some.npz"

    save(path, checkpoint, THIS_FIT)

    assert_same(checkpoint, load(path, THIS_FIT))
    assert [path] == list(tmp_path.iterdir())


def test_history_is_of_plain_numbers(tmp_path: Path) -> None:
    """Losses come back as Python's numbers, though scikit-learn's are numpy's."""
    path = tmp_path / "some.npz"
    save(path, START.after(arrays(2, seed=0), np.float64(0.5), 0.25, 1.5, settles=False), THIS_FIT)

    loaded = load(path, THIS_FIT)

    history = [*loaded.losses, *loaded.validation_errors, loaded.seconds]
    assert [0.5, 0.25, 1.5] == history
    assert {float} == {type(number) for number in history}


def test_file_is_plain_npz(path: Path) -> None:
    """Anybody can read it with numpy alone, without pickle: every member is an array."""
    with np.load(path, allow_pickle=False) as stored:
        members = {name: stored[name] for name in stored}

    np.testing.assert_array_equal(SETTLING.parameters[1], members["parameters.1"])
    np.testing.assert_array_equal(SETTLING.mean[3], members["mean.3"])
    assert THIS_FIT == members["of"].item()
    assert not any(member.dtype.hasobject for member in members.values())


def test_saving_replaces_what_was_there(path: Path) -> None:
    """The next checkpoint takes the place of the one before."""
    later = SETTLING.after(arrays(4, seed=5), 0.05, 0.1, 2.0, settles=True)

    save(path, later, THIS_FIT)

    assert_same(later, load(path, THIS_FIT))


# --- The state after an epoch


def test_epoch_adds_to_the_history() -> None:
    """Before epochs settle, the last weights are kept with losses, errors and seconds so far, and without a mean."""
    first, second = arrays(3, seed=0), arrays(3, seed=1)

    after = START.after(first, 2.0, 0.5, 8.0, settles=False).after(second, 1.0, 0.25, 4.0, settles=False)

    assert_same(Checkpoint(second, (), 0, [2.0, 1.0], [0.5, 0.25], 12.0), after)
    assert ((), ()) == (START.parameters, START.losses)


@settings(deadline=None)
@given(st.integers(0, 3), st.integers(1, 12))
def test_mean_is_of_the_epochs_that_settle(n_before: int, n_settling: int) -> None:
    """However many epochs settle, the mean is numpy's of their weights, without those before them."""
    epochs = [arrays(2, seed=seed) for seed in range(n_before + n_settling)]

    checkpoint = START
    for number, parameters in enumerate(epochs):
        checkpoint = checkpoint.after(parameters, 1.0, 0.5, 0.1, settles=number >= n_before)

    assert n_settling == checkpoint.n_averaged
    for i, mean in enumerate(checkpoint.mean):
        np.testing.assert_allclose(np.mean([epoch[i] for epoch in epochs[n_before:]], axis=0), mean, atol=1e-6)
        assert np.float32 == mean.dtype
        np.testing.assert_array_equal(epochs[-1][i], checkpoint.parameters[i])


def test_mean_does_not_change_with_the_weights() -> None:
    """What was averaged stays, though a fit goes on in the same arrays."""
    parameters = arrays(1, seed=0)
    expected = parameters[0].copy()

    checkpoint = START.after(parameters, 1.0, 0.5, 0.1, settles=True)
    parameters[0] += 1

    np.testing.assert_array_equal(expected, checkpoint.mean[0])


# --- Which fit it is of


@pytest.mark.parametrize(
    ("recipe", "data"),
    [
        (replace(BENT, seed=2), {"train": "a1"}),
        (replace(BENT, estimator={**BENT.estimator, "alpha": 1}), {"train": "a1"}),
        (replace(BENT, schedule=replace(SCHEDULE, epochs=5)), {"train": "a1"}),
        (replace(BENT, schedule=replace(SCHEDULE, augmentation=SCHEDULE.augmentation.weakened(0.9))), {"train": "a1"}),
        (replace(BENT, schedule=replace(SCHEDULE, drawn=0.6)), {"train": "a1"}),
        (replace(BENT, schedule=None), {"train": "a1"}),
        (PLAIN, {"train": "a1"}),
        (BENT, {"train": "a2"}),
        (BENT, {}),
    ],
    ids=["seed", "setting", "epochs", "augmentation", "drawn", "no schedule", "recipe", "data", "no data"],
)
def test_another_fit_is_refused(path: Path, recipe: Any, data: dict[str, str]) -> None:
    """A checkpoint of another recipe, seed or data is not gone on with, and the line says what to do."""
    line = refusal(path, fingerprint(recipe, data))

    assert "is of a fit with another recipe, seed or data: fit without --resume, or restore those" == line


def test_the_same_fit_is_known() -> None:
    """What a fit is called, and the order of settings and files, do not matter."""
    turned = replace(BENT, name="other", purpose="none", estimator=dict(reversed(list(BENT.estimator.items()))))

    assert fingerprint(BENT, {"a": "1", "b": "2"}) == fingerprint(turned, {"b": "2", "a": "1"})
    assert re.fullmatch("[0-9a-f]{64}", THIS_FIT)
    assert fingerprint(LECTURE, {}) != fingerprint(QUICK, {})


def test_classes_tell_fits_apart() -> None:
    """A fit of some classes is another than one of all, or of others."""
    prints = [fingerprint(BENT, {}), fingerprint(BENT, {}, [3, 8]), fingerprint(BENT, {}, [3, 9])]

    assert 3 == len(set(prints))


# --- Files that are refused


def test_missing_file_is_refused(tmp_path: Path) -> None:
    """The line says that there is nothing to go on with."""
    line = "does not exist: there is nothing to resume, fit without --resume"

    assert line == refusal(tmp_path / "none.npz")
    assert line == refusal(tmp_path / "nowhere" / "none.npz")


def test_folder_is_refused(tmp_path: Path) -> None:
    """A folder in place of a checkpoint, or a file in place of its folder, is told in one line too."""
    (tmp_path / "file").write_text("a file")

    assert refusal(tmp_path)
    assert refusal(tmp_path / "file" / "some.npz")


HISTORY: dict[str, Any] = {"of": THIS_FIT, "n_averaged": 0, "losses": [], "validation_errors": [], "seconds": 1.0}


def npz(**members: npt.ArrayLike) -> bytes:
    """Return an npz file."""
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=True, **{name: np.asarray(member) for name, member in members.items()})
    return buffer.getvalue()


def npy(array: npt.NDArray[Any]) -> bytes:
    """Return an npy file."""
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def archive(**members: bytes) -> bytes:
    """Return a zip file."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name, content in members.items():
            file.writestr(name, content)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"text",
        b"\x80\x04\x95 this was a pickle",
        bytes(1000),
        b"\xff" * 1000,
        b"PK\x03\x04" + bytes(1000),
        npy(np.zeros(3)),
        archive(),
        archive(of=b"text"),
        npz(weights=np.zeros(3)),
        npz(of=[[THIS_FIT]] * 2),
        npz(of=np.array([{}], dtype=object)),
        npz(**HISTORY | {"n_averaged": np.array([{}], dtype=object)}),
        npz(**HISTORY | {"n_averaged": "x"}),
        npz(**HISTORY | {"n_averaged": [1, 2]}),
        npz(**{name: member for name, member in HISTORY.items() if name != "validation_errors"}),
        npz(**HISTORY | {"parameters.1": [1.0]}),
    ],
    ids=[
        "nothing",
        "text",
        "pickle",
        "zeros",
        "ones",
        "start of a zip file",
        "npy",
        "zip file without members",
        "zip file of text",
        "npz of something else",
        "several fingerprints",
        "objects for the fingerprint",
        "objects",
        "text for a number",
        "two for a number",
        "one missing",
        "a gap in the numbers",
    ],
)
def test_what_is_no_checkpoint_is_refused(path: Path, content: bytes) -> None:
    """Files of other kinds, and npz files of others, are called damaged, and the line says what to do."""
    path.write_bytes(content)

    assert "is damaged: remove it and fit without --resume" == refusal(path)


def test_truncated_file_is_refused(path: Path) -> None:
    """Cut off anywhere, it is not taken for a checkpoint of less."""
    content = path.read_bytes()
    for length in [*range(1, 200, 7), *range(200, len(content), 499), *range(len(content) - 100, len(content))]:
        path.write_bytes(content[:length])

        assert "is damaged: remove it and fit without --resume" == refusal(path)


def test_damaged_bytes_are_noticed(path: Path) -> None:
    """Wherever a bit is flipped, the file is refused, or has the same content still."""
    content = path.read_bytes()
    rng = np.random.default_rng(0)
    # The headers of the first members, some of the weights, and the table of contents at the end, every other byte.
    places = [*range(0, 600, 2), *range(600, len(content) - 900, 101), *range(len(content) - 900, len(content), 2)]
    n_refused = 0
    for place in places:
        damaged = bytearray(content)
        damaged[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(damaged)
        try:
            loaded = load(path, THIS_FIT)
        except CheckpointError:
            n_refused += 1
        else:
            assert_same(SETTLING, loaded)

    assert n_refused > len(places) / 2


# --- Writing that fails


def test_path_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """One line names the path, and nothing half-written is left."""
    path = tmp_path / "some.npz"
    (path / "a folder in the way").mkdir(parents=True)

    with pytest.raises(TrainingError, match=f"^{re.escape(str(path))} cannot be written: [^\n]+$"):
        save(path, SETTLING, THIS_FIT)

    assert [path] == list(tmp_path.iterdir())


class Stopping:
    """Weights on whose way to the file Ctrl-C is pressed."""

    def __array__(self, dtype: Any = None, copy: Any = None) -> npt.NDArray[Any]:
        """Raise KeyboardInterrupt where numpy asks for the array."""
        raise KeyboardInterrupt


def test_interrupted_save_leaves_the_former_file_whole(path: Path) -> None:
    """Ctrl-C in the middle of writing leaves the checkpoint before, and nothing half-written beside it."""
    weights: list[Any] = [*SETTLING.parameters[:3], Stopping()]
    stopping = replace(SETTLING, parameters=weights)

    with pytest.raises(KeyboardInterrupt):
        save(path, stopping, THIS_FIT)

    assert_same(SETTLING, load(path, THIS_FIT))
    assert [path] == list(path.parent.iterdir())
