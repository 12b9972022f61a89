"""Settings from variables and files. Each case is a process of its own, so that no environment is bent."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ladder.refusal import NotPossibleError
from ladder.serving.listener import Address
from shared.settings import BadSettingError, CommaSeparated, LadderSettings, SecretKeySettings
from tests.ladder.running import PROJECT, environment

_SHOW = """
import json, sys
from tests.ladder.test_settings import Sample
from shared.settings import BadSettingError
try:
    print(Sample.read().model_dump_json())
except BadSettingError as err:
    print(json.dumps(str(err)))
"""


class Sample(LadderSettings):
    """Two settings."""

    sample_word: str = "default"
    sample_list: CommaSeparated = ()


def _read(**variables: object) -> object:
    ran = subprocess.run(
        [sys.executable, "-c", _SHOW],
        env=environment(**variables) | {"PYTHONPATH": str(PROJECT), "PATH": os.defpath},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(ran.stdout)


def test_a_variable_sets_it_and_an_empty_one_does_not() -> None:
    assert _read(sample_word="said", sample_list="") == {"sample_word": "said", "sample_list": []}


def test_several_values_are_separated_by_commas() -> None:
    assert _read(sample_list="a, b,,c") == {"sample_word": "default", "sample_list": ["a", "b", "c"]}


def test_it_can_stand_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "word").write_text("kept secret\n")
    assert _read(sample_word_file=tmp_path / "word")["sample_word"] == "kept secret"


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    told = _read(sample_word_file=tmp_path / "none")
    assert told == f"LADDER_SAMPLE_WORD_FILE: {tmp_path}/none cannot be read: No such file or directory."


def test_what_is_given_wins_over_the_environment() -> None:
    assert Sample.read(sample_word="given", unknown="passed over").sample_word == "given"


def test_the_first_of_several_secret_keys_signs_and_all_verify() -> None:
    both, old = SecretKeySettings.read(secret_key="new,old"), SecretKeySettings.read(secret_key="old")
    assert both.signer.keys == ("new", "old")
    token = old.signer.sign("link", {"who": "ana"})
    assert token.count(".") == 1
    with pytest.raises(BadSettingError, match="LADDER_SECRET_KEY is not set"):
        _ = SecretKeySettings.read(secret_key=None).signer


@pytest.mark.parametrize(
    ("text", "host", "port", "loopback"),
    [
        ("127.0.0.1:8080", "127.0.0.1", 8080, True),
        ("localhost:0", "localhost", 0, True),
        ("[::1]:80", "::1", 80, True),
        (":8080", "", 8080, False),  # everywhere
        ("[::]:8080", "::", 8080, False),
        ("0.0.0.0:8080", "0.0.0.0", 8080, False),
        ("ladder.example:443", "ladder.example", 443, False),
    ],
)
def test_an_address_says_where_and_whether_only_this_machine_reaches_it(
    text: str, host: str, port: int, *, loopback: bool
) -> None:
    address = Address.parse(text)
    assert (address.host, address.port, address.loopback) == (host, port, loopback)


@pytest.mark.parametrize("text", ["", "8080", "[::1:8080", "127.0.0.1", "127.0.0.1:http", "127.0.0.1:70000"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(NotPossibleError, match="LADDER_LISTEN"):
        Address.parse(text)
