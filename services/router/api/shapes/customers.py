"""Customers, of the policy and of the database."""

from datetime import datetime

import msgspec


class CustomerItem(msgspec.Struct, frozen=True, kw_only=True):
    """A customer. `source` is `policy` or `api`; `contacts` as a bundle writes them, secrets as `***`."""

    id: str
    name: str
    tier: str | None
    value: float | None
    owner: str | None
    match: list[str]
    contacts: dict[str, dict[str, str]]
    source: str
    changed_at: datetime | None = None
    changed_by: str = ""
    notes: list[str] = []


class CustomerList(msgspec.Struct, frozen=True, kw_only=True):
    """In the order of ids; `next` is the cursor of the following page, null on the last."""

    items: list[CustomerItem]
    next: str | None


class CustomersImported(msgspec.Struct, frozen=True, kw_only=True):
    """What an import did; with `dry_run` what it would have done."""

    lines: int
    added: int
    changed: int
    unchanged: int
    removed: int
    dry_run: bool
    notes: list[str] = []
