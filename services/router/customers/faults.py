"""Faults of a customer under the policy in force: its tier, its owner, its addresses."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from services.router.domain.model.compiled_bundle import CompiledBundle
from shared.policy import Bundle, ContactSpec
from shared.policy.errors import nearest
from shared.policy.loading.addresses import address_expected
from shared.policy.model.people import Customer
from shared.security.secret_files import is_well_named, named_in

KEPT: Final = "***"  # how a secret is shown; sent back, it means: unchanged
MOST_MATCH: Final = 100
MOST_CONTACTS: Final = 20
_NAMED: Final = 12  # known names that an error lists


@dataclass(frozen=True, slots=True)
class CustomerFault:
    """One fault: where, as `("contacts", "mail", "email")`, and why, without any address."""

    path: tuple[str, ...]
    reason: str


def faults(customer: Customer, live: CompiledBundle) -> Iterator[CustomerFault]:
    """Every fault that the shape alone does not show."""
    bundle = live.spec
    if customer.tier is not None and customer.tier not in bundle.tiers:
        yield CustomerFault(("tier",), _unknown(customer.tier, "tier", bundle.tiers))
    if customer.owner is not None and customer.owner not in bundle.users:
        yield CustomerFault(("owner",), _unknown(customer.owner, "user", list(bundle.users)))
    if len(customer.match) > MOST_MATCH:
        yield CustomerFault(("match",), f"{len(customer.match)} texts: at most {MOST_MATCH}")
    if len(customer.contacts) > MOST_CONTACTS:
        yield CustomerFault(("contacts",), f"{len(customer.contacts)} contacts: at most {MOST_CONTACTS}")
    for name, contact in customer.contacts.items():
        if (expected := address_expected(contact.channel, contact.address)) is not None:
            yield CustomerFault(("contacts", name, contact.channel), f"expected {expected}")
        if contact.secret and (expected := address_expected("secret", contact.secret)) is not None:
            yield CustomerFault(("contacts", name, "secret"), f"expected {expected}")
        yield from _not_theirs(name, contact, bundle)


def _not_theirs(name: str, contact: ContactSpec, bundle: Bundle) -> Iterator[CustomerFault]:
    """Secrets belong to the policy: customers may only name those that it lists for them."""
    for part, said in ((contact.channel, contact.address), ("secret", contact.secret)):
        for secret in named_in(said):
            if is_well_named(secret) and secret not in bundle.secrets.customers:
                why = f"the secret {secret!r} is not listed under secrets.customers of the policy"
                yield CustomerFault(("contacts", name, part), why)


def _unknown(said: str, what: str, known: list[str] | tuple[str, ...]) -> str:
    near = nearest(said, known)
    listed = ", ".join(sorted(known)[:_NAMED]) + (", …" if len(known) > _NAMED else "")
    hint = f"; did you mean {near!r}?" if near else ""
    return f"{said!r} is not a {what} of the policy ({listed}){hint}"
