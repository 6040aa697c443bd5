"""Tests of service.api.reports."""

from __future__ import annotations

from pathlib import Path

import pytest

from service.api.reports import Reference, Report
from service.errors import NoSuchReport

VERSION = "3f9c0a1b2d4e"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """Return the path of a model, with a report of one figure beside it."""
    folder = tmp_path / "report"
    folder.mkdir()
    (folder / "report.json").write_text(f'{{"model": {{"version": "{VERSION}"}}}}')
    (folder / "misread.png").write_bytes(b"drawn")
    (tmp_path / "secret.png").write_bytes(b"secret")
    return tmp_path / "digits.safetensors"


def test_report_on_the_model(model: Path) -> None:
    """The JSON is unchanged. Figures are found by name."""
    report = Report(model, VERSION)

    assert (model.parent / "report" / "report.json").read_bytes() == report.document().body
    assert report.exists()
    assert (b"drawn", "image/png") == (report.figure("misread").body, report.figure("misread").media_type)


def test_report_on_another_model_does_not_count(model: Path) -> None:
    """The message has both versions, and the command that writes a report."""
    report = Report(model, "another")

    assert not report.exists()
    with pytest.raises(NoSuchReport, match=f"about model {VERSION}, not another; `digits-train report`"):
        report.document()
    with pytest.raises(NoSuchReport, match="about model"):
        report.figure("misread")


@pytest.mark.parametrize("content", [None, "no JSON", "[]", "{}"])
def test_missing_or_invalid_report(model: Path, content: str | None) -> None:
    """Raises NoSuchReport."""
    path = model.parent / "report" / "report.json"
    if content is None:
        path.unlink()
    else:
        path.write_text(content)

    with pytest.raises(NoSuchReport, match="there is no report on this model"):
        Report(model, VERSION).document()


@pytest.mark.parametrize("name", ["other", "../secret"])
def test_unknown_figures(model: Path, name: str) -> None:
    """Neither a missing file nor path traversal."""
    with pytest.raises(NoSuchReport, match="the report has no figure"):
        Report(model, VERSION).figure(name)


@pytest.mark.parametrize("more", ["", ', "reference": {"confidence": "high"}'], ids=["older", "invalid"])
def test_report_without_a_reference(model: Path, more: str) -> None:
    """A report of an older version has none, and it is no error."""
    (model.parent / "report" / "report.json").write_text(f'{{"model": {{"version": "{VERSION}"}}{more}}}')

    assert Report(model, VERSION).reference() is None


def test_reference_is_that_of_the_model(model: Path) -> None:
    """It has means, and the shares of the digits as numbers. That of another model does not count."""
    reference = '{"confidence": 0.9, "novelty": null, "digits": {"3": 0.25, "8": 0.75}}'
    (model.parent / "report" / "report.json").write_text(
        f'{{"model": {{"version": "{VERSION}"}}, "reference": {reference}}}'
    )

    assert Reference(confidence=0.9, novelty=None, digits={3: 0.25, 8: 0.75}) == Report(model, VERSION).reference()
    assert Report(model, "another").reference() is None
