"""Tests of deploy/kubernetes and deploy/canary against the schemas of Kubernetes, the service and the Dockerfile."""

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
# The oldest version that has the field lifecycle.preStop.sleep, and the newest that has schemas.
OLDEST, NEWEST = "1.30", "1.37"


def read(path: Path) -> dict[str, Any]:
    """Return the object of a YAML file."""
    manifest: dict[str, Any] = yaml.safe_load(path.read_text())
    return manifest


KUSTOMIZATION = read(FOLDER / "kustomization.yaml")
CANARY = read(DEPLOY / "canary" / "kustomization.yaml")
OBJECTS = {path.stem: read(path) for path in sorted(FOLDER.glob("*.yaml")) if path.name != "kustomization.yaml"}
DEPLOYMENT, SERVICE = OBJECTS["deployment"], OBJECTS["service"]
POD = DEPLOYMENT["spec"]["template"]["spec"]
(CONTAINER,) = POD["containers"]
LABELS = DEPLOYMENT["spec"]["template"]["metadata"]["labels"]
(SETTINGS,) = KUSTOMIZATION["configMapGenerator"]


# --- Schemas


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
@pytest.mark.parametrize("name", OBJECTS)
def test_objects_match_the_schemas(name: str, version: str) -> None:
    """Every object is valid, without unknown fields, in the oldest and the newest version."""
    assert version == kubernetes_validate.validate(OBJECTS[name], version, strict=True)


@pytest.mark.parametrize(
    ("name", "path", "value"),
    [
        ("deployment", "spec/template/spec/containers/0/readinesProbe", {}),
        ("deployment", "spec/template/spec/containers/0/livenessProbe/httpGet/port", [8000]),
    ],
)
def test_schemas_reject_errors(name: str, path: str, value: object) -> None:
    """The validation detects a misspelt field and a value of the wrong type."""
    invalid = deepcopy(OBJECTS[name])
    steps: list[Any] = [int(step) if step.isdecimal() else step for step in path.split("/")]
    reduce(lambda part, step: part[step], steps[:-1], invalid)[steps[-1]] = value

    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(invalid, NEWEST, strict=True)


# --- kustomize


def test_kustomization_lists_every_file() -> None:
    """Every file of the folder is a resource, and is named after its kind."""
    assert set(KUSTOMIZATION["resources"]) == {f"{name}.yaml" for name in OBJECTS}
    assert list(OBJECTS) == [manifest["kind"].lower() for manifest in OBJECTS.values()]


def test_config_map_has_valid_settings() -> None:
    """The pods use the generated ConfigMap, and its variables are settings of the service."""
    variables = [literal.partition("=")[0] for literal in SETTINGS["literals"]]

    assert [{"configMapRef": {"name": SETTINGS["name"]}}] == CONTAINER["envFrom"]
    assert set(variables) <= {f"DIGITS_{name.upper()}" for name in Settings.model_fields}


def test_image_is_the_same_everywhere() -> None:
    """Deployment, both kustomizations and the compose file have the same image name, and the tag is the version."""
    (image,), (canary,) = KUSTOMIZATION["images"], CANARY["images"]
    names = {CONTAINER["image"], image["name"], image["newName"], canary["name"]}

    assert {read(ROOT / "docker-compose.yml")["services"]["digits"]["image"]} == names
    assert __version__ == image["newTag"]


def test_canary_has_only_the_deployment() -> None:
    """The canary keeps the Deployment and its settings, and deletes the objects that it shares."""
    (patch,) = CANARY["patches"]

    assert [DEPLOY / "canary" / ".." / "kubernetes"] == [DEPLOY / "canary" / path for path in CANARY["resources"]]
    assert [DEPLOYMENT["metadata"]["name"]] == [replicas["name"] for replicas in CANARY["replicas"]]
    assert {"Deployment"} == {
        manifest["kind"] for manifest in OBJECTS.values() if not re.fullmatch(patch["target"]["kind"], manifest["kind"])
    }


def test_canary_shares_the_service_but_not_the_selector() -> None:
    """The Service selects the pods of the canary, and the stable Deployment does not."""
    (changed,) = CANARY["labels"]
    canary = LABELS | changed["pairs"]

    assert changed["includeSelectors"]
    assert SERVICE["spec"]["selector"].items() <= canary.items()
    assert not DEPLOYMENT["spec"]["selector"]["matchLabels"].items() <= canary.items()


