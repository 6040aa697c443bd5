"""Tests of service.settings."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from service.errors import SettingsError
from service.model import artifact
from service.settings import MAX_PIXELS, Settings, bundled_model, read_settings

ROOT = Path(__file__).parents[2]
VALUES: list[tuple[str, str, str, object]] = [
    ("DIGITS_HOST", "0.0.0.0", "host", "0.0.0.0"),
    ("DIGITS_PORT", "9000", "port", 9000),
    ("DIGITS_PORT", "0", "port", 0),
    ("DIGITS_PORT", "65535", "port", 65535),
    ("DIGITS_MODEL", "/models/other.safetensors", "model", Path("/models/other.safetensors")),
    ("DIGITS_MAX_BYTES", "1024", "max_bytes", 1024),
    ("DIGITS_MAX_PIXELS", "784", "max_pixels", 784),
    ("DIGITS_FORMATS", "webp, PNG,heic,png", "formats", ("PNG", "HEIC", "WebP")),
    ("DIGITS_MAX_PIXELS", "89000000", "max_pixels", 89_000_000),
    ("DIGITS_WORKERS", "2", "workers", 2),
    ("WEB_CONCURRENCY", "3", "workers", 3),
    ("DIGITS_MAX_BATCH", "8", "max_batch", 8),
    ("DIGITS_MAX_BATCH_BYTES", "2048", "max_batch_bytes", 2048),
    ("DIGITS_MAX_BYTES_IN_HAND", "4096", "max_bytes_in_hand", 4096),
    ("DIGITS_DRAIN_SECONDS", "2.5", "drain_seconds", 2.5),
    ("DIGITS_BODY_SECONDS", "2.5", "body_seconds", 2.5),
    ("DIGITS_API_KEYS", "one, two,", "api_keys", (SecretStr("one"), SecretStr("two"))),
    ("DIGITS_API_KEYS_FILE", "/run/secrets/keys", "api_keys_file", Path("/run/secrets/keys")),
    ("DIGITS_CORS_ORIGINS", "*", "cors_origins", ("*",)),
    ("DIGITS_CORS_ORIGINS", "https://a.org,http://b:3000", "cors_origins", ("https://a.org", "http://b:3000")),
    ("DIGITS_ROOT_PATH", "/digits/v1", "root_path", "/digits/v1"),
    ("DIGITS_FORWARDED_ALLOW_IPS", "10.0.0.0/8", "forwarded_allow_ips", "10.0.0.0/8"),
    ("FORWARDED_ALLOW_IPS", "*", "forwarded_allow_ips", "*"),
    ("DIGITS_LOG_FORMAT", "text", "log_format", "text"),
    ("DIGITS_LOG_LEVEL", "warning", "log_level", "warning"),
    ("digits_port", "9001", "port", 9001),
]


def test_without_an_environment_the_defaults_hold() -> None:
    """What design.md promises: this machine only, port 8000, 20 MiB, 50 megapixels, the bundled model."""
    settings = read_settings()

    assert ("127.0.0.1", 8000, "info") == (settings.host, settings.port, settings.log_level)
    assert (20 * 2**20, 50_000_000) == (settings.max_bytes, settings.max_pixels)
    assert bundled_model() == settings.model
    assert MAX_PIXELS == settings.max_pixels


@pytest.mark.parametrize(
    ("variable", "value", "field", "expected"), VALUES, ids=[f"{variable}={value}" for variable, value, _, _ in VALUES]
)
def test_every_setting_comes_from_its_variable(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, field: str, expected: object
) -> None:
    """A variable sets its own setting and no other."""
    monkeypatch.setenv(variable, value)
    defaults = Settings.model_construct().model_dump()

    assert defaults | {field: expected} == read_settings().model_dump()


def test_no_setting_is_left_out_above() -> None:
    """Every field is among the tested ones."""
    assert set(Settings.model_fields) == {field for _, _, field, _ in VALUES}


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"PORT": "8080"}, 8080),
        ({"DIGITS_PORT": "9000", "PORT": "8080"}, 9000),
        ({"DIGITS_PORT": "", "PORT": "8080"}, 8080),
        ({"DIGITS_PORT": "9000", "PORT": ""}, 9000),
        ({"DIGITS_PORT": "", "PORT": ""}, 8000),
    ],
    ids=["only PORT", "both", "empty and PORT", "and empty PORT", "both empty"],
)
def test_platforms_may_set_the_port(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], expected: int
) -> None:
    """PORT, which platforms set, counts where DIGITS_PORT does not say otherwise."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    assert expected == read_settings().port


