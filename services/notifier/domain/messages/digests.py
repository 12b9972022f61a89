"""A digest: several incidents in one message, each in the words that its newest message would have.

A template of the subscription words each incident. Whoever is outside reads of each what their own messages
would have shown, and nothing more.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final

from services.notifier.domain.delivery import Digest, DigestEntry, Earlier
from services.notifier.domain.messages import external_notices, internal_notices
from services.notifier.domain.messages.rendered import (
    RenderedMessage,
    for_whom,
    one_line,
    plain,
    preview,
)
from services.notifier.domain.messages.times import clock_time, local
from shared.events import IncidentSnapshot, Notice
from shared.policy import Bundle

_LONGEST_TITLE: Final = 200
_LONGEST_OPENING: Final = 500
_LONGEST_BEFORE: Final = 200
_MOST_BEFORE: Final = 5
_LONGEST_NAME: Final = 60
_OPEN: Final = frozenset({"triggered", "acknowledged"})


def render(
    digest: Digest,
    notice: Notice,
    bundle: Bundle,
    links: Mapping[str, str],
    now: datetime,
    *,
    zone: str,
) -> RenderedMessage:
    """The message; `links` are the pages of its incidents, by their ids."""
    made = [_of_one(entry, bundle, links, now, zone=zone) for entry in digest.entries]
    title = made[0].title if len(made) == digest.incidents == 1 else _count(digest)
    opening = f"What happened since {local(digest.since, zone)}:"
    parts = [
        "\n".join(_lines(entry, one, notice, zone)) for entry, one in zip(digest.entries, made, strict=True)
    ]
    if (more := digest.incidents - len(made)) > 0:
        parts.append(f"and {more:,} more incident{'' if more == 1 else 's'}, not listed here")
    if notice.reason and not notice.stakeholder:
        parts.append(f"Why you: {one_line(notice.reason)}")  # not above the list that the opening announces
    shown = {} if notice.template else _named(digest, links)
    description = "\n\n".join(parts)
    return RenderedMessage(
        event=notice.event,
        subject=title,
        title=title,
        opening=opening,
        text=plain(opening, description, (), shown),
        preview=preview("", f"{title}. {made[0].preview}"),
        begins=True,
        description=description,
        links=shown,
        reason=notice.reason,
        stakeholder=notice.stakeholder,
        note=next((one.note for one in made if one.note), ""),
    )


def _of_one(
    entry: DigestEntry, bundle: Bundle, links: Mapping[str, str], now: datetime, *, zone: str
) -> RenderedMessage:
    newest, link = entry.newest, links.get(entry.newest.incident.id, "")
    notice = newest.notice
    assert notice is not None
    render_notice = external_notices.render if notice.stakeholder else internal_notices.render
    return render_notice(newest, notice, bundle, {"incident": link} if link else {}, now, zone=zone)


def _count(digest: Digest) -> str:
    """`3 incidents: 2 resolved, 1 open`; of more than are listed only how many they are."""
    listed = [entry.newest.incident for entry in digest.entries]
    if digest.incidents > len(listed):
        return f"{digest.incidents:,} incidents"
    open_now = sum(each.status in _OPEN for each in listed)
    over = len(listed) - open_now
    told = [f"{over} resolved"] * bool(over) + [f"{open_now} open"] * bool(open_now)
    return f"{len(listed)} incident{'' if len(listed) == 1 else 's'}: {', '.join(told)}"


def _lines(entry: DigestEntry, made: RenderedMessage, notice: Notice, zone: str) -> Iterator[str]:
    """One incident: its title and state, what is to say of it, and what came before."""
    incident = entry.newest.incident
    yield f"• {one_line(made.title, _LONGEST_TITLE)}"
    opening = made.opening.strip()
    if opening and notice.template:
        yield from (f"  {line}".rstrip() for line in _cut(opening).split("\n"))
    elif opening:
        yield f"  {one_line(opening, _LONGEST_OPENING)}"
    if not notice.template:
        yield f"  {_about(incident, notice, zone)}"
    for each in shown_earlier(entry, notice)[-_MOST_BEFORE:]:
        yield f"  {clock_time(each.at, zone)} {_before(each, notice)}"


def _about(incident: IncidentSnapshot, notice: Notice, zone: str) -> str:
    opened = f"opened {local(incident.opened_at, zone)}"
    return opened[:1].upper() + opened[1:] if notice.stakeholder else f"For {for_whom(incident)}, {opened}"


def shown_earlier(entry: DigestEntry, notice: Notice) -> Sequence[Earlier]:
    """What happened earlier; where a template decides what is shown, only what a person wrote for them."""
    return [each for each in entry.earlier if not notice.template or each.event == "update"]


def _before(each: Earlier, notice: Notice) -> str:
    word = (external_notices if notice.stakeholder else internal_notices).word(each.event)
    return one_line(f"{word}: {each.text}" if each.text else word, _LONGEST_BEFORE)


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST_OPENING * 2 else text[: _LONGEST_OPENING * 2 - 1] + "…"


def _named(digest: Digest, links: Mapping[str, str]) -> Mapping[str, str]:
    """The pages by what people read: a number, since two may have one title, and the title."""
    found = {}
    for number, entry in enumerate(digest.entries, 1):
        incident = entry.newest.incident
        if incident.id in links:
            found[f"{number}. {one_line(incident.title, _LONGEST_NAME)}"] = links[incident.id]
    return found
