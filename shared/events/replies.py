"""What the notifier puts into messages so that the router understands the answer, and how it answers that."""

from typing import Final

SLACK_BUTTON: Final = (
    "slack button"  # what the value of a Slack button is signed for (`shared.security.keys`)
)
ANSWERED: Final = "answered"  # the event of an announcement that answers whoever pressed a button
