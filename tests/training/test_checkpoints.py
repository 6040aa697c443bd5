"""A checkpoint is loaded as it was saved, or rejected with one line; it contains no pickle."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.types import FloatArray
from tests.training.tiny import AUGMENTED, SCHEDULE
from training.checkpoints import INITIAL, Checkpoint, CheckpointError, fingerprint, load, save
from training.errors import TrainingError
from training.recipes import LECTURE, QUICK

THIS_FIT = fingerprint(AUGMENTED, {"train": "a1"})


def arrays(n: int, seed: int) -> list[FloatArray]:
    """Return n random arrays of different shapes, some with one axis."""
    rng = np.random.default_rng(seed)
    return [rng.standard_normal((30 + i, 20) if i % 2 else (40 + i,), dtype=np.float32) for i in range(n)]


AVERAGED = Checkpoint(arrays(4, seed=0), arrays(4, seed=1), 2, [2.5, 1.5, 0.1 + 0.2], [0.5, 0.25, 0.125], 0.7)


def assert_same(expected: Checkpoint, actual: Checkpoint) -> None:
    """Assert that two checkpoints are equal, bit for bit."""
    for before, after in ((expected.parameters, actual.parameters), (expected.mean, actual.mean)):
        assert len(before) == len(after)
        for a, b in zip(before, after, strict=True):
            assert (a.shape, a.dtype) == (b.shape, b.dtype)
            np.testing.assert_array_equal(a, b)
    assert expected.n_averaged == actual.n_averaged
    assert list(expected.losses) == list(actual.losses)
    assert list(expected.validation_errors) == list(actual.validation_errors)
    assert expected.seconds == actual.seconds


def rejection(path: Path, of: str = THIS_FIT) -> str:
    """Assert that a checkpoint is rejected with one line that starts with its path. Return the rest of the line."""
    with pytest.raises(CheckpointError) as caught:
        load(path, of)
    line = str(caught.value)
    assert "\n" not in line
    assert line.startswith(f"{path} ")
    return line.removeprefix(f"{path} ")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return the path of a saved checkpoint."""
    path = tmp_path / "model.safetensors.checkpoint.npz"
    save(path, AVERAGED, THIS_FIT)
    return path


# --- Round trip


@pytest.mark.parametrize(
    "checkpoint",
    [
        INITIAL,
        Checkpoint(arrays(2, seed=2), (), 0, (0.5,), (1.0,), 1e-9),
        Checkpoint(arrays(24, seed=3), arrays(24, seed=4), 60, [1e-300] * 400, [0.1] * 400, 86_400.0),
    ],
    ids=["initial", "before the averaging phase", "in the averaging phase, with many layers"],
)
def test_saved_checkpoint_is_loaded(tmp_path: Path, checkpoint: Checkpoint) -> None:
    """Parameters and history are equal bit for bit, and no other file is left in the folder."""
    path = tmp_path / "some.npz"

    save(path, checkpoint, THIS_FIT)

    assert_same(checkpoint, load(path, THIS_FIT))
    assert [path] == list(tmp_path.iterdir())


def test_history_has_python_floats(tmp_path: Path) -> None:
    """Losses are loaded as Python floats, though scikit-learn's are numpy's."""
    path = tmp_path / "some.npz"
    save(path, INITIAL.after(arrays(2, seed=0), np.float64(0.5), 0.25, 1.5, averaged=False), THIS_FIT)

    loaded = load(path, THIS_FIT)

    history = [*loaded.losses, *loaded.validation_errors, loaded.seconds]
    assert [0.5, 0.25, 1.5] == history
    assert {float} == {type(number) for number in history}


def test_file_is_plain_npz(path: Path) -> None:
    """The file can be read with numpy alone, without pickle."""
    with np.load(path, allow_pickle=False) as stored:
        members = {name: stored[name] for name in stored}

    np.testing.assert_array_equal(AVERAGED.parameters[1], members["parameters.1"])
    np.testing.assert_array_equal(AVERAGED.mean[3], members["mean.3"])
    assert THIS_FIT == members["fingerprint"].item()
    assert not any(member.dtype.hasobject for member in members.values())


