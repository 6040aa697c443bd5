"""Tests of deploy.kubernetes and deploy.canary: against the schemas of Kubernetes, the service and the image."""

from __future__ import annotations

import re
from copy import deepcopy
from functools import reduce
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from fastapi.testclient import TestClient

from service import __version__
from service.server import run
from service.settings import Settings

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
FOLDER = DEPLOY / "kubernetes"
DOCKERFILE = (ROOT / "Dockerfile").read_text()
# The sleep before the end is the newest field that is used.
OLDEST, NEWEST = "1.30", "1.37"


def read(path: Path) -> dict[str, Any]:
    """Return what a file with one object describes."""
    described: dict[str, Any] = yaml.safe_load(path.read_text())
    return described


KUSTOMIZATION = read(FOLDER / "kustomization.yaml")
CANARY = read(DEPLOY / "canary" / "kustomization.yaml")
OBJECTS = {path.stem: read(path) for path in sorted(FOLDER.glob("*.yaml")) if path.name != "kustomization.yaml"}
DEPLOYMENT, SERVICE = OBJECTS["deployment"], OBJECTS["service"]
POD = DEPLOYMENT["spec"]["template"]["spec"]
(CONTAINER,) = POD["containers"]
LABELS = DEPLOYMENT["spec"]["template"]["metadata"]["labels"]
(SETTINGS,) = KUSTOMIZATION["configMapGenerator"]


# --- The schemas


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
@pytest.mark.parametrize("name", OBJECTS)
def test_objects_fit_the_schemas(name: str, version: str) -> None:
    """Kubernetes knows each field, from the oldest version that is meant to the newest that has schemas."""
    assert version == kubernetes_validate.validate(OBJECTS[name], version, strict=True)


@pytest.mark.parametrize(
    ("name", "path", "value"),
    [
        ("deployment", "spec/template/spec/containers/0/readinesProbe", {}),
        ("deployment", "spec/template/spec/containers/0/livenessProbe/httpGet/port", [8000]),
        ("deployment", "spec/strategy/rollingUpdate/maxUnavailabel", 0),
        ("service", "spec/ports/0/port", "http"),
        ("horizontalpodautoscaler", "spec/minReplica", 2),
        ("poddisruptionbudget", "spec/maxUnavailable", {}),
        ("networkpolicy", "spec/ingress/0/port", 8000),
    ],
)
def test_a_slip_is_noticed(name: str, path: str, value: object) -> None:
    """A misspelt field or a value of the wrong type does not fit."""
    slipped = deepcopy(OBJECTS[name])
    steps: list[Any] = [int(step) if step.isdecimal() else step for step in path.split("/")]
    reduce(lambda part, step: part[step], steps[:-1], slipped)[steps[-1]] = value

    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(slipped, NEWEST, strict=True)


# --- kustomize


def test_the_kustomization_lists_every_file() -> None:
    """Each file beside it is applied, under the name of its kind."""
    assert set(KUSTOMIZATION["resources"]) == {f"{name}.yaml" for name in OBJECTS}
    assert list(OBJECTS) == [described["kind"].lower() for described in OBJECTS.values()]


def test_the_settings_exist() -> None:
    """The ConfigMap that the pods read is generated, and holds variables that the service reads."""
    variables = [literal.partition("=")[0] for literal in SETTINGS["literals"]]

    assert [{"configMapRef": {"name": SETTINGS["name"]}}] == CONTAINER["envFrom"]
    assert set(variables) <= {f"DIGITS_{name.upper()}" for name in Settings.model_fields}


def test_the_image_is_the_one_that_is_built() -> None:
    """Deployment, both kustomizations and the compose file agree on its name, and its tag is the release."""
    (image,), (canary,) = KUSTOMIZATION["images"], CANARY["images"]
    names = {CONTAINER["image"], image["name"], image["newName"], canary["name"]}

    assert {read(ROOT / "docker-compose.yml")["services"]["digits"]["image"]} == names
    assert __version__ == image["newTag"]


def test_the_canary_is_a_deployment_only() -> None:
    """It takes over the one Deployment and its settings, and nothing that would be there twice."""
    (patch,) = CANARY["patches"]

    assert [DEPLOY / "canary" / ".." / "kubernetes"] == [DEPLOY / "canary" / path for path in CANARY["resources"]]
    assert [DEPLOYMENT["metadata"]["name"]] == [replicas["name"] for replicas in CANARY["replicas"]]
    assert {"Deployment"} == {
        described["kind"]
        for described in OBJECTS.values()
        if not re.fullmatch(patch["target"]["kind"], described["kind"])
    }