@pytest.mark.parametrize("field", sorted(Settings.model_fields))
def test_empty_variables_are_not_set(monkeypatch: pytest.MonkeyPatch, field: str) -> None:
    """An empty value, as compose files leave it, is the default."""
    defaults = read_settings()
    monkeypatch.setenv(f"DIGITS_{field.upper()}", "")

    assert defaults == read_settings()


@pytest.mark.parametrize(
    ("variable", "value", "reason"),
    [
        ("DIGITS_PORT", "http", "valid integer"),
        ("DIGITS_PORT", "-1", "greater than or equal to 0"),
        ("DIGITS_PORT", "65536", "less than or equal to 65535"),
        ("PORT", "http", "valid integer"),
        ("PORT", "65536", "less than or equal to 65535"),
        ("DIGITS_MAX_BYTES", "20MB", "valid integer"),
        ("DIGITS_MAX_BYTES", "1023", "greater than or equal to 1024"),
        ("DIGITS_MAX_PIXELS", "783", "greater than or equal to 784"),
        ("DIGITS_MAX_PIXELS", "89000001", "less than or equal to 89000000"),
        ("DIGITS_MAX_PIXELS", "1e6", "valid integer"),
        (
            "DIGITS_FORMATS",
            "png,jpg",
            "choose from PNG, JPEG, HEIC, AVIF, WebP, GIF, BMP, TIFF, separated by commas",
        ),
        ("DIGITS_FORMATS", ",", "choose from PNG"),
        ("DIGITS_WORKERS", "0", "greater than or equal to 1"),
        ("WEB_CONCURRENCY", "many", "valid integer"),
        ("DIGITS_CORS_ORIGINS", "example.org", "match pattern"),
        ("DIGITS_CORS_ORIGINS", "https://example.org/", "match pattern"),
        ("DIGITS_CORS_ORIGINS", "https://Example.org", "match pattern"),
        ("DIGITS_CORS_ORIGINS", "https://*.example.org", "match pattern"),
        ("DIGITS_ROOT_PATH", "digits", "match pattern"),
        ("DIGITS_ROOT_PATH", "/digits/", "match pattern"),
        ("DIGITS_LOG_FORMAT", "xml", "'auto', 'json' or 'text'"),
        ("DIGITS_LOG_LEVEL", "loud", "match pattern"),
        ("DIGITS_LOG_LEVEL", "INFO", "match pattern"),
        ("DIGITS_PORT", "80\n80", "valid integer"),
    ],
)
def test_a_wrong_value_names_its_variable(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, reason: str
) -> None:
    """One line: the variable as it was set, why its value will not do, and the value."""
    monkeypatch.setenv(variable, value)

    with pytest.raises(SettingsError) as caught:
        read_settings()
    line = str(caught.value)
    assert line.startswith(f"{variable}: ")
    assert line.endswith(f", not {value!r}")
    assert reason in line
    assert "\n" not in line


def test_the_variable_that_was_read_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """With both variables for the port set, the wrong one that wins is the one to mend."""
    monkeypatch.setenv("DIGITS_PORT", "http")
    monkeypatch.setenv("PORT", "8080")

    with pytest.raises(SettingsError, match=r"^DIGITS_PORT: "):
        read_settings()


