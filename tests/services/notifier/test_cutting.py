"""Texts are cut to a provider's limit at a word, with a link to the rest."""

from hypothesis import given
from hypothesis import strategies as st

from services.notifier.domain.messages.cutting import cut, cut_with_link


def test_a_text_that_fits_is_left_alone():
    assert cut("Checkout is down", 16) == "Checkout is down"


def test_a_long_text_ends_at_a_word():
    assert cut("Checkout is down for everybody", 20) == "Checkout is down…"


def test_a_word_that_is_longer_than_the_rest_is_cut_in_the_middle():
    assert cut("a " + "b" * 100, 50) == "a " + "b" * 47 + "…"


def test_a_family_is_not_torn_apart():
    family = "\U0001f468\u200d\U0001f469\u200d\U0001f467"
    assert cut("x" * 10 + family + "y" * 10, 13) == "x" * 10 + "…"


def test_what_was_left_out_stands_behind_a_link():
    said = cut_with_link("Checkout is down for everybody " * 9, 60, "https://ladder.test/i/1")
    assert said.endswith("… https://ladder.test/i/1")
    assert len(said) <= 60


@given(st.text(), st.integers(1, 200))
def test_no_text_is_longer_than_asked(text, longest):
    assert len(cut(text, longest)) <= longest
    assert len(cut_with_link(text, longest, "https://ladder.test/i/1")) <= longest
