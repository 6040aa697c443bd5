"""Contract test of the OpenAPI document with Schemathesis: valid and invalid requests get documented responses."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi import checks

from service.app import create_app
from service.model import artifact
from service.settings import Settings

pytestmark = pytest.mark.slow

CHECKS = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
    checks.response_headers_conformance,
]
# The document does not depend on the model, so no lifespan is needed.
SCHEMA = schemathesis.openapi.from_dict(create_app(Settings()).openapi())
OPERATIONS = {result.ok().label: result.ok() for result in SCHEMA.get_all_operations() if isinstance(result, Ok)}


@pytest.fixture(scope="module")
def served(tiny_model: Path) -> Iterator[dict[str, Any]]:
    """Return the started application, and path parameters that name its model."""
    app = create_app(Settings(model=tiny_model))
    with TestClient(app):
        model = artifact.load(tiny_model)
        yield {"app": app, "name": model.metadata.name, "version": model.version, "index": 0, "code": "no-ink"}


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=lambda mode: mode.value)
@pytest.mark.parametrize("label", OPERATIONS)
def test_responses_conform_to_the_openapi_document(served: dict[str, Any], label: str, mode: GenerationMode) -> None:
    """No response is 5xx. Status, content type, headers and body are documented."""
    operation = OPERATIONS[label]
    if mode is GenerationMode.NEGATIVE and not (operation.body or operation.query):
        pytest.skip("without parameters and body there are no invalid requests")

    @settings(max_examples=8, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    @given(case=operation.as_strategy(generation_mode=mode), exists=st.booleans())
    def check(case: Case[Any], *, exists: bool) -> None:
        if exists:  # random path parameters would name no existing model or layer
            case.path_parameters = {name: served[name] for name in case.path_parameters}
        case.call_and_validate(app=served["app"], base_url="http://testserver", checks=CHECKS)

    check()
