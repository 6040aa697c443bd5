"""Tests of service.api.reports."""

from __future__ import annotations

from pathlib import Path

import pytest

from service.api.reports import Report
from service.errors import NoSuchReport

VERSION = "3f9c0a1b2d4e"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """Return where a model would be, with a report of one drawing beside it."""
    folder = tmp_path / "report"
    folder.mkdir()
    (folder / "report.json").write_text(f'{{"model": {{"version": "{VERSION}"}}}}')
    (folder / "misread.png").write_bytes(b"drawn")
    (tmp_path / "secret.png").write_bytes(b"secret")
    return tmp_path / "digits.safetensors"


def test_a_report_on_the_model_is_found(model: Path) -> None:
    """Its facts are sent as they were written, and its drawings by their names."""
    report = Report(model, VERSION)

    assert (model.parent / "report" / "report.json").read_bytes() == report.facts().body
    assert report.exists()
    assert (b"drawn", "image/png") == (report.figure("misread").body, report.figure("misread").media_type)


def test_a_report_on_another_model_is_none(model: Path) -> None:
    """Figures of one model are not told of another, and the line says how to have them."""
    report = Report(model, "another")

    assert not report.exists()
    with pytest.raises(NoSuchReport, match=f"about model {VERSION}, not another; `digits-train report`"):
        report.facts()
    with pytest.raises(NoSuchReport, match="about model"):
        report.figure("misread")


@pytest.mark.parametrize("content", [None, "no JSON", "[]", "{}", '{"model": 1}'])
def test_what_is_no_report_is_none(model: Path, content: str | None) -> None:
    """A folder without a report, or with something else, does no harm."""
    path = model.parent / "report" / "report.json"
    if content is None:
        path.unlink()
    else:
        path.write_text(content)

    with pytest.raises(NoSuchReport, match="there is no report on this model"):
        Report(model, VERSION).facts()


@pytest.mark.parametrize("name", ["other", "../secret", "", "report.json"])
def test_only_drawings_of_the_report_are_sent(model: Path, name: str) -> None:
    """No name leads to what is not there, or out of the folder."""
    with pytest.raises(NoSuchReport, match="the report has no drawing"):
        Report(model, VERSION).figure(name)