def test_the_canary_gets_requests_and_keeps_its_pods_apart() -> None:
    """Its pods fit the Service's selector, and neither Deployment's selector fits the other's pods."""
    (changed,) = CANARY["labels"]
    canary = LABELS | changed["pairs"]

    assert changed["includeSelectors"]
    assert SERVICE["spec"]["selector"].items() <= canary.items()
    assert not DEPLOYMENT["spec"]["selector"]["matchLabels"].items() <= canary.items()


# --- What the objects say of each other


@pytest.mark.parametrize(
    "selector",
    [
        DEPLOYMENT["spec"]["selector"]["matchLabels"],
        POD["topologySpreadConstraints"][0]["labelSelector"]["matchLabels"],
        SERVICE["spec"]["selector"],
        OBJECTS["poddisruptionbudget"]["spec"]["selector"]["matchLabels"],
        OBJECTS["networkpolicy"]["spec"]["podSelector"]["matchLabels"],
    ],
    ids=["deployment", "spread", "service", "budget", "policy"],
)
def test_selectors_fit_the_pods(selector: dict[str, str]) -> None:
    """Each selector names labels that the pods have, and at least one."""
    assert selector
    assert selector.items() <= LABELS.items()


def test_the_autoscaler_scales_the_deployment() -> None:
    """Its target is the Deployment, whose replicas it sets alone, with processors requested to measure against."""
    target = OBJECTS["horizontalpodautoscaler"]["spec"]["scaleTargetRef"]

    assert (DEPLOYMENT["apiVersion"], DEPLOYMENT["kind"], DEPLOYMENT["metadata"]["name"]) == (
        target["apiVersion"],
        target["kind"],
        target["name"],
    )
    assert "replicas" not in DEPLOYMENT["spec"]
    assert "cpu" in CONTAINER["resources"]["requests"]


def test_ports_agree() -> None:
    """Service, probes and policy name the container's port, which is the one that the image listens on."""
    (port,) = CONTAINER["ports"]
    probes = [CONTAINER[probe]["httpGet"]["port"] for probe in ("startupProbe", "livenessProbe", "readinessProbe")]
    (service,) = SERVICE["spec"]["ports"]
    (policy,) = OBJECTS["networkpolicy"]["spec"]["ingress"][0]["ports"]
    annotated = DEPLOYMENT["spec"]["template"]["metadata"]["annotations"]["prometheus.io/port"]

    assert {port["name"]} == {*probes, service["targetPort"], policy["port"]}
    assert [str(port["containerPort"])] * 2 == re.findall(r"(?:DIGITS_PORT=|EXPOSE )(\d+)", DOCKERFILE)
    assert str(port["containerPort"]) == annotated


# --- What they say of the service


def test_prometheus_finds_the_metrics(tiny_client: TestClient) -> None:
    """The annotated path is one that the service answers."""
    path = DEPLOYMENT["spec"]["template"]["metadata"]["annotations"]["prometheus.io/path"]

    assert 200 == tiny_client.get(path).status_code


@pytest.mark.parametrize("probe", ["startupProbe", "livenessProbe", "readinessProbe"])
def test_probes_ask_what_the_service_answers(tiny_client: TestClient, probe: str) -> None:
    """Each probe's path answers 200 while the service is well."""
    assert 200 == tiny_client.get(CONTAINER[probe]["httpGet"]["path"]).status_code


def test_the_user_is_the_images() -> None:
    """User and group are those of the Dockerfile, and not root."""
    context = POD["securityContext"]

    assert [f"{context['runAsUser']}:{context['runAsGroup']}"] == re.findall(r"^USER (.+)$", DOCKERFILE, re.MULTILINE)
    assert context["runAsNonRoot"]


def test_answers_under_way_are_finished() -> None:
    """The sleep and what `digits serve` grants fit into the time after which Kubernetes kills."""
    asleep = CONTAINER["lifecycle"]["preStop"]["sleep"]["seconds"]

    assert asleep + Settings().drain_seconds + run.GRACE_SECONDS < POD["terminationGracePeriodSeconds"]
    assert 0 == DEPLOYMENT["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"]


def test_a_service_of_this_name_sets_no_port() -> None:
    """Kubernetes would call its variable as the service does its setting, so it is told not to."""
    variable = f"{SERVICE['metadata']['name'].upper()}_PORT"

    assert variable in {f"DIGITS_{name.upper()}" for name in Settings.model_fields}
    assert POD["enableServiceLinks"] is False
