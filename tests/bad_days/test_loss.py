"""The loss checker finds what is planted, and nothing where all is well."""

from dataclasses import dataclass, field, replace

import pytest

from tests.bad_days.loss import (
    Account,
    Arrival,
    Attempt,
    Held,
    HeldDelivery,
    HeldIncident,
    HeldLetter,
    Verdict,
    compare,
)


@dataclass
class Night:
    """A night on which two problems were posted and all went well; each test spoils one thing."""

    told: list[Attempt] = field(default_factory=lambda: [Attempt("a", "accepted"), Attempt("b", "accepted")])
    incidents: list[HeldIncident] = field(
        default_factory=lambda: [HeldIncident("i-a", "a"), HeldIncident("i-b", "b")]
    )
    deliveries: list[HeldDelivery] = field(
        default_factory=lambda: [
            HeldDelivery("d-a", "p-a", "i-a", "ana", "sent"),
            HeldDelivery("d-b", "p-b", "i-b", "ana", "sent"),
        ]
    )
    letters: list[HeldLetter] = field(default_factory=list)
    received: list[Arrival] = field(
        default_factory=lambda: [
            Arrival("d-a", "p-a", "i-a", "ana", "desk"),
            Arrival("d-b", "p-b", "i-b", "ana", "desk"),
        ]
    )

    def verdicts(self, recipients_per_incident: int = 1) -> list[Verdict]:
        return [finding.verdict for finding in self.account(recipients_per_incident).findings]

    def account(self, recipients_per_incident: int = 1) -> Account:
        return compare(
            self.told,
            Held(self.incidents, self.deliveries, self.letters),
            self.received,
            recipients_per_incident=recipients_per_incident,
        )


@pytest.fixture
def night() -> Night:
    return Night()


def test_a_good_night_has_no_findings(night: Night) -> None:
    account = night.account()
    assert account.clean
    assert (account.accepted, account.incidents, account.pages, account.redelivered) == (2, 2, 2, 0)


def test_an_accepted_post_without_an_incident_is_forgotten(night: Night) -> None:
    night.told.append(Attempt("c", "accepted"))
    assert night.verdicts() == [Verdict.FORGOTTEN]


def test_a_retry_that_was_accepted_after_an_unknown_counts_as_accepted(night: Night) -> None:
    night.told += [Attempt("c", "unknown"), Attempt("c", "accepted")]
    assert night.verdicts() == [Verdict.FORGOTTEN]


def test_an_accepted_post_in_the_dead_letters_is_set_aside_not_forgotten(night: Night) -> None:
    night.told.append(Attempt("c", "accepted"))
    night.letters.append(HeldLetter("demo:c", "unreadable"))
    assert night.verdicts() == [Verdict.SET_ASIDE]


def test_two_incidents_for_one_key_are_found(night: Night) -> None:
    night.incidents.append(HeldIncident("i-a2", "a"))
    night.received.append(Arrival("d-a2", "p-a2", "i-a2", "ana", "desk"))
    assert night.verdicts() == [Verdict.OPENED_TWICE]


def test_an_unknown_outcome_may_have_an_incident_or_none(night: Night) -> None:
    night.told += [Attempt("c", "unknown"), Attempt("d", "unknown")]
    night.incidents.append(HeldIncident("i-c", "c"))
    night.received.append(Arrival("d-c", "p-c", "i-c", "ana", "desk"))
    assert night.verdicts() == []


@pytest.mark.parametrize("told", [[Attempt("c", "refused")], []], ids=["refused", "never posted"])
def test_an_incident_that_nobody_asked_for_is_found(night: Night, told: list[Attempt]) -> None:
    night.told += told
    night.incidents.append(HeldIncident("i-c", "c"))
    night.received.append(Arrival("d-c", "p-c", "i-c", "ana", "desk"))
    assert night.verdicts() == [Verdict.UNASKED]


def test_an_incident_whose_page_never_arrived_has_lost_it(night: Night) -> None:
    night.deliveries.pop()
    night.received.pop()
    assert night.verdicts() == [Verdict.PAGE_LOST]


def test_a_page_that_reached_one_of_two_expected_recipients_is_lost(night: Night) -> None:
    night.received.append(Arrival("d-a2", "p-a2", "i-a", "petra", "desk"))
    assert night.verdicts(recipients_per_incident=2) == [Verdict.PAGE_LOST]


def test_a_row_that_claims_to_be_sent_is_not_believed(night: Night) -> None:
    night.deliveries.append(HeldDelivery("d-x", "p-x", "i-a", "petra", "sent"))
    assert night.verdicts() == [Verdict.SENT_ONLY_IN_ROWS]


@pytest.mark.parametrize("state", ["pending", "sending"])
def test_a_delivery_that_still_waits_is_found(night: Night, state: str) -> None:
    night.deliveries.append(HeldDelivery("d-x", "p-x", "i-a", "petra", state))
    assert night.verdicts() == [Verdict.UNSENT]


@pytest.mark.parametrize("state", ["cancelled", "failed"])
def test_a_delivery_that_was_given_up_is_no_loss_of_its_own(night: Night, state: str) -> None:
    night.deliveries.append(HeldDelivery("d-x", "p-x", "i-a", "petra", state))
    assert night.verdicts() == []


def test_one_page_in_two_deliveries_is_a_double(night: Night) -> None:
    night.received.append(replace(night.received[0], webhook_id="d-a-again"))
    assert night.verdicts() == [Verdict.PAGE_DOUBLED]


def test_the_same_webhook_id_again_is_a_permitted_redelivery(night: Night) -> None:
    night.received.append(night.received[0])
    account = night.account()
    assert account.clean
    assert account.redelivered == 1


def test_two_pages_to_one_person_for_one_level_are_found(night: Night) -> None:
    night.received.append(Arrival("d-a2", "p-a2", "i-a", "ana", "desk"))
    assert night.verdicts() == [Verdict.PAGED_TWICE]


def test_the_last_rung_may_page_the_same_person_again(night: Night) -> None:
    night.received += [
        Arrival("d-f1", "p-f1", "i-a", "karel", "finally"),
        Arrival("d-f2", "p-f2", "i-a", "karel", "finally"),
    ]
    assert night.verdicts() == []


def test_a_page_about_no_known_incident_is_found(night: Night) -> None:
    night.received.append(Arrival("d-z", "p-z", "i-z", "ana", "desk"))
    assert night.verdicts() == [Verdict.PAGED_FOR_NOTHING]


def test_the_account_names_what_it_found(night: Night) -> None:
    night.told.append(Attempt("c", "accepted"))
    assert str(night.account()).splitlines() == [
        "3 accepted, 2 incidents, 2 pages at the sink, 0 redelivered, 1 findings",
        "  1 × FORGOTTEN",
        "  - forgotten (accepted, but there is no incident): c",
    ]
