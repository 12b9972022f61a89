"""The pictures of docs/channels.md can be made anew, and every one that is shown is there."""

import re
import subprocess
import sys
from pathlib import Path

from services.notifier.dry_run import channels

DOCS = Path(__file__).parent.parent.parent / "docs"


def test_the_pages_of_the_pictures_are_made_without_a_browser(tmp_path: Path) -> None:
    made = subprocess.run(
        [sys.executable, str(DOCS / "pictures" / "make.py"), "--pages", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stderr
    assert {page.stem for page in tmp_path.glob("*.html")} == {
        picture.stem for picture in (DOCS / "pictures").glob("*.png")
    }
    assert "Checkout is down" in (tmp_path / "mail.html").read_text()


def test_every_picture_is_shown_and_small_and_every_channel_explained() -> None:
    page = (DOCS / "channels.md").read_text()
    shown = set(re.findall(r"\(pictures/([\w-]+\.png)\)", page))
    assert shown == {picture.name for picture in (DOCS / "pictures").glob("*.png")}
    assert len(shown) <= 12
    assert all((DOCS / "pictures" / name).stat().st_size <= 60 * 1024 for name in shown)
    explained = set(re.findall(r"^## .*`(\w+)`", page, re.MULTILINE))
    assert explained == set(channels())
