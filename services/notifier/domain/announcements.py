"""Announcements concern no single incident: they are processed as a change of an incident without an id.

An incident without an id is never shown, and nothing is reported about it: no router waits for that.
"""

from shared.events import Announced, IncidentChanged, IncidentSnapshot, Notice


def as_change(message: Announced) -> IncidentChanged:
    """The same message, with one notice for each recipient."""
    about_nothing = IncidentSnapshot(
        id="",
        integration="",
        dedup_key="",
        title=message.title,
        kind="",
        status="closed",
        priority=5,
        tier="",
        policy="",
        opened_at=message.at,
    )
    return IncidentChanged(
        message_id=message.message_id,
        at=message.at,
        incident=about_nothing,
        notices=tuple(
            Notice(
                notice_id=f"{message.message_id}/{number}",
                event=message.event,
                recipient=recipient,
                text=message.text,
                reason=message.reason,
                stakeholder=message.stakeholder,
                subscription=message.subscription,
            )
            for number, recipient in enumerate(message.recipients)
        ),
    )
