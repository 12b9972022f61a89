"""Finding the customer that a text names: by id, then name or `match`, then mail domain; bundle first.

Customers are live (docs/rules.md, rule 17): every incident sees those of the policy in force and the
directory as they are now. Texts are compared without regard to case.
"""

from dataclasses import dataclass
from typing import Final

from services.router.domain.model.compiled_bundle import CompiledBundle
from services.router.domain.model.context import Context
from shared.events import CustomerContact
from shared.policy.model.people import Customer
from shared.security.secret_files import is_secret

_PROGRAMS: Final = frozenset({"webhook", "inbox"})


@dataclass(frozen=True, slots=True)
class Named:
    """The customer that a text names; `id` is that text, and `customer` None, when nobody is known by it."""

    id: str
    customer: Customer | None
    how: str
    where: str = ""  # for a known one: its place in the bundle, or in the directory

    @property
    def name(self) -> str:
        return self.customer.name if self.customer is not None else self.id


def find(context: Context, said: str) -> Named:
    """The customer that this text names, and how it was understood."""
    by_id = context.live.spec.customers.get(said)
    if by_id is not None:
        return Named(said, by_id, "by its id", f"customers.{said}")
    found = in_bundle(context.live, said)
    if found is not None:
        return found
    known = context.customers.get(said)
    if known is None:
        return Named(said, None, "not a known customer")
    if known.shared_by:
        several = ", ".join(known.shared_by)
        return Named(said, None, f"several customers have this name ({several}): only an id tells them apart")
    if known.id in context.live.spec.customers:
        return _of_bundle(context.live, known.id, known.how)
    return Named(known.id, known.customer, known.how, f"directory: customer {known.id}")


def in_bundle(compiled: CompiledBundle, said: str) -> Named | None:
    """The bundle's customer that this text names; None when there is none."""
    if not said:
        return None
    bundle = compiled.spec
    if said in bundle.customers:
        return _of_bundle(compiled, said, "by its id")
    text = said.casefold()
    if text in compiled.customers:
        return _of_bundle(compiled, compiled.customers[text], f"known as {said!r}")
    if text in bundle.customers:
        return _of_bundle(compiled, text, "by its id")
    domain = mail_domain(text)
    if domain and domain in compiled.customers:
        return _of_bundle(compiled, compiled.customers[domain], f"by its mail domain {domain}")
    return None


def people(context: Context, said: str) -> tuple[CustomerContact, ...]:
    """How to reach the people of the customer that this text names.

    Addresses that only a program reads (webhooks, secrets, any URL) are not people's.
    """
    customer = find(context, said).customer
    if customer is None:
        return ()
    return tuple(
        CustomerContact(name=name, channel=contact.channel, address=contact.address)
        for name, contact in customer.contacts.items()
        if contact.channel not in _PROGRAMS
        and "://" not in contact.address
        and not is_secret(contact.address)
    )


def mail_domain(text: str) -> str:
    """What follows the last `@`; '' without one."""
    return text.rpartition("@")[2] if "@" in text else ""


def _of_bundle(compiled: CompiledBundle, customer_id: str, how: str) -> Named:
    return Named(customer_id, compiled.spec.customers[customer_id], how, f"customers.{customer_id}")
