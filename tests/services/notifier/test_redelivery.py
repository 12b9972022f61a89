"""Sending once more by hand: what goes again, to where, and what is refused with what to do."""

from dataclasses import replace

import pytest

from services.notifier.domain.plan import plan
from services.notifier.domain.redelivery import Standing, due_again, refusal, with_present_contact
from tests.services.notifier.building import T0, address, bundle, changed, notice, page

POLICY = bundle({"ana": {"bot": {"webhook": "http://a.test/one"}}})
PAGE = plan(changed(page()), POLICY, T0).deliveries[0]
NOTICE = plan(changed(notices=[notice()]), POLICY, T0).deliveries[0]
TAKEN = {"settled": True, "settled_why": "taken", "settled_by": "user:petra"}


def refused(delivery, standing, policy=POLICY):
    found = refusal(delivery, with_present_contact(delivery, policy), standing)
    return "" if found is None else found.kind


@pytest.mark.parametrize("state", ["failed", "sent", "delivered", "pending"])
def test_what_is_still_wanted_goes_again(state):
    assert refused(PAGE, Standing(state)) == ""
    assert refused(NOTICE, Standing(state)) == ""


@pytest.mark.parametrize(
    ("delivery", "standing", "why"),
    [
        (PAGE, Standing("sending"), "delivery-under-way"),
        (PAGE, Standing("pending", waits_for_others=True), "delivery-waits"),
        (PAGE, Standing("cancelled", **TAKEN), "page-settled"),
        (PAGE, Standing("failed", **TAKEN), "page-settled"),
        (NOTICE, Standing("failed", **TAKEN), ""),  # to be told is not over with the page
        (NOTICE, Standing("cancelled"), ""),
        (PAGE, Standing("cancelled", superseded_by="page-2"), "page-superseded"),
        (PAGE, Standing("failed", disabled_because="HTTP 410"), "endpoint-disabled"),
    ],
)
def test_what_does_not_go_again_says_why(delivery, standing, why):
    assert refused(delivery, standing) == why


def test_a_disabled_endpoint_says_how_it_is_enabled_without_its_address():
    found = refusal(PAGE, PAGE, Standing("failed", disabled_because="HTTP 410: the endpoint is gone"))
    assert found is not None
    assert f"ladder deliveries enable {PAGE.id}" in found.detail
    assert "a.test" not in found.detail


def test_it_goes_to_where_its_contact_leads_now():
    mended = bundle({"ana": {"bot": {"webhook": "http://b.test/two"}}})
    present = with_present_contact(PAGE, mended)
    assert present == replace(PAGE, address="http://b.test/two")
    assert refused(PAGE, Standing("failed"), bundle({"ana": {"other": {"webhook": "http://b.test/"}}})) == (
        "contact-gone"
    )
    assert refused(PAGE, Standing("failed"), bundle({"petra": {"bot": {"webhook": "http://b.test/"}}})) == (
        "contact-gone"
    )


def test_an_address_that_came_with_the_message_stays():
    told = plan(changed(notices=[notice(recipient=address("http://c.test/x"))]), POLICY, T0).deliveries[0]
    assert with_present_contact(told, bundle({"petra": {"bot": {"webhook": "http://b.test/"}}})) == told


def test_it_is_due_at_once_and_has_as_much_time_as_a_new_one():
    late = PAGE.give_up_at.replace(day=9)
    again = due_again(PAGE, late)
    assert again.next_attempt_at == late
    assert (again.give_up_at - late).total_seconds() == 3600
