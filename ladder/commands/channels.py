"""`ladder channels`: by which channels people can be reached here, and what is missing for the others."""

from typing import Any, Final

from ladder.client.options import LOCAL, ApiKey, AsJson, Url, connect
from ladder.client.output import print_json, print_table

_SENDS: Final = {"all": "yes", "urls": "only to addresses that are URLs", "nothing": "no"}


def channels(*, json: AsJson = False, url: Url = LOCAL, api_key: ApiKey = "") -> None:
    """List the channels that a policy may name: whether each can be sent here, and what is missing."""
    with connect(url, api_key) as connection:
        found: list[Any] = connection.get("/v1/channels", [])["items"]
    if json:
        print_json(found)
        return
    rows = [(one["channel"], _SENDS.get(one["sends"], one["sends"]), one["missing"]) for one in found]
    print_table(("channel", "sends", "missing"), rows)
