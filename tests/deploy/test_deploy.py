"""What deploy/ says agrees with what the processes read. That the chart renders is checked with helm itself
(docs/operations.md)."""

import importlib
import json
import re
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from ruamel.yaml import YAML

from ladder.processes import HostSettings
from services.notifier.channels import CHANNELS
from shared.eventlog.settings import EventLogSettings
from shared.settings import LadderSettings, variable

ROOT = Path(__file__).parents[2]
CHART = ROOT / "deploy/helm/ladder"
COMMAND_LINE = {"LADDER_URL", "LADDER_API_KEY", "LADDER_INTAKE_URL"}
COMPOSE_ONLY = {
    "LADDER_POLICY_FOLDER",
    "LADDER_DATABASE_PASSWORD",
}  # stand in compose.yaml, for compose itself


def settings_classes() -> list[type[LadderSettings]]:
    services = [
        getattr(importlib.import_module(f"services.{name}.settings"), f"{name.capitalize()}Settings")
        for name in ("intake", "router", "notifier")
    ]
    channels = {each.settings for each in CHANNELS.values()}
    return [HostSettings, EventLogSettings, *services, *channels]


def known() -> set[str]:
    return {
        variable(name)
        for one in settings_classes()
        for name, field in one.model_fields.items()
        if not field.exclude
    }


def named(text: str) -> set[str]:
    """Every variable that a text names; `…_FILE` stands for the variable itself."""
    found = set(re.findall(r"\bLADDER_[A-Z][A-Z_]*[A-Z]\b", text))
    return {name.removesuffix("_FILE") for name in found}


def test_compose_names_only_settings_that_exist():
    text = (ROOT / "deploy/compose.yaml").read_text()
    assert named(text) - known() <= COMPOSE_ONLY


def test_compose_gives_each_process_what_it_cannot_start_without():
    services = YAML(typ="safe").load(ROOT / "deploy/compose.yaml")["services"]
    needs = {
        "migrate": {"LADDER_DATABASE_URL", "LADDER_KAFKA_BOOTSTRAP_SERVERS"},
        "intake": {"LADDER_LISTEN", "LADDER_KAFKA_BOOTSTRAP_SERVERS"},
        "router": {"LADDER_LISTEN", "LADDER_DATABASE_URL", "LADDER_KAFKA_BOOTSTRAP_SERVERS", "LADDER_SECRET_KEY"},
        "notifier": {
            "LADDER_LISTEN", "LADDER_DATABASE_URL", "LADDER_KAFKA_BOOTSTRAP_SERVERS", "LADDER_SECRET_KEY",
            "LADDER_PUBLIC_URL",
        },
    }  # fmt: skip
    for service, needed in needs.items():
        assert needed <= set(services[service]["environment"]), service
        assert services[service]["command"] == [service]
    assert "LADDER_DATABASE_URL" not in services["intake"]["environment"]


def test_the_alert_rules_name_only_metrics_that_exist():
    rules = YAML(typ="safe").load(ROOT / "deploy/alerts.yaml")["groups"][0]["rules"]
    sources = "".join(
        path.read_text()
        for folder in ("services", "shared", "ladder")
        for path in (ROOT / folder).rglob("*.py")
    )
    named_ones = {name for rule in rules for name in re.findall(r"\bladder_[a-z_]+", rule["expr"])}
    assert len(named_ones) >= len(rules) - 1
    for name in named_ones:
        assert f'"{name.removesuffix("_bucket")}"' in sources, name
    assert all({"alert", "expr", "annotations"} <= set(rule) for rule in rules)


@pytest.mark.parametrize("path", ["Chart.yaml", "values.yaml"])
def test_the_chart_is_yaml(path: str):
    assert isinstance(YAML(typ="safe").load(CHART / path), dict)


def test_the_chart_names_only_settings_that_exist():
    text = "".join(path.read_text() for path in sorted((CHART / "templates").iterdir()))
    keys = set(re.findall(r'append \$keys "([a-z-]+)"', text))
    assert keys == {"database-url", "secret-key", "kafka-sasl-password", "smtp-url", "deadman-url"}
    composed = {f"LADDER_{key.replace('-', '_').upper()}" for key in keys}
    assert (named(text) | composed) - known() <= COMMAND_LINE


def test_the_chart_gives_the_notifier_an_address_for_links_and_says_when_people_cannot_open_it():
    shape = (CHART / "templates/_shape.tpl").read_text()
    assert "-router.%s.svc" in shape.partition('define "ladder.publicUrl"')[2].partition("{{- define")[0]
    assert "Set publicUrl, or enable the Ingress" in (CHART / "templates/NOTES.txt").read_text()
    of_the_notifier = shape.partition('{{- if eq .service "notifier" }}')[2].partition("{{- define")[0]
    assert "LADDER_PUBLIC_URL" in of_the_notifier


@pytest.mark.parametrize("path", ["values.yaml", "templates/NOTES.txt"])
def test_the_chart_says_that_the_first_policy_cannot_be_applied(path: str):
    """The keys stand in it."""
    text = " ".join((CHART / path).read_text().replace("#", " ").split())
    assert re.search(
        r"first one has to come by .*keys|keys stand in it, so the first one has to come by", text
    )


def test_the_charts_values_fit_their_schema_and_a_wrong_name_does_not():
    schema = json.loads((CHART / "values.schema.json").read_text())
    Draft202012Validator.check_schema(schema)
    values = YAML(typ="safe").load(CHART / "values.yaml")
    validator = Draft202012Validator(schema)
    assert not list(validator.iter_errors(values))
    assert list(validator.iter_errors(values | {"kafca": {}}))
    assert set(values) <= set(schema["properties"])


def test_the_image_runs_as_a_number_that_is_not_root():
    """Kubernetes can only prove runAsNonRoot of a number."""
    lines = (ROOT / "deploy/Dockerfile").read_text().splitlines()
    users = [line.split()[1] for line in lines if line.startswith("USER ")]
    assert users[-1] == "10001:10001"
    assert not [line for line in lines if line.startswith("ADD ")]


def test_the_images_python_is_one_that_the_project_supports():
    image = re.search(r"PYTHON_IMAGE=python:3\.(\d+)", (ROOT / "deploy/Dockerfile").read_text())
    assert image is not None
    assert int(image[1]) >= 11


def test_what_the_image_copies_is_sent_to_the_builder():
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    sent = {line.removeprefix("!") for line in ignored if line.startswith("!")}
    copied = re.findall(r"^COPY (?!--from)(\S+)", (ROOT / "deploy/Dockerfile").read_text(), re.MULTILINE)
    assert set(copied) == sent
    assert all((ROOT / path).exists() for path in copied)


def test_the_readme_tells_every_setting_and_none_that_does_not_exist():
    readme = (ROOT / "README.md").read_text()
    table = set(re.findall(r"^\| `(LADDER_[A-Z_]+)`", readme, re.MULTILINE))
    assert table - known() == COMMAND_LINE
    assert known() <= table
    assert named(readme) <= table
