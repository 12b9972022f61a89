"""What `ladder check` prints, in its three forms."""

import json

import pytest

from shared.policy import report
from tests.policy.bundles import COMPLETE, EXAMPLE, SMALLEST


@pytest.fixture
def broken(tmp_path):
    file = tmp_path / "my, 100%.yaml"
    file.write_text(SMALLEST + "loud: tir == ''\n")
    return file


def test_errors_are_lines_with_their_number_at_the_end(broken):
    status, text = report(broken)

    assert status == 1
    assert text.splitlines() == [
        f"{broken}:6:7: loud: found \"tir == ''\", expected a valid expression: no name 'tir'; did you mean 'tier'? [L102]",
        "1 error",
    ]


def test_errors_are_json_for_programs(broken):
    status, text = report(broken, "json")
    found = json.loads(text)

    assert (status, found["ok"]) == (1, False)
    assert (found["errors"][0]["line"], found["errors"][0]["column"], found["errors"][0]["path"]) == (
        6,
        7,
        "loud",
    )


def test_errors_are_annotations_for_a_forge(broken):
    status, text = report(broken, "github")

    assert status == 1
    assert text.startswith("::error file=")
    assert "my%2C 100%25.yaml,line=6,col=7,title=L102::loud: found" in text


def test_a_sound_bundle_says_what_is_not_proved():
    status, text = report(COMPLETE)

    assert status == 0
    assert "is sound; hash" in text
    assert "not proved yet" in text


def test_a_sound_bundle_reports_to_programs_and_forges_too():
    found = json.loads(report(EXAMPLE, "json")[1])

    assert (found["ok"], found["not_in_force"]) == (True, [])
    assert report(EXAMPLE, "github")[1].startswith("::notice file=")