def test_all_wrong_values_are_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody has to start the service once for each mistake."""
    monkeypatch.setenv("DIGITS_MAX_BYTES", "many")
    monkeypatch.setenv("DIGITS_LOG_LEVEL", "loud")

    with pytest.raises(SettingsError, match=r"^DIGITS_MAX_BYTES: .+, not 'many'; DIGITS_LOG_LEVEL: .+, not 'loud'$"):
        read_settings()


# --- Keys


def test_keys_come_from_the_variable_and_the_file(tmp_path: Path) -> None:
    """Both are joined; the file may have blank lines, and come from Windows."""
    file = tmp_path / "keys"
    file.write_bytes(b"\xef\xbb\xbftwo\r\n\n three \n")

    assert ["one", "two", "three"] == Settings(api_keys=("one",), api_keys_file=file).keys()


@pytest.mark.parametrize("content", [None, b"", b" \n\n", b"\xff\xfe"], ids=["missing", "empty", "blank", "no text"])
def test_a_file_without_keys_does_not_open_the_service(tmp_path: Path, content: bytes | None) -> None:
    """A file that is set has to have keys in it, and says so."""
    file = tmp_path / "keys"
    if content is not None:
        file.write_bytes(content)

    with pytest.raises(SettingsError, match=r"^DIGITS_API_KEYS_FILE: .*keys"):
        Settings(api_keys_file=file).keys()


def test_a_variable_without_keys_does_not_open_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stray comma is not the same as no keys."""
    monkeypatch.setenv("DIGITS_API_KEYS", ", ,")

    with pytest.raises(SettingsError, match=r"^DIGITS_API_KEYS: Value error, there is no key in it$"):
        read_settings()


def test_no_message_shows_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """A key that cannot be used is told by its place, and never printed; nor are those of the settings."""
    monkeypatch.setenv("DIGITS_API_KEYS", "good-secret,bad secret")
    settings = read_settings()

    with pytest.raises(SettingsError, match=r"^DIGITS_API_KEYS: key 2 of 2 ") as caught:
        settings.keys()
    assert "secret" not in f"{caught.value} {settings!r}"


def test_a_key_of_the_file_that_cannot_be_used_is_told_by_its_place(tmp_path: Path) -> None:
    """The message names the variable of the file, and the place in it."""
    file = tmp_path / "keys"
    file.write_text("good\nbad key\n")

    with pytest.raises(SettingsError, match=r"^DIGITS_API_KEYS_FILE: key 2 of 2 "):
        Settings(api_keys=("one",), api_keys_file=file).keys()


def test_settings_do_not_change() -> None:
    """What was read at the start holds to the end."""
    settings = Settings()

    with pytest.raises(ValidationError, match="frozen"):
        settings.port = 1  # type: ignore[misc]


@pytest.mark.parametrize(
    "values",
    [{"port": 1234}, {"model": Path("other.safetensors")}, {"max_bytes": 5000}, {"host": "::"}],
    ids=lambda values: next(iter(values)),
)
def test_settings_can_be_given_by_name(values: dict[str, Any]) -> None:
    """Whoever makes an application in code names the fields."""
    assert Settings.model_construct().model_dump() | values == Settings(**values).model_dump()


def test_what_is_given_by_name_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    """An argument counts more than the environment."""
    monkeypatch.setenv("DIGITS_HOST", "0.0.0.0")

    assert "::1" == Settings(host="::1").host


def test_the_bundled_model_of_a_checkout(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Beside the code there is a model that can be served, whatever folder the command is called from."""
    monkeypatch.chdir(tmp_path)

    assert ROOT / "models" / "digits.safetensors" == bundled_model()
    assert "mnist-mlp" == artifact.load(bundled_model()).metadata.name


@pytest.mark.parametrize("field", sorted(Settings.model_fields))
def test_every_setting_is_documented(field: str) -> None:
    """The README has a line for its variable, and says what the command's help says of values to choose from."""
    variable = f"DIGITS_{field.upper()}"
    rows = re.findall(rf"^\| `{variable}` \|.+\|.+\|$", (ROOT / "README.md").read_text(), re.MULTILINE)

    assert 1 == len(rows), variable
    assert Settings.model_fields[field].description


def test_no_setting_is_documented_that_does_not_exist() -> None:
    """Every line of that table is a setting."""
    documented = re.findall(r"^\| `DIGITS_(\w+)` \|", (ROOT / "README.md").read_text(), re.MULTILINE)

    assert {field.upper() for field in Settings.model_fields} == set(documented)
