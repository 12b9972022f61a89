"""`ladder check` maps the bodies that a policy names as samples."""

import json
from pathlib import Path

from typer.testing import CliRunner

from ladder.cli import app
from tests.policy.bundles import SMALLEST

KEYS = 'keys: [{sha256: "' + "0" * 64 + '"}]'
POLICY = f"""{SMALLEST}integrations:
  crm:
    kind: json
    {KEYS}
    map: {{title: "body.name + ' of ' + headers['x-shop']"}}
    samples: [{{file: bodies/one.json, headers: {{X-Shop: Prague}}}}, bodies/two.json]
"""


def checked(folder: Path, *options: str, two: str | None = '{"name": "Down"}') -> tuple[int, str]:
    bodies = folder / "bodies"
    bodies.mkdir(exist_ok=True)
    (bodies / "one.json").write_text('{"name": "Fire"}')
    if two is not None:
        (bodies / "two.json").write_text(two)
    file = folder / "policy.yaml"
    file.write_text(POLICY)
    result = CliRunner().invoke(app, ["check", str(file), *options])
    return result.exit_code, result.stdout


def test_check_shows_the_events_of_samples_and_names_the_place_of_one_that_fails(tmp_path):
    status, text = checked(tmp_path)
    assert status == 1
    where = text.splitlines()[0].split(": ")[0]
    assert where.startswith(str(tmp_path / "policy.yaml"))
    assert (
        "found 'bodies/two.json', expected a body that the integration maps: /title: needed for trigger"
        in text
    )
    assert 'no field "x-shop" was sent' in text
    assert text.endswith("1 sample of the policy cannot be mapped\n")
    row, place = map(int, where.rsplit(":", 2)[1:])
    assert POLICY.splitlines()[row - 1][place - 1 :].startswith("bodies/two.json")


def test_samples_that_are_well_are_shown_in_text_and_json(tmp_path):
    sound = POLICY.replace(", bodies/two.json", "")
    (tmp_path / "bodies").mkdir()
    (tmp_path / "bodies" / "one.json").write_text('{"name": "Fire"}')
    (tmp_path / "policy.yaml").write_text(sound)
    runner = CliRunner()
    shown = runner.invoke(app, ["check", str(tmp_path)])
    assert shown.exit_code == 0
    assert "crm: bodies/one.json: 1 event\n  trigger: Fire of Prague\n" in shown.stdout
    document = json.loads(runner.invoke(app, ["check", str(tmp_path), "--json"]).stdout)
    assert document["ok"]
    (sample,) = document["samples"]
    assert (sample["file"], sample["events"][0]["title"]) == ("bodies/one.json", "Fire of Prague")


def test_a_sample_that_is_not_there_is_an_error_in_every_format(tmp_path):
    assert "No such file or directory" in checked(tmp_path, two=None)[1]
    document = json.loads(checked(tmp_path, "--json", two=None)[1])
    assert (document["ok"], document["errors"][0]["path"]) == (False, "integrations.crm.samples[1]")
    assert "::error file=" in checked(tmp_path, "--format", "github", two=None)[1]
