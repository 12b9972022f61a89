"""Places for sends, breakers, and the secret folder: in memory and on disk, without servers."""

from dataclasses import replace
from datetime import timedelta

import pytest

from services.notifier.domain.plan import plan
from services.notifier.sending.concurrency import ConcurrencyLimits
from shared.security.secret_files import SecretMissingError, Secrets
from tests.services.notifier.building import T0, bundle, changed, page

ONE = plan(changed(page()), bundle({"ana": {"b": {"webhook": "http://a.test/one"}}}), T0).deliveries[0]
OTHER = replace(ONE, address="http://b.test/two")


def seconds(count):
    return T0 + timedelta(seconds=count)


def taken(concurrency, delivery, times, now=T0):
    return sum(concurrency.acquire(delivery, now) for _ in range(times))


def test_an_endpoint_gets_sixteen_places_and_leaves_the_rest_to_others():
    concurrency = ConcurrencyLimits({})
    assert taken(concurrency, ONE, 100) == 16
    assert concurrency.full_endpoints(T0) == ["http://a.test/one"]
    assert taken(concurrency, OTHER, 100) == 16


def test_many_endpoints_of_one_host_cannot_take_every_place():
    concurrency = ConcurrencyLimits({})
    addresses = [replace(ONE, address=f"http://a.test/{n}") for n in range(20)]
    assert sum(taken(concurrency, one, 16) for one in addresses) == 128
    assert concurrency.full_hosts() == ["a.test"]
    assert concurrency.acquire(OTHER, T0)


def test_a_place_that_somebody_may_wait_for_says_so_when_it_is_free():
    concurrency = ConcurrencyLimits({})
    taken(concurrency, ONE, 16)
    assert concurrency.release(ONE)
    assert not concurrency.release(ONE)
    assert concurrency.free == 1_024 - 14


def test_a_place_of_a_full_host_says_so_when_it_is_free():
    concurrency = ConcurrencyLimits({})
    addresses = [replace(ONE, address=f"http://a.test/{n}") for n in range(128)]
    assert all(concurrency.acquire(one, T0) for one in addresses)
    assert concurrency.release(addresses[0])
    assert not concurrency.release(addresses[1])


def test_all_places_together_are_bounded():
    concurrency = ConcurrencyLimits({}, overall=10)
    assert taken(concurrency, ONE, 16) == 10
    assert not concurrency.acquire(OTHER, T0)


def test_a_channel_may_have_another_limit():
    assert taken(ConcurrencyLimits({"webhook": 3}), ONE, 10) == 3


def test_five_failures_in_a_row_open_the_breaker_and_then_one_send_tries():
    concurrency = ConcurrencyLimits({})
    for _ in range(4):
        concurrency.failed(ONE.endpoint, T0)
    assert concurrency.acquire(ONE, T0)
    concurrency.release(ONE)
    concurrency.failed(ONE.endpoint, T0)
    assert not concurrency.acquire(ONE, seconds(4.9))
    assert concurrency.full_endpoints(seconds(4.9)) == [ONE.endpoint]
    assert taken(concurrency, ONE, 5, seconds(5.1)) == 1


def test_an_endpoint_that_fails_its_trial_rests_longer_up_to_half_a_minute():
    concurrency, now, rests = ConcurrencyLimits({}), T0, []
    for _ in range(5):
        concurrency.failed(ONE.endpoint, now)
    for _ in range(5):
        until = concurrency.open_breakers(now)[ONE.endpoint]
        rests.append((until - now).total_seconds())
        now = until + timedelta(seconds=0.1)
        concurrency.failed(ONE.endpoint, now)
    assert rests == [5, 10, 20, 30, 30]


def test_one_success_closes_the_breaker():
    concurrency = ConcurrencyLimits({})
    for _ in range(5):
        concurrency.failed(ONE.endpoint, T0)
    concurrency.answered(ONE.endpoint)
    assert taken(concurrency, ONE, 20) == 16


def test_an_endpoint_is_an_address_of_a_webhook_and_the_provider_of_anything_else():
    assert ONE.endpoint == "http://a.test/one"
    assert replace(ONE, channel="email", address="ana@example.com").endpoint == "email"


@pytest.mark.parametrize("address", ["http://[", "", "secret:hook"])
def test_an_address_that_is_no_url_still_has_a_host(address):
    assert replace(ONE, address=address).host == "webhook"


def test_a_secret_is_read_when_it_is_used(tmp_path):
    secrets = Secrets(tmp_path)
    (tmp_path / "ana-hook").write_text("whsec_one\n")
    assert secrets.revealed("secret:ana-hook") == "whsec_one"
    (tmp_path / "ana-hook").write_text("whsec_two\n")
    assert secrets.revealed("secret:ana-hook") == "whsec_two"
    assert secrets.revealed("plain") == "plain"


@pytest.mark.parametrize("name", ["missing", "../etc/passwd", "", ".", "a/b", "a\0b"])
def test_a_secret_that_cannot_be_read_says_which(tmp_path, name):
    with pytest.raises(SecretMissingError):
        Secrets(tmp_path / "folder").revealed(f"secret:{name}")


def test_without_a_folder_there_are_no_secrets():
    with pytest.raises(SecretMissingError, match="LADDER_SECRETS_DIR"):
        Secrets(None).revealed("secret:ana-hook")


def test_every_fourth_claim_looks_past_endpoints_that_are_busy():
    concurrency = ConcurrencyLimits({})
    assert [concurrency.passed_over(T0) for _ in range(4)] == [[([], [])]] * 4
    concurrency.acquire(ONE, T0)
    *looks, past = [concurrency.passed_over(T0) for _ in range(4)]
    assert looks == [[([], [])]] * 3
    assert past == [(["http://a.test/one"], ["a.test"]), ([], [])]
