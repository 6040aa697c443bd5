"""What can be set from outside, read once: frozen Settings from environment variables that start with DIGITS_."""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import AliasChoices, Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from service.classifier import MAX_PIXELS
from service.errors import SettingsError

_PREFIX = "DIGITS_"
# Pillow itself refuses what is larger than this.
_MOST_PIXELS = 89_000_000


def bundled_model() -> Path:
    """Return the model that comes with the code: inside the package when installed, in models/ in a checkout."""
    package = Path(__file__).resolve().parent
    installed = package / "digits.safetensors"
    return installed if installed.exists() else package.parent / "models" / "digits.safetensors"


class Settings(BaseSettings):
    """Every setting; the environment variable is DIGITS_ and the name in capitals."""

    model_config = SettingsConfigDict(env_prefix=_PREFIX, frozen=True, env_ignore_empty=True, populate_by_name=True)

    host: str = Field("127.0.0.1", description="address to listen on; 0.0.0.0 for all")
    port: int = Field(
        8000,
        ge=0,
        le=65535,
        validation_alias=AliasChoices("DIGITS_PORT", "PORT"),
        description="port to listen on, else the variable PORT; 0 picks a free one",
    )
    model: Path = Field(default_factory=bundled_model, description="model file to serve; default: the bundled one")
    max_bytes: int = Field(20 * 1024 * 1024, ge=1024, description="largest request body in bytes")
    max_pixels: int = Field(MAX_PIXELS, ge=784, le=_MOST_PIXELS, description="largest picture in pixels")
    log_level: str = Field(
        "info", pattern="^(critical|error|warning|info|debug)$", description="critical, error, warning, info or debug"
    )


def read_settings() -> Settings:
    """Read the settings from the environment. Raises SettingsError naming each variable that is wrong."""
    try:
        return Settings()
    except ValidationError as error:
        lines = [
            f"{_variable(str(problem['loc'][0]))}: {problem['msg']}, not {problem['input']!r}"
            for problem in error.errors()
        ]
        raise SettingsError("; ".join(lines)) from error


def _variable(location: str) -> str:
    """Return the environment variable behind what pydantic calls the location of a problem."""
    name = f"{_PREFIX}{location.upper().removeprefix(_PREFIX)}"
    # Of two variables for one setting, pydantic names the first, read or not.
    return "PORT" if name == "DIGITS_PORT" and not os.environ.get(name) else name
