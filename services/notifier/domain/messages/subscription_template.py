"""A message in the words of a subscription's template; in Ladder's own where there is none or it fails."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from services.notifier.domain.contacts import display_name
from services.notifier.domain.delivery import Content
from services.notifier.domain.messages.rendered import RenderedMessage, one_line, plain, preview, subject
from services.notifier.domain.messages.templates import BrokenTemplateError, names_text, render, tells_apart
from shared.events import IncidentSnapshot, public_wording
from shared.policy import Bundle
from shared.policy.templates.rendering import rendered

_NEVER_CHANGES: Final = (
    "id",
    "integration",
    "dedup_key",
    "opened_at",
)  # of an incident, beside its first title


def templated(
    default: RenderedMessage,
    word: str,
    content: Content,
    bundle: Bundle,
    own: Mapping[str, str],
    *,
    promise: str,
) -> RenderedMessage:
    """The message by the template that the notice names. `word`: what happened, if its title does not say so.

    A link stands in it only where the template has it, except the answers to a question; an update is never
    without what the person wrote.
    """
    notice = content.notice
    if notice is None or not notice.template:
        return default
    template = bundle.templates.get(notice.template)
    if template is None:
        return replace(default, note=f"template {notice.template!r} is not in the policy in force")
    incident, text = content.incident, notice.text
    names = public_wording.names(
        incident,
        notice.event,
        text=text,
        taken_by=display_name("user", incident.assignee, bundle) if incident.assignee else "",
        promise=promise,
        link=own.get("incident", ""),
    )
    try:
        title, body = render(template.title or "", template.body or "", names)
    except BrokenTemplateError as err:
        return replace(default, note=f"template {notice.template!r}: {err}")
    if notice.event == "update" and text and not names_text(template.title or "", template.body or ""):
        body = f"{text}\n\n{body}" if body else text
    headed = one_line(title)
    if headed and not tells_apart(template.title or ""):
        headed = f"{word}: {headed}"
    answers = own if notice.event == "confirm" else {}
    return replace(
        default,
        subject=_lasting(template.title or "", incident) or default.subject,
        title=headed or default.title,
        opening=body or default.opening,
        text=plain(body, "", (), answers) if body else default.text,
        preview=preview(word, body) if body else default.preview,
        description="" if body else default.description,
        facts=() if body else default.facts,
        links=own if body else default.links,
    )


def _lasting(title: str, incident: IncidentSnapshot) -> str:
    """A template's title as a subject, if it asks for nothing that may change from mail to mail; else ''."""
    fixed = {name: getattr(incident, name) for name in _NEVER_CHANGES} | {"title": subject(incident)}
    try:
        return one_line(rendered(title, fixed | {"incident": fixed}))
    except BrokenTemplateError:
        return ""
