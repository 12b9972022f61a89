"""Makes the pictures of docs/channels.md: what people see of an incident, by every channel.

    python docs/pictures/make.py                 # the pages, and pictures of them where there is a chromium
    python docs/pictures/make.py --pages FOLDER  # only the pages

Each message is that of `ladder preview`: decided, worded and formed as ever. The frames around them are drawn
here and look like no particular program.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent.parent))

import frames

from ladder.preview.course import CUSTOMER, PUBLIC_URL, Told, What, told
from services.intake.dry_run import read_post
from services.notifier.channels import CHANNELS, Envelope, Shown
from services.notifier.domain.delivery import Content, Digest, DigestEntry, Earlier
from services.notifier.domain.dispatch import Dispatch
from services.notifier.domain.messages import digests, listing
from services.notifier.domain.messages.compose import render
from services.notifier.domain.plan import plan
from services.notifier.dry_run import previewed
from services.router.domain.model.compiled_bundle import compile_sized
from shared.events import Notice
from shared.policy import load
from shared.security.keys import Signer

NIGHT = datetime(2026, 3, 3, 2, 12, tzinfo=UTC)  # 03:12 in Prague
SIGNER = Signer(("pictures",))
SAMPLES = files("ladder.samples")
LIVE = compile_sized(load(Path(str(SAMPLES / "preview.yaml"))))[0]
UPDATE = "Payments reach us again. We watch it for half an hour before we call it solved."
TITLES = ("Orders wait in the queue", "Search answers slowly", "Mails are late", "Stock is not updated")


def message(what: What, to: str = "", **fields: Any) -> Told:
    """This message about the sample's incident, or about one with other fields."""
    body = SAMPLES.joinpath("event.json").read_bytes()
    events, _ = read_post(LIVE.spec, "any", body, {}, NIGHT)
    changed = [
        type(event)(**{**{n: getattr(event, n) for n in event.__struct_fields__}, **fields})
        for event in events
    ]
    return told(changed, LIVE, what, to=to, text=UPDATE, now=NIGHT)


def shown(channel: str, found: Told) -> Shown:
    return previewed(
        found.message, found.asked, channel, LIVE.spec, public_url=PUBLIC_URL, signer=SIGNER, now=found.at
    ).shown


def storm() -> Envelope:
    """Five pages to one person in one message."""
    pages = [message("page")] + [
        message("page", title=title, dedup_key=title, severity="error", customer=None, description=None)
        for title in TITLES
    ]
    members = tuple(plan(each.message, LIVE.spec, NIGHT).deliveries[0] for each in pages)
    dispatch = Dispatch("storm", members)
    listed = listing.readable(dispatch)
    links = {"list": f"{PUBLIC_URL}/v1/replies/list/…"}
    rendered = listing.render(dispatch, listed, lambda one: render(one, LIVE.spec, {}, NIGHT), links, NIGHT)
    return Envelope(listing.listing_of(dispatch, listed), rendered, "", "", NIGHT)


def digest() -> Envelope:
    """What management hears once a day."""
    entries = []
    for what, fields, before in (
        ("resolved", {}, ("opened", "taken", "update")),
        ("opened", {"title": TITLES[1], "dedup_key": "x", "severity": "error", "customer": None}, ()),
    ):
        found = message(what, "management", **fields)
        assert isinstance(found.asked, Notice)
        newest = Content(
            at=found.at, incident=found.message.incident, notice=found.asked, actor=found.message.actor
        )
        earlier = tuple(
            Earlier(
                at=NIGHT + timedelta(minutes=3 * number),
                event=event,
                text=UPDATE if event == "update" else "",
            )
            for number, event in enumerate(before)
        )
        entries.append((DigestEntry(newest=newest, earlier=earlier), found))
    found = entries[0][1]
    made = Digest(since=NIGHT - timedelta(hours=1), entries=tuple(each for each, _ in entries), incidents=2)
    links = {each.newest.incident.id: f"{PUBLIC_URL}/v1/replies/link/…" for each in made.entries}
    delivery = plan(found.message, LIVE.spec, NIGHT).deliveries[0]
    rendered = digests.render(
        made, found.asked, LIVE.spec, links, NIGHT + timedelta(hours=6), zone="Europe/Prague"
    )
    return Envelope(replace(delivery, event="digest"), rendered, "management@example.com", "", NIGHT)


def by(channel: str, envelope: Envelope) -> Shown:
    return CHANNELS[channel].shows(envelope, SIGNER, PUBLIC_URL)


def pages() -> Mapping[str, tuple[str, int, int]]:
    """The pages by the names of their pictures, with width and height."""
    page, taken, resolved = message("page"), message("taken", "petra"), message("resolved", "petra")
    mail = shown("email", page)
    customer = [shown("email", message(what, CUSTOMER)) for what in ("update", "confirm")]
    return {
        "mail": (frames.side_by_side(frames.mail(mail), frames.mail(mail, dark=True)), 1180, 930),
        "mail-plain": (frames.terminal(mail.text), 820, 700),
        "mail-customer": (frames.side_by_side(*map(frames.mail, customer)), 1180, 480),
        "mail-digest": (frames.side_by_side(frames.mail(by("email", digest())), width=680), 760, 620),
        "slack": (frames.slack([shown("slack", page), shown("slack", taken)]), 760, 920),
        "teams": (frames.side_by_side(frames.teams(shown("teams", page)), frames.teams(shown("teams", resolved))), 1180, 710),
        "mattermost": (frames.chat("Mattermost", shown("mattermost", page)), 760, 680),
        "telegram": (frames.chat("Telegram", shown("telegram", page)), 560, 800),
        "phone": (
            frames.phones(
                ("03:12", frames.push(shown("ntfy", page))),
                ("03:12", frames.bubble(shown("sms", page).text)),
                ("03:12", frames.call(shown("voice", page).text)),
            ),
            1040, 500,
        ),
        "storm": (frames.slack([by("slack", storm())]), 760, 440),
    }  # fmt: skip


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description="Make the pictures of docs/channels.md.")
    parser.add_argument("--pages", type=Path, help="write only the pages, into this folder")
    folder = parser.parse_args(arguments).pages
    if folder is not None:
        write(folder)
        return
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        sys.exit("There is neither chromium nor google-chrome here: --pages FOLDER makes the pages.")
    with tempfile.TemporaryDirectory() as made:
        for name, (width, height) in write(Path(made)).items():
            picture = Path(__file__).parent / f"{name}.png"
            subprocess.run(
                [chromium, "--headless", "--no-sandbox", "--hide-scrollbars", "--disable-gpu",
                 f"--window-size={width},{height}", f"--screenshot={picture}", f"file://{made}/{name}.html"],
                check=True, capture_output=True,
            )  # fmt: skip
            if quant := shutil.which("pngquant"):
                subprocess.run([quant, "--force", "--ext=.png", "--strip", "24", picture], check=True)
            print(f"{picture.name}: {picture.stat().st_size / 1024:.0f} KiB")


def write(folder: Path) -> Mapping[str, tuple[int, int]]:
    """Write the pages; their sizes by name."""
    folder.mkdir(parents=True, exist_ok=True)
    made = pages()
    for name, (page, _, _) in made.items():
        (folder / f"{name}.html").write_text(frames.whole(escape(name), page))
    return {name: (width, height) for name, (_, width, height) in made.items()}


if __name__ == "__main__":
    main(sys.argv[1:])
