"""One message that stands for several: the most pressing first, ten lines at most, and where all of them are.

Somebody outside reads no more of each than its own message would show as its title.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from msgspec import structs

from services.notifier.domain.delivery import OUTSIDE, Content, Delivery
from services.notifier.domain.dispatch import NOT_READ, Dispatch
from services.notifier.domain.messages.rendered import (
    RenderedMessage,
    for_whom,
    heading,
    link_name,
    one_line,
    preview,
)
from services.notifier.domain.messages.times import relative
from shared.events import ONE_INCIDENT

LISTED: Final = 10
_LONGEST_LINE: Final = 160
Render = Callable[[Delivery], RenderedMessage]
"""The message that one delivery would be alone."""


def readable(dispatch: Dispatch) -> list[Delivery]:
    """Those that can be listed: of each incident the newest page, or else the newest notice; pages first."""
    newest: dict[tuple[bool, str], Delivery] = {}
    for one in dispatch.members:
        key = one.is_page, _about(one)
        if one.content is not NOT_READ and (key not in newest or newest[key].version < one.version):
            newest[key] = one
    paged = {about for is_page, about in newest if is_page}
    kept = [one for (is_page, about), one in newest.items() if is_page or about not in paged]
    return sorted(kept, key=lambda one: one.rank)[:LISTED]


def listing_of(dispatch: Dispatch, listed: Sequence[Delivery]) -> Delivery:
    """A delivery about no single incident that stands for all of them, as loud as the most pressing."""
    first = listed[0]
    shown, page, notice = first.content.incident, first.content.page, first.content.notice
    about = structs.replace(NOT_READ.incident, title=shown.title, priority=shown.priority)
    if page is not None:
        page = structs.replace(page, page_id="")
    if notice is not None:
        one = notice.subscription == ONE_INCIDENT
        subscription = "" if one else notice.subscription
        notice = structs.replace(notice, notice_id=dispatch.id, template="", subscription=subscription)
    content = Content(at=first.content.at, incident=about, page=page, notice=notice)
    return replace(first, id=dispatch.id, incident_id="", page_id="", notice_id=dispatch.id, content=content)


def render(
    dispatch: Dispatch,
    listed: Sequence[Delivery],
    alone: Render,
    links: Mapping[str, str],
    now: datetime,
) -> RenderedMessage:
    """The message; `listed` are `readable` of it, `alone` renders one of them, `links` are Ladder's own."""
    first = listed[0]
    pages = {_about(one) for one in dispatch.members if one.is_page}
    news = {_about(one) for one in dispatch.members} - pages
    outside = first.recipient_kind == "customer" or first.rank >= OUTSIDE
    lines = [_line(one, alone, now, outside=outside) for one in listed]
    more = len(pages) + len(news) - len(lines)
    opening = _opening(len(pages), len(news), outside=outside)
    title = _head(first, alone, outside=outside)
    if len(pages) + len(news) > 1:
        title = f"{title}, and {len(pages) + len(news) - 1:,} more"
    facts = [(f"{number}.", line) for number, line in enumerate(lines, 1)]
    if more > 0:
        facts.append(("and", f"{more:,} more"))
    parts = [opening, "\n".join(f"{label} {line}" for label, line in facts)]
    parts.append("\n".join(f"{link_name(name)}: {link}" for name, link in links.items()))
    return RenderedMessage(
        event=first.event,
        subject=title,
        title=title,
        opening=opening,
        text="\n\n".join(part for part in parts if part),
        preview=preview("", opening),
        begins=True,
        facts=tuple(facts),
        links=links,
        stakeholder=first.rank >= OUTSIDE,
    )


def with_news(message: RenderedMessage, others: Sequence[RenderedMessage]) -> RenderedMessage:
    """A message about one incident, and what else there is to say about it."""
    said = [other.opening for other in others if other.opening and other.opening != message.opening]
    if not said:
        return message
    news = "\n\n".join(dict.fromkeys(said))
    text, opening = message.text, message.opening
    text = text.replace(opening, f"{opening}\n\n{news}", 1) if opening in text else f"{text}\n\n{news}"
    return replace(message, text=text, opening=f"{opening}\n\n{news}")


def _opening(pages: int, news: int, *, outside: bool) -> str:
    said = []
    if pages:
        asked = "You are asked to look at" if outside else "You are asked to take"
        said.append(f"{asked} {_incidents(pages)}.")
    if news:
        said.append(f"There is {'also ' if pages else ''}news of {_incidents(news)}.")
    return " ".join(said)


def _incidents(count: int) -> str:
    return f"{count:,} incidents" if count > 1 else "one incident"


def _head(first: Delivery, alone: Render, *, outside: bool) -> str:
    if first.is_page and not outside:
        return heading(first.content.incident)
    return alone(first).title


def _line(one: Delivery, alone: Render, now: datetime, *, outside: bool) -> str:
    head = _head(one, alone, outside=outside)
    page = one.content.page
    if outside or page is None:
        return one_line(head, _LONGEST_LINE)
    about = f" – {for_whom(one.content.incident)}, {relative(page.since, now)}"
    return one_line(head, _LONGEST_LINE - len(about)) + about


def _about(delivery: Delivery) -> str:
    return delivery.incident_id or delivery.id
