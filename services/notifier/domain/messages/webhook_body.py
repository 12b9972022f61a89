"""The body of an outgoing webhook: `{"type", "timestamp", "data"}`, under 20 KB (Standard Webhooks)."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

import msgspec

from services.notifier.domain.delivery import Delivery, DigestEntry
from services.notifier.domain.messages.digests import shown_earlier
from services.notifier.domain.messages.rendered import OWN_LINKS, RenderedMessage
from services.notifier.domain.messages.times import rfc3339
from shared.events import CUSTOMERS_OWN, IncidentSnapshot, Notice
from shared.json_object import JsonObject

LARGEST: Final = 19_500
_SHORTEST_DESCRIPTION: Final = 500
_LONGEST_LISTED: Final = 300
_SPARE: Final = 64  # bytes for the ellipsis and for `cut`
# What somebody outside may see of an incident; the rest may name people, machines and reasons.
PUBLIC_FIELDS: Final = frozenset(
    {
        "id",
        "integration",
        "dedup_key",
        "title",
        "kind",
        "status",
        "priority",
        "tier",
        "customer",
        "customer_name",
        "service",
        "reopened",
        "opened_at",
        "acknowledged_at",
        "resolved_at",
        "closed_at",
        "version",
    }
)


def webhook_body(delivery: Delivery, rendered: RenderedMessage, now: datetime) -> bytes:
    """The JSON body, as it is signed and sent."""
    content = delivery.content
    outside = rendered.stakeholder or delivery.recipient_kind == "customer"
    contents: JsonObject = {
        "incident": _incident(content.incident, delivery.recipient_kind, public=outside),
        "recipient": {"kind": delivery.recipient_kind, "name": delivery.recipient},
        "title": rendered.title,
        "text": rendered.text,
        "links": dict(rendered.links),
    }
    if not outside:
        contents["recipient"]["contact"] = delivery.contact
        contents["labels"] = dict(rendered.labels)
    if content.digest is not None and content.notice is not None:
        contents["incidents"] = [_listed(entry, content.notice) for entry in content.digest.entries]
        contents["count"] = content.digest.incidents
    if content.page is not None:
        page = content.page
        contents["page"] = {
            "id": page.page_id,
            "level": "" if outside else page.level,
            "through": page.through,
            "round": page.round,
            "reason": page.reason,
            "since": rfc3339(page.since),
            "act_by": rfc3339(page.act_by) if page.act_by else None,
            "otherwise": page.otherwise,
        }
    if content.notice is not None:
        contents["notice"] = {"id": content.notice.notice_id, "text": content.notice.text}
        if not outside:
            contents["notice"]["reason"] = content.notice.reason
    return _fitted({"type": delivery.event, "timestamp": rfc3339(now), "data": contents})


def _listed(entry: DigestEntry, notice: Notice) -> JsonObject:
    """One incident of a digest, as everybody may see it: its newest message, and what came before."""
    newest = entry.newest
    assert newest.notice is not None
    earlier = shown_earlier(entry, notice)
    return {
        "incident": _incident(newest.incident, "", public=True),
        "event": newest.notice.event,
        "at": rfc3339(newest.at),
        "text": newest.notice.text[:_LONGEST_LISTED],
        "earlier": [
            {"event": each.event, "at": rfc3339(each.at), "text": each.text[:_LONGEST_LISTED]}
            for each in earlier
        ],
    }


def _incident(incident: IncidentSnapshot, kind: str, *, public: bool) -> JsonObject:
    """Its fields; who the customer's people are is for users and rooms of the policy only."""
    if not incident.id:
        return {}
    fields: JsonObject = msgspec.to_builtins(incident)
    if kind not in ("user", "team"):
        fields = {name: value for name, value in fields.items() if name not in CUSTOMERS_OWN}
    if not public:
        return fields
    return {name: value for name, value in fields.items() if name in PUBLIC_FIELDS}


def _fitted(body: JsonObject) -> bytes:
    """The encoded body; what is longest is cut first, and `data.cut` says what is missing."""
    encoded = msgspec.json.encode(body)
    contents = body["data"]
    for name, cut in _CUTS:
        if len(encoded) <= LARGEST:
            break
        cut(contents, len(encoded) - LARGEST)
        contents.setdefault("cut", []).append(name)
        encoded = msgspec.json.encode(body)
    return encoded


def _cut_description(contents: JsonObject, over: int) -> None:
    """By no more than it must be; it stands in the text, too."""
    incident = contents["incident"]
    whole = incident.get("description", "")
    if len(whole) <= _SHORTEST_DESCRIPTION:
        return
    places = 2 if whole.strip() in contents["text"] else 1
    room = len(msgspec.json.encode(whole)) - over // places - _SPARE
    kept = whole
    while len(kept) > _SHORTEST_DESCRIPTION and (size := len(msgspec.json.encode(kept))) > room:
        kept = kept[: max(_SHORTEST_DESCRIPTION, min(len(kept) - 1, len(kept) * room // size))]
    incident["description"] = kept + "…"
    contents["text"] = contents["text"].replace(whole.strip(), incident["description"].strip())


def _emptied(field: str, empty: Any) -> Callable[[JsonObject, int], None]:
    def cut(contents: JsonObject, _over: int) -> None:
        if field in contents["incident"]:
            contents["incident"][field] = empty

    return cut


def _cut_links(contents: JsonObject, _over: int) -> None:
    """Those that came with the event."""
    if "links" in contents["incident"]:
        contents["incident"]["links"] = []
    contents["links"] = {name: link for name, link in contents["links"].items() if name in OWN_LINKS}


def _cut_texts(contents: JsonObject, _over: int) -> None:
    contents["text"] = contents["text"][:1_500]
    contents["title"] = contents["title"][:200]
    for part in (contents.get("page"), contents.get("notice")):
        _shorten(part, 500)


def _cut_listed(contents: JsonObject, _over: int) -> None:
    """Of the incidents of a digest what came before their newest state."""
    for each in contents.get("incidents", ()):
        each["earlier"] = []
        _shorten(each["incident"], 100)


def _cut_everything_long(contents: JsonObject, _over: int) -> None:
    _shorten(contents["incident"], 200)
    _shorten(contents.get("page"), 200)
    _shorten(contents.get("notice"), 200)
    contents["incident"]["clocks"] = []
    contents["labels"] = {}


def _shorten(part: JsonObject | None, longest: int) -> None:
    for name, value in (part or {}).items():
        if isinstance(value, str) and len(value) > longest and part is not None and name != "id":
            part[name] = value[:longest] + "…"


_CUTS: Final[tuple[tuple[str, Callable[[JsonObject, int], None]], ...]] = (
    ("description", _cut_description),
    ("attributes", _emptied("attributes", {})),
    ("labels", _emptied("labels", {})),
    ("links", _cut_links),
    ("text", _cut_texts),
    ("incidents", _cut_listed),
    ("fields", _cut_everything_long),
)