def test_save_replaces_the_previous_checkpoint(path: Path) -> None:
    """The next checkpoint replaces the one before."""
    later = AVERAGED.after(arrays(4, seed=5), 0.05, 0.1, 2.0, averaged=True)

    save(path, later, THIS_FIT)

    assert_same(later, load(path, THIS_FIT))


# --- The state after an epoch


def test_epoch_before_the_averaging_phase_has_no_mean() -> None:
    """The state has the last parameters, all losses and errors, the total duration, and no mean."""
    first, second = arrays(3, seed=0), arrays(3, seed=1)

    after = INITIAL.after(first, 2.0, 0.5, 8.0, averaged=False).after(second, 1.0, 0.25, 4.0, averaged=False)

    assert_same(Checkpoint(second, (), 0, [2.0, 1.0], [0.5, 0.25], 12.0), after)
    assert ((), ()) == (INITIAL.parameters, INITIAL.losses)


@given(st.integers(0, 3), st.integers(1, 12))
def test_mean_is_over_the_averaging_phase(n_before: int, n_averaged: int) -> None:
    """The mean is numpy's mean over the epochs of the averaging phase."""
    epochs = [arrays(2, seed=seed) for seed in range(n_before + n_averaged)]

    checkpoint = INITIAL
    for number, parameters in enumerate(epochs):
        checkpoint = checkpoint.after(parameters, 1.0, 0.5, 0.1, averaged=number >= n_before)

    assert n_averaged == checkpoint.n_averaged
    for i, mean in enumerate(checkpoint.mean):
        np.testing.assert_allclose(np.mean([epoch[i] for epoch in epochs[n_before:]], axis=0), mean, atol=1e-6)
        assert np.float32 == mean.dtype
        np.testing.assert_array_equal(epochs[-1][i], checkpoint.parameters[i])


def test_mean_is_a_copy() -> None:
    """The mean does not change when the fit changes its arrays in place."""
    parameters = arrays(1, seed=0)
    expected = parameters[0].copy()

    checkpoint = INITIAL.after(parameters, 1.0, 0.5, 0.1, averaged=True)
    parameters[0] += 1

    np.testing.assert_array_equal(expected, checkpoint.mean[0])


# --- Fingerprints


@pytest.mark.parametrize(
    ("recipe", "data"),
    [
        (replace(AUGMENTED, seed=2), {"train": "a1"}),
        (replace(AUGMENTED, estimator={**AUGMENTED.estimator, "alpha": 1}), {"train": "a1"}),
        (
            replace(AUGMENTED, schedule=replace(SCHEDULE, augmentation=SCHEDULE.augmentation.scaled(0.9))),
            {"train": "a1"},
        ),
        (replace(AUGMENTED, schedule=replace(SCHEDULE, synthetic_share=0.6)), {"train": "a1"}),
        (AUGMENTED, {"train": "a2"}),
    ],
    ids=["seed", "estimator", "augmentation", "schedule", "data"],
)
def test_checkpoint_of_another_fit_is_rejected(path: Path, recipe: Any, data: dict[str, str]) -> None:
    """A checkpoint of another recipe, seed or data is rejected, and the line tells what to do."""
    line = rejection(path, fingerprint(recipe, data))

    assert "is of a fit with another recipe, seed or data: fit without --resume, or restore those" == line


def test_fingerprint_does_not_depend_on_names_and_order() -> None:
    """The recipe's name and the order of settings and files do not change the fingerprint."""
    turned = replace(
        AUGMENTED, name="other", purpose="none", estimator=dict(reversed(list(AUGMENTED.estimator.items())))
    )

    assert fingerprint(AUGMENTED, {"a": "1", "b": "2"}) == fingerprint(turned, {"b": "2", "a": "1"})
    assert re.fullmatch("[0-9a-f]{64}", THIS_FIT)
    assert fingerprint(LECTURE, {}) != fingerprint(QUICK, {})


