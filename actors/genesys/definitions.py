"""Owns the presence definitions of an organisation, and which one a person means by a text.

Pure. It knows no call: `CloudRest.definitions` brings the entities (protocol.md §2.1).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any, Final, NamedTuple

from actors.genesys.cloud import is_user_id, normal_name, user_id_of
from actors.messages.spelling import folded

LABELS_MAX: Final = 100
LABEL_CHARS_MAX: Final = 200
NAMES_SHOWN_MAX: Final = 12
DEFAULT_LANGUAGES: Final = ("en_US", "en", "en_GB")


class Definition(NamedTuple):
    """`system_presence`: by its normal name."""

    id: str
    system_presence: str
    label: str  # for people
    labels: tuple[str, ...]  # in all languages
    is_system: bool  # the organisation's own ones stand below one of the system's


class NoSuchDefinition(NamedTuple):
    """Why a text names no definition."""

    reason: str


class Definitions:
    """Those that are in use; of the others only that they are not is told."""

    def __init__(self, entities: Iterable[Mapping[str, Any]]) -> None:
        found = [(_definition(each), each.get("deactivated") is True) for each in entities]
        self.by_id = {each.id.lower(): each for each, gone in found if each and not gone}
        self._gone = [each for each, gone in found if each and gone]

    def __len__(self) -> int:
        return len(self.by_id)

    def meant(self, text: str) -> Definition | NoSuchDefinition:
        """By id; else by the system's name in any spelling ("On Queue"); else by a label in any
        language (`folded`). The system's own wins over the organisation's."""
        text = text.strip()
        if text.lower() in self.by_id:
            return self.by_id[text.lower()]
        presence = normal_name(text)
        wanted = folded(text)
        system = [each for each in self.by_id.values() if each.is_system]
        own = [each for each in self.by_id.values() if not each.is_system]
        for found in (
            [each for each in system if each.system_presence == presence],
            _labelled(system, wanted),
            _labelled(own, wanted),
        ):
            if len(found) == 1:
                return found[0]
            if found:
                ids = ", ".join(sorted(each.id for each in found)[:NAMES_SHOWN_MAX])
                return NoSuchDefinition(
                    f"{text!r} matches {len(found)} presence definitions; specify an id: {ids}"
                )
        if any(each.id.lower() == text.lower() for each in self._gone) or _labelled(
            self._gone, wanted
        ):
            return NoSuchDefinition(f"the presence definition {text!r} is deactivated")
        return NoSuchDefinition(
            f"unknown presence definition {text!r}; expected one of {self._shown()}"
        )

    def _shown(self) -> str:
        labels = sorted({each.label for each in self.by_id.values()})
        more = f" and {len(labels) - NAMES_SHOWN_MAX} more" if len(labels) > NAMES_SHOWN_MAX else ""
        return (", ".join(labels[:NAMES_SHOWN_MAX]) or "none") + more


def _labelled(definitions: Iterable[Definition], wanted: str) -> list[Definition]:
    return [each for each in definitions if any(folded(label) == wanted for label in each.labels)]


def _definition(entity: Mapping[str, Any]) -> Definition | None:
    """None: it cannot be chosen."""
    id_, presence = entity.get("id"), normal_name(entity.get("systemPresence"))
    if not isinstance(id_, str) or not is_user_id(id_) or not presence:
        return None
    by_language = _labels(entity.get("languageLabels"))
    named = next((by_language[each] for each in DEFAULT_LANGUAGES if each in by_language), None)
    label = named or next(iter(by_language.values()), presence)
    return Definition(
        user_id_of(id_),
        presence,
        label,
        tuple(dict.fromkeys(by_language.values())),
        str(entity.get("type")).casefold() == "system" or entity.get("primary") is True,
    )


def _labels(labels: Any) -> dict[str, str]:
    if not isinstance(labels, dict):
        return {}
    first = [each for each in DEFAULT_LANGUAGES if each in labels]
    usable = (
        (language, label.strip()[:LABEL_CHARS_MAX])
        for language in dict.fromkeys((*first, *labels))
        if isinstance(label := labels[language], str) and label.strip()
    )
    return dict(islice(usable, LABELS_MAX))
