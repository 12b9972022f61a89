"""What providers repeat in their refusals is neither stored, shown nor logged."""

import pytest

from services.notifier.channels.results import Unavailable
from services.notifier.domain.delivery import without_secrets
from services.notifier.domain.unrevealed import unrevealed


@pytest.mark.parametrize(
    ("said", "address", "left"),
    [
        (
            "SMTP 550 <Ana@Example.com>: no such box",
            "ana@example.com",
            "SMTP 550 <(the address)>: no such box",
        ),
        ("550 ana@example.com unknown", "Ana <ana@example.com>", "550 (the address) unknown"),
        ("400 +4915112345678 is not valid", "+4915112345678", "400 (the address) is not valid"),
        ("400 4915112345678 is not valid", "+4915112345678", "400 (the address) is not valid"),
        ("no /services/T1/B2/x here", "https://hooks.example/services/T1/B2/x", "no (the address) here"),
        ("no https://h.example/a?key=abcd", "https://h.example/a?key=abcd", "no (the address)"),
        ("key=abcd is wrong", "https://h.example/a?key=abcd", "(the address) is wrong"),
        ("ana:pass1 is wrong", "https://ana:pass1@h.example/", "(the address) is wrong"),
        ("h.example is a private address", "https://h.example/a", "h.example is a private address"),
        ("channel_not_found", "#c", "channel_not_found"),  # too short to be told from other words
        ("HTTP 404", "http://[", "HTTP 404"),
    ],
)
def test_a_reason_does_not_repeat_the_address(said, address, left):
    assert unrevealed(said, named=address, address=address, secret="") == left


def test_a_secret_address_is_called_by_its_name_and_a_key_not_at_all():
    said = unrevealed(
        "https://h.example/t0ken refuses whsec_abc",
        named="secret:hook",
        address="https://h.example/t0ken",
        secret="whsec_abc other",
    )
    assert said == "secret:hook refuses (the secret)"


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("https://ana:pass@h.example/t0ken?x=1", "https://h.example/…"),
        ("Ana <ana@example.com>", "…@example.com"),
        ("+4915112345678", "+491…"),
        ("ana", "ana"),
    ],
)
def test_an_address_is_shown_without_what_is_secret_in_it(address, shown):
    assert without_secrets(address) == shown


def test_one_address_that_has_to_wait_holds_up_no_other_of_its_provider():
    assert Unavailable("HTTP 429", retry_after=30.0).spares_others
    assert Unavailable("SMTP 450 greylisted", provider_works=True).spares_others
    assert not Unavailable("timeout").spares_others