# --- References between objects


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
def test_selectors_match_the_pods(selector: dict[str, str]) -> None:
    """No selector is empty, and each matches the labels of the pods."""
    assert selector
    assert selector.items() <= LABELS.items()


def test_autoscaler_targets_the_deployment() -> None:
    """The Deployment sets no replicas itself, and requests CPU, on which the utilisation is based."""
    target = OBJECTS["horizontalpodautoscaler"]["spec"]["scaleTargetRef"]

    assert (DEPLOYMENT["apiVersion"], DEPLOYMENT["kind"], DEPLOYMENT["metadata"]["name"]) == (
        target["apiVersion"],
        target["kind"],
        target["name"],
    )
    assert "replicas" not in DEPLOYMENT["spec"]
    assert "cpu" in CONTAINER["resources"]["requests"]


def test_ports_agree() -> None:
    """Service, probes, policy and annotation refer to the port of the container, which is that of the image."""
    (port,) = CONTAINER["ports"]
    probes = [CONTAINER[probe]["httpGet"]["port"] for probe in ("startupProbe", "livenessProbe", "readinessProbe")]
    (service,) = SERVICE["spec"]["ports"]
    (policy,) = OBJECTS["networkpolicy"]["spec"]["ingress"][0]["ports"]
    annotated = DEPLOYMENT["spec"]["template"]["metadata"]["annotations"]["prometheus.io/port"]

    assert {port["name"]} == {*probes, service["targetPort"], policy["port"]}
    assert [str(port["containerPort"])] == re.findall(r"EXPOSE (\d+)", DOCKERFILE)
    assert Settings.model_fields["port"].default == port["containerPort"]
    assert str(port["containerPort"]) == annotated


# --- References to the service


def test_annotated_metrics_path_exists(tiny_client: TestClient) -> None:
    """The path for Prometheus answers 200."""
    path = DEPLOYMENT["spec"]["template"]["metadata"]["annotations"]["prometheus.io/path"]

    assert 200 == tiny_client.get(path).status_code


@pytest.mark.parametrize("probe", ["startupProbe", "livenessProbe", "readinessProbe"])
def test_probe_paths_exist(tiny_client: TestClient, probe: str) -> None:
    """The path of each probe answers 200 while the service is healthy."""
    assert 200 == tiny_client.get(CONTAINER[probe]["httpGet"]["path"]).status_code


def test_user_is_that_of_the_image() -> None:
    """User and group are those of the Dockerfile, and not root."""
    context = POD["securityContext"]

    assert [f"{context['runAsUser']}:{context['runAsGroup']}"] == re.findall(r"^USER (.+)$", DOCKERFILE, re.MULTILINE)
    assert context["runAsNonRoot"]


def test_memory_limit_is_the_same_everywhere() -> None:
    """Kubernetes, compose, Ray and the command in the document have one figure, in MiB."""
    (application,) = read(DEPLOY / "ray" / "serve.yaml")["applications"]
    (replicas,) = application["deployments"]
    figures = {
        CONTAINER["resources"]["limits"]["memory"].removesuffix("Mi"),
        read(ROOT / "docker-compose.yml")["services"]["digits"]["mem_limit"].removesuffix("m"),
        str(replicas["ray_actor_options"]["memory"] // 2**20),
        *re.findall(r"--memory (\d+)m", (ROOT / "docs" / "deployment.md").read_text()),
    }

    assert {"1280"} == figures


def test_in_flight_requests_are_finished() -> None:
    """The preStop sleep and the graceful shutdown end before terminationGracePeriodSeconds."""
    asleep = CONTAINER["lifecycle"]["preStop"]["sleep"]["seconds"]

    assert asleep + Settings().drain_seconds + run.GRACE_SECONDS < POD["terminationGracePeriodSeconds"]
    assert 0 == DEPLOYMENT["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"]


def test_service_links_are_disabled() -> None:
    """They would set an environment variable with the name of a setting, DIGITS_PORT."""
    variable = f"{SERVICE['metadata']['name'].upper()}_PORT"

    assert variable in {f"DIGITS_{name.upper()}" for name in Settings.model_fields}
    assert POD["enableServiceLinks"] is False
