"""Command line: the commands and options that a person types. Carries out nothing itself.

Everything below typer is imported by the command that needs it: `--help` answers in a fraction of
a second, and `state` works where the service would not start.
"""

from __future__ import annotations

import errno
import io
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import typer

from actors.cli import operations, options, parser, sender
from actors.cli.options import DISTRIBUTION, SHOWN, journals
from actors.cli.options import Config as _Config
from actors.cli.options import DataDir as _DataDir
from actors.cli.options import Json as _Json
from runtime.errors import EXIT_CLEAN, EXIT_FAILURE, LocalError, RuntimeFault
from runtime.printable import unescaped, with_printable_streams

if TYPE_CHECKING:
    from actors.settings.layers import Effective

# Of the demo: what an option is called in the plan.
_PLAN_FIELDS: Final = {
    "kill_every": "kill_every_s", "kill_all_every": "kill_all_every_s",
    "kill_until": "kill_until_s", "kill": "kill_role",
}  # fmt: skip
FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO})
"""Of a file or terminal that standard output was turned to; other files bear their names."""
INTERRUPTED: Final = 130  # what a shell expects of Ctrl-C

app = typer.Typer(
    name="presence-runtime",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Track the live presence of the agents of a large contact center. Without a command, "
    "start the runtime (run).",
)

_Name = Annotated[str | None, typer.Option("--name", help="Name shown in the process titles")]
_BaseUrl = Annotated[str | None, typer.Option("--base-url", help="URL or host of the gateway")]
_Environment = Annotated[
    str | None,
    typer.Option("--environment", help="Environment in the host name of the gateway (dialect wsp)"),
]
_Shards = Annotated[int | None, typer.Option("--shards", help="Number of shard processes")]
_Journal = Annotated[str | None, typer.Option("--journal", help="Journal mode: full or off")]
_LogFormat = Annotated[
    str | None, typer.Option("--log-format", help="Log format: auto, json or console")
]
_LogLevel = Annotated[
    str | None, typer.Option("--log-level", help="Log level: debug, info, warning or error")
]


@with_printable_streams
def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code of the command that the arguments name."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    _say_it_all()
    try:
        exit_code = _carry_out(given)
        sys.stdout.flush()  # here, where it can still be told that nobody reads any more
    except BrokenPipeError:
        # The reader has seen enough. Nothing may be flushed to it at exit either.
        _be_silent()
        return EXIT_FAILURE
    except OSError as error:
        if error.errno not in FULL or error.filename is not None:
            raise
        print(f"{DISTRIBUTION}: cannot write to standard output: {error.strerror}",
              file=sys.stderr)  # fmt: skip
        _be_silent()
        return EXIT_FAILURE
    return exit_code


def _say_it_all() -> None:
    """A terminal or pipe that has no letter for a name still shows the rest of the line: what it
    cannot show becomes an escape, and no traceback."""
    for stream in map(unescaped, (sys.stdout, sys.stderr)):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _be_silent() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _carry_out(given: list[str]) -> int:
    try:
        command = parser.built(app)
        command(parser.ordered(given, command), prog_name=app.info.name)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else EXIT_FAILURE if end.code else EXIT_CLEAN
    except RuntimeFault as fault:
        print(f"{DISTRIBUTION}: {fault}", file=sys.stderr)
        return fault.exit_code
    except KeyboardInterrupt:
        return INTERRUPTED
    return EXIT_CLEAN


def _print_version(wanted: bool) -> None:
    if wanted:
        print(_version())
        raise typer.Exit


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(DISTRIBUTION)
    except PackageNotFoundError:  # a clone that was not installed
        return "unknown"


@app.callback()
def _front(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            "-V",
            callback=_print_version,
            is_eager=True,
            help="Print the version and exit",
        ),
    ] = False,
) -> None:
    pass


@app.command()
def run(
    *,
    config: _Config = None,
    name: _Name = None,
    data_dir: _DataDir = None,
    base_url: _BaseUrl = None,
    environment: _Environment = None,
    shards: _Shards = None,
    journal: _Journal = None,
    log_format: _LogFormat = None,
    log_level: _LogLevel = None,
) -> None:
    """Run the service until SIGTERM or Ctrl-C, then drain and exit."""
    given = locals()
    effective = _effective(given)

    from actors.app import service  # first, what is missing

    exit_code = service.run(effective, version=_version(), read_again=lambda: _effective(given))
    raise typer.Exit(exit_code)


