"""The report on a model, as `digits-train report` wrote it into the folder `report` beside the model's file.

Enters: the model's file and its version. Leaves: Representations of its JSON and of its drawings. Out of scope: what is
in it.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from service.api.representation import Representation
from service.errors import NoSuchReport

_NAME = re.compile("[a-z_]+")


class Report:
    """The report on one model; a folder that is missing, or about another model, is none."""

    def __init__(self, model: Path, version: str) -> None:
        """Look beside the file of a model with this version."""
        self._folder = model.parent / "report"
        self._version = version

    def exists(self) -> bool:
        """Say whether there is a report on this model."""
        try:
            self.facts()
        except NoSuchReport:
            return False
        return True

    def facts(self) -> Representation:
        """Return what was measured, as JSON. Raises NoSuchReport."""
        try:
            content = (self._folder / "report.json").read_bytes()
            about = json.loads(content)["model"]["version"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise NoSuchReport(self._reason("there is no report on this model")) from error
        if about != self._version:
            raise NoSuchReport(self._reason(f"the report there is about model {about}, not {self._version}"))
        return Representation(content, "application/json")

    def figure(self, name: str) -> Representation:
        """Return one drawing, by its name without `.png`. Raises NoSuchReport."""
        self.facts()
        path = self._folder / f"{name}.png"
        if not _NAME.fullmatch(name) or not path.is_file():
            raise NoSuchReport(self._reason(f"the report has no drawing {name!r}"))
        return Representation(path.read_bytes(), "image/png")

    @staticmethod
    def _reason(what: str) -> str:
        return f"{what}; `digits-train report` writes one into the folder `report` beside the model's file"
