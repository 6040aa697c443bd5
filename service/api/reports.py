"""The evaluation report on a model: the folder `report` beside the model file, written by `digits-train report`.

Enters: the path of the model file and the model's version. Leaves: Representations of the report's JSON and of its
figures, and the Reference for monitoring. Out of scope: the rest of their content.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from pydantic import BaseModel, ValidationError

from service.api.representations import Representation
from service.errors import NoSuchReport

_FIGURE_NAME = re.compile("[a-z_]+")


class Reference(BaseModel):
    """The answers to the test digits, all 0..1: mean confidence, mean OOD score or None, share of each digit."""

    confidence: float
    novelty: float | None
    digits: dict[int, float]


class _Referring(BaseModel):
    reference: Reference


class Report:
    """The report on one model. A folder that is missing, or that reports on another model, counts as no report."""

    def __init__(self, model: Path, version: str) -> None:
        """Use the folder beside the file `model`. `version` has to match the version in the report."""
        self._folder = model.parent / "report"
        self._version = version

    def exists(self) -> bool:
        """Return whether there is a report on this model."""
        try:
            self.document()
        except NoSuchReport:
            return False
        return True

    def document(self) -> Representation:
        """Return report.json. Raises NoSuchReport."""
        try:
            content = (self._folder / "report.json").read_bytes()
            reported = json.loads(content)["model"]["version"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise NoSuchReport(self._message("there is no report on this model")) from error
        if reported != self._version:
            raise NoSuchReport(self._message(f"the report there is about model {reported}, not {self._version}"))
        return Representation(content, "application/json")

    def reference(self) -> Reference | None:
        """Return with what answers are compared to notice drift, or None if no report has it."""
        try:
            return _Referring.model_validate_json(self.document().body).reference
        except (NoSuchReport, ValidationError):
            return None

    def figure(self, name: str) -> Representation:
        """Return the PNG figure `name`, given without `.png`. Raises NoSuchReport."""
        self.document()
        path = self._folder / f"{name}.png"
        # The pattern excludes dots and slashes, hence path traversal.
        if not _FIGURE_NAME.fullmatch(name) or not path.is_file():
            raise NoSuchReport(self._message(f"the report has no figure {name!r}"))
        return Representation(path.read_bytes(), "image/png")

    @staticmethod
    def _message(reason: str) -> str:
        return f"{reason}; `digits-train report` writes one into the folder `report` beside the model's file"
