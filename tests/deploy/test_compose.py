"""Tests of docker-compose.yml and the Dockerfile against the settings of the service."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from service.settings import Settings

ROOT = Path(__file__).parents[2]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]["digits"]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
SETTINGS = {f"DIGITS_{name.upper()}" for name in Settings.model_fields}
PUBLISHED = {"DIGITS_HOST", "DIGITS_PORT"}


def test_compose_passes_every_setting_by_name() -> None:
    """An API key that is given to `docker compose up` reaches the service. Values have no equals sign: none is set."""
    assert sorted(SETTINGS - PUBLISHED) == sorted(COMPOSE["environment"])


def test_compose_publishes_on_this_machine_alone_unless_told_otherwise() -> None:
    """DIGITS_HOST and DIGITS_PORT are those that are published; the port in the container is that of the image."""
    (published,) = COMPOSE["ports"]
    (exposed,) = re.findall(r"^EXPOSE (\d+)$", DOCKERFILE, re.MULTILINE)

    assert published == f"${{DIGITS_HOST:-127.0.0.1}}:${{DIGITS_PORT:-8000}}:{exposed}"
    assert str(Settings.model_fields["port"].default) == exposed


def test_image_leaves_the_port_to_the_environment() -> None:
    """A DIGITS_PORT in the image would override the PORT of platforms."""
    assert "DIGITS_PORT=" not in DOCKERFILE


def test_health_checks_agree() -> None:
    """The compose file has the command of the Dockerfile."""
    (command,) = re.findall(r"^HEALTHCHECK .+\\\n +CMD (.+)$", DOCKERFILE, re.MULTILINE)

    assert ["CMD", *yaml.safe_load(command)] == COMPOSE["healthcheck"]["test"]
