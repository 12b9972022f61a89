"""Whom a text means: the bundle's customers first, then the directory's; by id, name, match, mail domain."""

import pytest

from services.router.domain.draft import customers
from services.router.domain.model.context import Context, KnownCustomer
from shared.policy.model.people import Customer
from tests.domain.tale import bundle, compiled

POLICY = compiled(bundle())


def context(**known: KnownCustomer) -> Context:
    return Context(POLICY, customers=known)


def stored(customer_id: str, name: str, *shared_by: str) -> KnownCustomer:
    return KnownCustomer(customer_id, Customer(name=name), f"known as {name!r}", shared_by)


@pytest.mark.parametrize(
    ("said", "how"),
    [
        ("acme", "by its id"),
        ("Acme", "known as 'Acme'"),
        ("ACME LTD", "known as 'ACME LTD'"),
        ("Acme.Example", "known as 'Acme.Example'"),
        ("Jo@acme.example", "by its mail domain acme.example"),
        ("a@b@ACME.example", "by its mail domain acme.example"),
    ],
)
def test_a_customer_of_the_bundle_is_known_by_all_its_names(said: str, how: str) -> None:
    found = customers.find(context(), said)
    assert (found.id, found.name, found.how) == ("acme", "Acme", how)


@pytest.mark.parametrize("said", ["", "@", "acme.example@", "x@y.acme.example", "acme2", "Acme Ltd."])
def test_what_nobody_is_known_by_stays_as_it_was_said(said: str) -> None:
    found = customers.find(context(), said)
    assert (found.id, found.customer) == (said, None)


def test_the_bundle_wins_over_the_directory() -> None:
    known = {"acme": stored("acme", "Another"), "Acme": stored("other", "Acme")}
    for said in known:
        assert customers.find(context(**known), said).name == "Acme"
        assert customers.find(context(**known), said).where == "customers.acme"


def test_a_text_of_the_directory_that_leads_to_an_id_of_the_bundle_means_the_bundles() -> None:
    found = customers.find(context(old=stored("acme", "Another")), "old")
    assert found.customer is POLICY.spec.customers["acme"]


def test_a_name_of_several_means_none_of_them_and_says_so() -> None:
    found = customers.find(context(Novak=stored("n1", "Novak", "n1", "n2")), "Novak")
    assert (found.id, found.customer) == ("Novak", None)
    assert "several customers have this name (n1, n2)" in found.how
