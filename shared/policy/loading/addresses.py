"""Addresses, secrets and keys of a bundle: whether each can be what it is to be, without using it."""

from collections.abc import Iterator, Mapping

from shared.policy.errors import Finding, Path, shown
from shared.policy.model.addresses import expected
from shared.policy.model.integrations import Integration
from shared.policy.model.people import ContactSpec
from shared.security.secret_files import is_secret, is_well_named


def check_contacts(contacts: Mapping[str, ContactSpec], path: Path) -> Iterator[Finding]:
    for name, contact in contacts.items():
        place = (*path, "contacts", name)
        yield from check_address(contact.channel, contact.address, (*place, contact.channel))
        yield from check_address("secret", contact.secret or "", (*place, "secret"))


def check_integration(integration: Integration, path: Path) -> Iterator[Finding]:
    """Who may post has to be said, and secrets have to be named well."""
    if not integration.lets_in:
        instead = "a `signature`, or `confirm: sns` with `topics`, can stand in their place"
        yield Finding((*path, "keys"), "nothing", f"'keys', which is required: {instead}", at_key=True)
    yield from check_address("secret", integration.signing_secret or "", (*path, "signing_secret"))
    secrets = integration.signature.secret if integration.signature else ()
    for number, secret in enumerate(secrets):
        place = (*path, "signature", "secret")
        yield from check_address("secret", secret, place if len(secrets) == 1 else (*place, number))


def check_address(channel: str, address: str, path: Path) -> Iterator[Finding]:
    if (wanted := address_expected(channel, address)) is not None:
        yield Finding(path, shown(address), wanted)


def address_expected(channel: str, address: str) -> str | None:
    """What an address of this channel should be; None: it is, as far as can be seen without using it."""
    if is_secret(address):
        return None if is_well_named(address) else "secret:NAME, NAME being a file of the secret folder"
    if channel == "secret" or not address:
        return None
    wanted = expected(channel, address)
    return wanted and f"{wanted}, or secret:NAME"
