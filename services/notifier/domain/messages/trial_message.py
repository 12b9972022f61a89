"""What a test page says: that nothing is wrong, who asked for it, and what is still to come."""

from collections.abc import Mapping
from datetime import datetime

from services.notifier.domain.contacts import actor_name
from services.notifier.domain.delivery import Delivery
from services.notifier.domain.messages.rendered import RenderedMessage, in_lines, one_line, plain, preview
from services.notifier.domain.messages.times import both
from shared.events import Page
from shared.policy import Bundle


def render(
    delivery: Delivery, page: Page, bundle: Bundle, links: Mapping[str, str], now: datetime, *, zone: str
) -> RenderedMessage:
    """The message of one step."""
    content = delivery.content
    title = one_line(content.incident.title)
    opening = (
        f"This is only a test of how you are paged, asked for by {actor_name(content.actor, bundle)}. "
        "Nothing is wrong, and nothing has to be done."
    )
    facts = in_lines(
        [
            ("Sent to", f"contact {delivery.contact} ({delivery.channel})"),
            ("Why you", page.reason),
            ("Asked for", both(page.since, now, zone)),
            (
                "Still to come",
                "nothing: this is the last step" if not delivery.later else "later steps, unless you end it",
            ),
        ]
    )
    return RenderedMessage(
        event=delivery.event,
        subject=title,
        title=title,
        opening=opening,
        text=plain(opening, "", facts, links),
        preview=preview("Test", opening),
        begins=True,
        facts=facts,
        links=links,
        reason=page.reason,
    )
