"""`ladder apply`: a policy put in force, and what that changed."""

from pathlib import Path
from typing import Annotated, Final

import typer

from ladder.client.options import LOCAL, ApiKey, AsJson, Url, connect
from ladder.client.output import print_json, say

_MOST_CHANGES: Final = 20


def apply(
    policy: Annotated[Path, typer.Argument(help="The bundle: a file, or a folder of them.")],
    *,
    force: Annotated[
        bool, typer.Option("--force", help="Also where your key loses the right to apply another one.")
    ] = False,
    json: AsJson = False,
    url: Url = LOCAL,
    api_key: ApiKey = "",
) -> None:
    """Check a policy bundle, put it in force everywhere at once, and say what changed."""
    from ladder.client.findings import fit_to_apply, warned
    from ladder.client.invalid_policy import InvalidPolicyError
    from shared.policy import PolicyErrors, dump_json

    try:
        looked = fit_to_apply(policy)
    except PolicyErrors as err:
        raise InvalidPolicyError(err) from err
    asked = "/v1/policy?force=true" if force else "/v1/policy"
    with connect(url, api_key) as connection:
        answer = connection.put(asked, dump_json(looked.sound), "application/json")
    if json:
        print_json(answer)
        return
    say(f"in force: bundle {str(answer['hash'])[:12]}, revision {answer['revision']}")
    if answer.get("changes") == []:  # an older release says nothing about it
        say("  nothing is different from what was in force")
    changes = answer.get("changes") or ()
    for sentence in (*changes[:_MOST_CHANGES], *(answer.get("not_in_force") or ())):
        say(f"  {sentence}")
    if len(changes) > _MOST_CHANGES:
        say(f"  … and {len(changes) - _MOST_CHANGES} changes more (--json tells them)")
    for line in warned(answer, looked):
        say(f"  {line}")