def test_fingerprint_depends_on_the_classes() -> None:
    """Fits on different classes have different fingerprints."""
    prints = [fingerprint(AUGMENTED, {}), fingerprint(AUGMENTED, {}, [3, 8]), fingerprint(AUGMENTED, {}, [3, 9])]

    assert 3 == len(set(prints))


# --- Files that are rejected


def test_missing_file_is_rejected(tmp_path: Path) -> None:
    """The line tells that there is nothing to resume."""
    line = "does not exist: there is nothing to resume, fit without --resume"

    assert line == rejection(tmp_path / "none.npz")
    assert line == rejection(tmp_path / "nowhere" / "none.npz")


def test_unreadable_path_is_rejected(tmp_path: Path) -> None:
    """A folder in place of the file, or a file in place of the folder, is rejected in one line."""
    (tmp_path / "file").write_text("a file")

    assert rejection(tmp_path)
    assert rejection(tmp_path / "file" / "some.npz")


HISTORY: dict[str, Any] = {
    "fingerprint": THIS_FIT,
    "n_averaged": 0,
    "losses": [],
    "validation_errors": [],
    "seconds": 1.0,
}


def npz(**members: npt.ArrayLike) -> bytes:
    """Return an npz file."""
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=True, **{name: np.asarray(member) for name, member in members.items()})
    return buffer.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x80\x04\x95 this was a pickle",
        bytes(1000),
        npz(fingerprint=np.array([{}], dtype=object)),
    ],
    ids=["empty", "pickle", "zeros", "npz without a digest"],
)
def test_file_that_is_no_checkpoint_is_rejected(path: Path, content: bytes) -> None:
    """A file whose digest does not match its content is rejected as damaged, before numpy reads it."""
    path.write_bytes(content)

    assert "is damaged: remove it and fit without --resume" == rejection(path)


def test_truncated_file_is_rejected(path: Path) -> None:
    """A file that is truncated anywhere is rejected as damaged."""
    content = path.read_bytes()
    for length in [*range(1, len(content), 499), *range(len(content) - 40, len(content))]:
        path.write_bytes(content[:length])

        assert "is damaged: remove it and fit without --resume" == rejection(path)


def test_flipped_bit_is_detected(path: Path) -> None:
    """A file with a flipped bit anywhere is rejected as damaged."""
    content = path.read_bytes()
    rng = np.random.default_rng(0)
    # The headers of the first members, some of the parameters, and the directory and digest at the end.
    for place in [*range(0, 600, 8), *range(600, len(content) - 900, 301), *range(len(content) - 900, len(content), 8)]:
        damaged = bytearray(content)
        damaged[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(damaged)

        assert "is damaged: remove it and fit without --resume" == rejection(path)


# --- Writing that fails


def test_path_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    """One line names the path, and no partial file is left."""
    path = tmp_path / "some.npz"
    (path / "a folder in the way").mkdir(parents=True)

    with pytest.raises(TrainingError, match=f"^{re.escape(str(path))} cannot be written: [^\n]+$"):
        save(path, AVERAGED, THIS_FIT)

    assert [path] == list(tmp_path.iterdir())


class Stopping:
    """Weights that raise KeyboardInterrupt while they are written."""

    def __array__(self, dtype: Any = None, copy: Any = None) -> npt.NDArray[Any]:
        """Raise KeyboardInterrupt where numpy asks for the array."""
        raise KeyboardInterrupt


def test_interrupted_save_keeps_the_previous_file(path: Path) -> None:
    """After Ctrl-C while writing, the previous checkpoint is unchanged, and no partial file is left."""
    weights: list[Any] = [*AVERAGED.parameters[:3], Stopping()]
    stopping = replace(AVERAGED, parameters=weights)

    with pytest.raises(KeyboardInterrupt):
        save(path, stopping, THIS_FIT)

    assert_same(AVERAGED, load(path, THIS_FIT))
    assert [path] == list(path.parent.iterdir())