@app.command()
def check(
    *,
    config: _Config = None,
    name: _Name = None,
    data_dir: _DataDir = None,
    base_url: _BaseUrl = None,
    environment: _Environment = None,
    shards: _Shards = None,
    journal: _Journal = None,
    log_format: _LogFormat = None,
    log_level: _LogLevel = None,
    online: Annotated[
        bool,
        typer.Option(
            "--online",
            help="Also connect to the gateway: check tokens, permissions and one channel",
        ),
    ] = False,
    as_json: _Json = False,
) -> None:
    """Validate the settings and show their values and origins, with secrets masked."""
    effective = _effective({key: value for key, value in locals().items() if key != "online"})

    from actors.cli import check

    raise typer.Exit(check.show(effective, online=online, as_json=as_json))


@app.command()
def token(
    name: Annotated[str, typer.Argument(help="Name of the token's owner; recorded in the audit")],
    may_write: Annotated[
        bool | None,
        typer.Option("--write/--read", help="Whether the token may change presences or only read"),
    ] = None,
) -> None:
    """Generate an access token: a line for the file in web.tokens_file."""
    import secrets

    from actors.web import tokens
    from actors.web.identity import AccessScope

    if may_write is None:
        own = f"{DISTRIBUTION} token {shlex.quote(name)}"
        raise typer.BadParameter(
            f"choose the scope of the token: `{own} --read` (read only, for example a wallboard) "
            f"or `{own} --write` (also change presences)"
        )
    scope = AccessScope.WRITE if may_write else AccessScope.READ
    try:
        print(tokens.line(name, scope, secrets.token_urlsafe(32)))
    except ValueError as error:
        raise typer.BadParameter(f"{name!r}: {error}") from None


@app.command()
def settings(
    *,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print a Markdown table")] = False,
    as_json: _Json = False,
) -> None:
    """List all settings with their default, allowed values and meaning."""
    from actors.cli import tables
    from actors.settings import table

    rows = list(table.rows())
    if as_json:
        tables.show_json([row._asdict() for row in rows])
    elif markdown:
        print(table.markdown(), end="")
    else:
        tables.show("settings", table.COLUMNS, rows)


def _effective(given: dict[str, Any]) -> Effective:
    """The settings under the flags of a command, which are its local variables."""
    from actors.settings.layers import load

    flags = {
        "log.format" if key == "log_format" else "log.level" if key == "log_level" else key: value
        for key, value in given.items()
        if key not in {"config", "as_json"}
    }
    return load(config=given["config"], flags=flags)


@app.command()
def demo(
    *,
    dialect: Annotated[
        Literal["wsp", "cloud"], typer.Option(help="Protocol of the gateway")
    ] = "wsp",
    topics: Annotated[
        Literal["activity", "combined"], typer.Option(help="Topics to subscribe to (dialect cloud)")
    ] = "activity",
    watch: options.DemoWatch = "all",
    agents: Annotated[int, typer.Option(min=1, max=1_000_000)] = 5_000,
    rate: Annotated[str, typer.Option(help="Events per second, or max")] = "2000",
    seconds: Annotated[
        float, typer.Option(min=0, help="Seconds of load and page; 0: until Ctrl-C")
    ] = 30.0,
    shards: Annotated[int, typer.Option(min=1, max=64)] = 2,
    seed: int = 7,
    journal: Literal["full", "off"] = "full",
    tls: Annotated[bool, typer.Option("--tls", help="Use TLS, with a temporary CA")] = False,
    faults: Annotated[
        Literal["none", "platform", "flaky", "hostile"],
        typer.Option(help="Faults that the gateway produces (platform: dialect cloud)"),
    ] = "none",
    token_life_s: options.TokenLife = None,
    kill_every: options.KillEvery = None,
    kill_all_every: options.KillAllEvery = None,
    kill_until: options.KillUntil = None,
    kill: Annotated[
        Literal["web", "sender", "shard", "planner", "receiver"] | None,
        typer.Option(help="Kill only child processes of this role"),
    ] = None,
    ack_loss: Annotated[
        float,
        typer.Option(min=0, max=1, help="Share of acknowledgements that get lost"),
    ] = 0.0,
    commands_per_s: Annotated[
        float, typer.Option(min=0, max=1000, help="Presence changes per second; 0: none")
    ] = 2.0,
    data_dir: Annotated[
        Path | None,
        typer.Option("--data-dir", help="Kept after the demo; must be new or empty"),
    ] = None,
    json_path: Annotated[
        Path | None, typer.Option("--json", help="File for the result, as JSON")
    ] = None,
) -> None:
    """Run a simulated gateway and the runtime, then verify all events by the gateway's ledger."""
    given = dict(locals(), rate=_rate(rate))
    for option, field in _PLAN_FIELDS.items():
        given[field] = given.pop(option)

    from actors.demo import main as demonstration

    plan = demonstration.DemoPlan(**given)
    raise typer.Exit(demonstration.run(plan))


