"""The list of all commands that talk to a running Ladder, each in its group of the help."""

from collections.abc import Callable, Mapping, Sequence

import typer

from ladder.terminal.command_line import Group


def register(app: typer.Typer) -> None:
    """Adds the commands, each to its group."""
    from ladder.commands.apply import apply
    from ladder.commands.channels import channels
    from ladder.commands.customers import customer, customers
    from ladder.commands.dead_letters import letters
    from ladder.commands.deliveries import deliveries
    from ladder.commands.demo import demo
    from ladder.commands.incident_actions import ACTS
    from ladder.commands.incidents import explain, incidents, oncall, show, watch
    from ladder.commands.integrations import integrations
    from ladder.commands.on_call import absent, override, overrides, shifts
    from ladder.commands.preview import preview
    from ladder.commands.report import report
    from ladder.commands.send import send
    from ladder.commands.silences import maintenance, silence, silences, unsilence
    from ladder.commands.trial_page import trial_page
    from ladder.commands.try_map import try_map
    from ladder.replay.command import replay

    groups: Mapping[Group, Sequence[Callable[..., None]]] = {
        Group.look: (incidents, show, explain, watch),
        Group.send: (send, replay, integrations),
        Group.plan: (oncall, shifts, override, absent, overrides, silence, silences, unsilence, maintenance),
        Group.policy: (apply, try_map, preview),
        Group.report: (report, customer),
        Group.run: (channels, demo),
    }
    for group, commands in groups.items():
        for command in commands:
            app.command(rich_help_panel=group)(command)
    app.command("test-page", rich_help_panel=Group.plan)(trial_page)
    for name, command in ACTS:
        app.command(name, rich_help_panel=Group.act)(command)
    app.add_typer(customers, rich_help_panel=Group.report)
    app.add_typer(letters, rich_help_panel=Group.run)
    app.add_typer(deliveries, rich_help_panel=Group.run)
