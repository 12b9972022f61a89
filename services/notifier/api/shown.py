"""What several of the notifier's paths share: reading rows, how a delivery is shown, refusals."""

from collections.abc import Mapping
from enum import Enum
from typing import Any, Final

from sqlalchemy import Row

from services.notifier.api.models import DeliveryState
from services.notifier.domain.delivery import without_secrets
from shared.database.pool import Database
from shared.http.problems import MEDIA_TYPE, Fault, Problem

DELIVERIES: Final[list[str | Enum]] = ["deliveries"]
NARROWER: Final = "name an `incident`, or ask for fewer at a time (`limit`)"
NOT_FOUND: Final[dict[int | str, dict[str, Any]]] = {
    404: {"description": "there is no such thing", "content": {MEDIA_TYPE: {}}}
}


async def read(database: Database, query: Any) -> list[Row[Any]]:
    """The rows, by a transaction that only reads. Raises Problem where that takes too long."""
    async with database.reading.transaction(NARROWER) as connection:
        return list(await connection.execute(query))


def no_delivery() -> Problem:
    return Problem(404, "not-found", "There is no such delivery")


def delivery_state(row: Row[Any]) -> DeliveryState:
    """As the API shows it."""
    fields = fields_of(row)
    content = fields["content"]
    about = content.get("page") or content.get("notice") or {}
    pending = fields["state"] == "pending"
    return DeliveryState.model_validate(
        {
            **fields,
            "recipient": without_secrets(fields["recipient"]),
            "reason": about.get("reason", ""),
            "next_attempt_at": fields["next_attempt_at"] if pending else None,
        }
    )


def fields_of(row: Row[Any]) -> Mapping[str, Any]:
    return dict(row._mapping)  # noqa: SLF001 - the documented way to a row's fields


def storable(field: str, value: str) -> str:
    """The text, if the database can hold it. Raises Problem."""
    if "\0" in value or any("\ud800" <= character <= "\udfff" for character in value):
        faults = [Fault(field, "NUL or a surrogate")]
        raise Problem(422, "invalid-request", "The request is not valid", faults=faults)
    return value