def _rate(text: str) -> float | Literal["max"]:
    if text == "max":
        return "max"
    try:
        rate = float(text)
    except ValueError:
        rate = 0.0
    if not 0 < rate <= 100_000_000:  # also refuses nan
        raise typer.BadParameter(f"invalid rate {text!r}; expected events per second, or max")
    return rate


@app.command()
def state(
    user: Annotated[
        str | None, typer.Argument(help="Id or full name of an agent; default: all agents")
    ] = None,
    data_dir: _DataDir = None,
    config: _Config = None,
    limit: Annotated[
        int | None,
        typer.Option(
            min=0,
            help=f"Maximum number of agents; 0: all; default: {SHOWN}, or all with --json",
        ),
    ] = None,
    as_json: _Json = False,
) -> None:
    """Show the state of agents, most recent change first, and the progress of each shard."""
    from actors.cli import state

    path = journals(data_dir, config)
    if user is None:
        shown = (0 if as_json else SHOWN) if limit is None else limit
        state.show_all(path, limit=shown, as_json=as_json)
        return

    from actors.cli import agent_lookup

    user = agent_lookup.found(path, config, user)
    if not state.show_one(path, user, as_json=as_json):
        raise LocalError(agent_lookup.unknown(path, user))


@app.command()
def history(
    user: Annotated[str, typer.Argument(help="Id or full name of the agent")],
    data_dir: _DataDir = None,
    config: _Config = None,
    limit: Annotated[int, typer.Option(min=1, help="Maximum number of transitions")] = SHOWN,
    as_json: _Json = False,
) -> None:
    """Show the transitions of an agent, newest first."""
    from actors.cli import agent_lookup, state

    path = journals(data_dir, config)
    user = agent_lookup.found(path, config, user)
    if not state.show_history(path, user, limit=limit, as_json=as_json):
        raise LocalError(agent_lookup.unknown(path, user))


@app.command()
def topics(
    data_dir: _DataDir = None,
    config: _Config = None,
    limit: Annotated[int, typer.Option(min=0, help="Maximum number of agents; 0: all")] = SHOWN,
    as_json: _Json = False,
) -> None:
    """Show monitored agents, those that are not because more OAuth clients are needed, and refused
    topics."""
    from actors.cli import topics

    topics.show(journals(data_dir, config), limit=limit, as_json=as_json)


@app.command()
def sinks(data_dir: _DataDir = None, config: _Config = None, as_json: _Json = False) -> None:
    """Show each sink's position, backlog and last error."""
    from actors.cli import sinks

    sinks.show(journals(data_dir, config), as_json=as_json)


@app.command()
def backup(
    directory: Annotated[Path, typer.Argument(help="Directory to copy to; must be new or empty")],
    data_dir: _DataDir = None,
    config: _Config = None,
    as_json: _Json = False,
) -> None:
    """Copy each journal as a consistent snapshot; the runtime may be running."""
    from actors.cli import maintenance

    maintenance.backup(journals(data_dir, config), directory, as_json=as_json)


@app.command()
def repair(
    data_dir: _DataDir = None,
    config: _Config = None,
    as_json: _Json = False,
) -> None:
    """Move damaged journals aside and create new ones. The runtime must be stopped."""
    from actors.cli import maintenance

    maintenance.show_repair(journals(data_dir, config), as_json=as_json)


# Last: their commands stand behind those above.
app.add_typer(operations.app)
app.add_typer(sender.app)
