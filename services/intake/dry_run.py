"""Reading a post as intake would, without accepting it: for trying out a mapping."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from services.intake.admission.integrations import annotated, shown_headers
from services.intake.admission.signatures import Signing
from services.intake.formats import FORMATS, Post, Refused, cloudevents
from services.intake.mapping.transform import Transform
from shared.events import IncidentEvent
from shared.http.problems import Problem
from shared.policy import Bundle
from shared.policy.cel.explanations import suggestion

_LINES: Final = "application/x-ndjson"


def read_post(
    bundle: Bundle, integration: str, body: bytes, headers: Mapping[str, str], now: datetime
) -> tuple[Sequence[IncidentEvent], int]:
    """The events of a post to this integration, and how many its `ignore` drops.

    Signatures and keys are not checked. Raises Problem 404 for an integration that the policy lacks, and 422
    for what intake would refuse, in the same words.
    """
    known = bundle.integrations.get(integration)
    if known is None:
        why = f"{integration!r} is not among its integrations{suggestion(integration, bundle.integrations)}"
        raise Problem(404, "no-such-integration", "The policy has no integration of this name", why)
    raw = {
        name.lower().encode("latin-1", "replace"): value.encode("utf-8", "replace")
        for name, value in headers.items()
    }
    is_cloudevent = known.kind == "native" and cloudevents.is_cloudevent(raw)
    form = FORMATS["cloudevents" if is_cloudevent else known.kind]
    signing = Signing.of(known)
    shown = shown_headers(raw, "", signing.header if signing else "")
    content_type = shown.get("content-type", "")
    post = Post(
        integration,
        now,
        lines=known.kind == "native" and content_type.startswith(_LINES),
        content_type=content_type,
        about=cloudevents.attributes_in(raw) if form.kind == "cloudevents" else None,
        headers=shown,
    )
    if len(body) > form.longest_body:
        raise Problem(413, "too-large", "The body is larger than intake takes")
    read = form.read(body, post)
    if isinstance(read, Refused):
        raise Problem(422, "invalid-event", "The event cannot be accepted", faults=read.faults)
    transformed = Transform.of(known).apply(read, post, loose=form.loose)
    if transformed.faults:
        raise Problem(422, "invalid-event", "The event cannot be accepted", faults=transformed.faults)
    return [annotated(bundle, event) for event in transformed.events], transformed.ignored
