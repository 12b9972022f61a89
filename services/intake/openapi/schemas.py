"""The bodies and answers that OpenAPI's description of intake's paths names."""

import msgspec

from services.intake.formats.contract import DESCRIPTION_LENGTH, TITLE_LENGTH
from services.intake.formats.native import BATCH, NativeEvent
from services.intake.openapi.alerts import alert_schemas
from services.intake.openapi.heartbeats import BEAT_SCHEMAS
from services.intake.openapi.parts import named, object_of, text_of
from shared.json_object import JsonObject


def _foreign_schemas() -> JsonObject:
    """Bodies of other systems: what is read of them. Nothing else in them is looked at, little is refused."""
    payload = {
        "summary": text_of(description=f"Cut to {TITLE_LENGTH} characters."),
        "source": text_of(),
        "severity": text_of(description="critical, error, warning, info; anything else is read as error."),
        "timestamp": text_of(description="ISO 8601; one that cannot be read is noted."),
        "component": text_of(),
        "group": text_of(),
        "class": text_of(),
        "custom_details": {
            "description": "Usually an object; anything else is kept as `details`. A repeat's replace these."
        },
    }
    texts = {"type": "object", "additionalProperties": {"type": "string"}}
    alert = object_of(
        status=text_of(description="firing or resolved"),
        labels=texts,
        annotations=texts
        | {"description": f"summary, description (cut to {DESCRIPTION_LENGTH} characters), *_url"},
        startsAt=text_of(),
        endsAt=text_of(),
        generatorURL=text_of(),
        fingerprint=text_of(description="Computed from the labels when missing."),
    )
    return {
        "PagerDutyEvent": object_of(
            ("routing_key", "event_action"),
            routing_key=text_of(),
            event_action=text_of(enum=["trigger", "acknowledge", "resolve"]),
            dedup_key=text_of(description="Needed to acknowledge and resolve; made when a trigger has none."),
            payload=object_of(("summary", "source", "severity"), **payload),
            client=text_of(),
            client_url=text_of(),
            links={"type": "array", "items": object_of(href=text_of(), text=text_of())},
            images={"type": "array", "items": object_of(src=text_of(), href=text_of(), alt=text_of())},
        ),
        "PagerDutyChange": object_of(
            ("routing_key", "payload"),
            routing_key=text_of(),
            payload=object_of(
                ("summary",),
                **{name: payload[name] for name in ("summary", "source", "timestamp", "custom_details")},
            ),
            links={"type": "array", "items": object_of(href=text_of(), text=text_of())},
        ),
        "PagerDutyAccepted": object_of(
            ("status", "message", "dedup_key"), status=text_of(), message=text_of(), dedup_key=text_of()
        ),
        "PagerDutyRefused": object_of(
            ("status", "message"),
            status=text_of(),
            message=text_of(),
            errors={"type": "array", "items": {"type": "string"}},
        ),
        "CloudEvent": object_of(
            ("specversion", "id", "source", "type"),
            specversion=text_of(description="1.0"),
            id=text_of(minLength=1, description="With `source`: the same pair is the same event."),
            source=text_of(minLength=1),
            type=text_of(minLength=1, description="One that ends in resolved or acknowledged is that."),
            subject=text_of(description="With `source`: the key, unless the data say one."),
            time=text_of(description="RFC 3339."),
            datacontenttype=text_of(),
            data={"description": "A native event (by title or dedup_key), or anything else."},
            data_base64=text_of(),
        ),
        "AnyJson": {
            "anyOf": [{"type": "object"}, {"type": "array", "maxItems": BATCH, "items": {"type": "object"}}]
        },
        "AlertmanagerWebhook": object_of(
            ("alerts",),
            version=text_of(),
            groupKey=text_of(),
            status=text_of(),
            receiver=text_of(),
            externalURL=text_of(),
            truncatedAlerts={"type": "integer"},
            groupLabels=texts,
            commonLabels=texts,
            commonAnnotations=texts,
            alerts={"type": "array", "items": alert},
        ),
    }


def schemas() -> JsonObject:
    """The components that the paths name. `Problem` is the host's."""
    _, native = msgspec.json.schema_components([NativeEvent], ref_template="#/components/schemas/{name}")
    pair = object_of(("event_id", "dedup_key"), event_id=text_of(format="uuid"), dedup_key=text_of())
    return {
        **native,
        "NativeBatch": {"type": "array", "maxItems": BATCH, "items": named("NativeEvent")},
        "EventsAccepted": object_of(
            ("accepted", "events"),
            accepted={"type": "integer", "description": "How many events the log acknowledged."},
            ignored={
                "type": "integer",
                "description": "How many the integration's `ignore` dropped; left out for none.",
            },
            events={"type": "array", "items": pair},
        ),
        **_foreign_schemas(),
        **alert_schemas(),
        **BEAT_SCHEMAS,
    }
