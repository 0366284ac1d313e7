"""CliParser: the command line as typed, in the order that typer's parser takes, and flags as flags.

Knows the commands only as typer has built them, and carries out none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import typer

DEFAULT_COMMAND: Final = "run"
_OF_ALL: Final = frozenset({"-h", "--help", "--version", "-V"})


def built(app: typer.Typer) -> Any:
    """The parser of `app`. Its help shows `--json`, and not `--json <bool>`: a flag has no value,
    and whoever types one is refused."""
    command = typer.main.get_command(app)
    _show_flags(command, typer.Context(command, **command.context_settings))
    return command


def ordered(given: Sequence[str], command: Any) -> list[str]:
    """With the command first: typer takes no option of a command before its name. Without a command
    the service runs, whatever options it is given."""
    if not given:
        return [DEFAULT_COMMAND]
    if not given[0].startswith("-") or given[0] in _options(command):
        return list(given)
    for place, word in enumerate(given):
        named = command.commands.get(word)
        if named is not None and _ends_at(given[:place], _all_options(named)) == place:
            return _moved(given, place, named)
    options = _all_options(command.commands[DEFAULT_COMMAND])
    place = _ends_at(given, options)
    if place < len(given) and not given[place].startswith("-"):
        # A word that is no option's value: a command with an option of another one before it, or a
        # misspelt one. The parser names what is wrong with it, and what is near.
        return _moved(given, place, command.commands.get(given[place]))
    if place < len(given):
        later = (each for each in range(place, len(given)) if given[each] in command.commands)
        place = next(later, len(given))
        if place < len(given):
            return _moved(given, place, command.commands[given[place]])
    return [DEFAULT_COMMAND, *given]


def _moved(given: Sequence[str], place: int, command: Any) -> list[str]:
    before, after = given[:place], given[place + 1 :]
    within = getattr(command, "commands", {})
    if after and after[0] in within:  # `audit verify`: options belong to the inner one
        return [given[place], after[0], *before, *after[1:]]
    return [given[place], *before, *after]


def _ends_at(words: Sequence[str], options: Mapping[str, bool]) -> int:
    """Behind the last word that is an option of these or the value of one."""
    place = 0
    while place < len(words):
        name, equals, _ = words[place].partition("=")
        if name not in options:
            break
        place += 2 if options[name] and not equals else 1
    return place


def _all_options(command: Any) -> dict[str, bool]:
    """Of a command, and of all that are within it."""
    found = _options(command)
    for each in getattr(command, "commands", {}).values():
        found |= _options(each)
    return found


def _options(command: Any) -> dict[str, bool]:
    """By name, whether a value follows."""
    found = dict.fromkeys(_OF_ALL, False)
    for option in _option_params(command):
        names = (*option.opts, *option.secondary_opts)
        found |= dict.fromkeys(names, not option.is_flag)
    return found


def _option_params(command: Any) -> Iterator[Any]:
    return (each for each in command.params if each.param_type_name == "option")


def _show_flags(command: Any, context: Any) -> None:
    for option in (*_option_params(command), command.get_help_option(context)):
        if option.is_flag:
            option.metavar = ""
    for each in getattr(command, "commands", {}).values():
        _show_flags(each, typer.Context(each, parent=context))
