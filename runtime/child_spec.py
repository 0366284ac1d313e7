"""ChildSpec: what a child is and how long we bear with it, as a value. Knows no process. Pure.

The words are OTP's: a supervisor holds a list of child specs and restarts *one for one* until a
child exceeds its *intensity* within its *period*.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from runtime.counters import Counters


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildSpec:
    """One child, in all its lives."""

    name: str  # "shard-3"
    title: str  # of the process, "presence-runtime: shard-3"
    entry: str  # "package.module:function", called as function(child, arguments)
    arguments: (
        Any  # pickled; the descriptors of what has `fds` (Block, Doorbell, ...) are inherited
    )
    counters: Counters  # its page: beats and phase are read from it

    # "package.module:function", called as function(name, setup_arguments) before the entry is even
    # imported: where a child's log goes.
    setup: str | None = None
    setup_arguments: Any = None
    reload: str | None = None  # likewise, called as function(name, setup_arguments) at SIGHUP

    # Names that must be LOADED before the first start. Restarts do not wait: whoever needs us has
    # learned to live without us for a moment.
    needs: tuple[str, ...] = ()

    intensity: int = 20  # more ends than this within the period stop the whole runtime
    period_s: float = 60.0
    beat_timeout_s: float = 15.0
    start_timeout_s: float = 60.0  # instead of beat_timeout_s while its phase is STARTING
    temporary_delay_s: float = 60.0  # between an exit 75 and the next start

    @property
    def role(self) -> str:
        """The name without its number. Children of one role are stopped together."""
        role, _, number = self.name.rpartition("-")
        return role if role and number.isdecimal() else self.name


def assert_consistent(specs: Sequence[ChildSpec]) -> None:
    """The order of the specs is the order of the starts, downstream first, and reversed that of the
    stops. So a child may only need what stands before it, and a role stands together."""
    seen: set[str] = set()
    for spec in specs:
        assert spec.name not in seen, f"the name {spec.name!r} is used by two children"
        assert seen.issuperset(spec.needs), (
            f"{spec.name} needs one of {spec.needs}, which starts later"
        )
        assert ":" in spec.entry, f"{spec.name}: entry {spec.entry!r} is not module:function"
        assert spec.intensity >= 0, f"{spec.name}: intensity {spec.intensity}"
        assert min(spec.period_s, spec.beat_timeout_s, spec.start_timeout_s) > 0, spec.name
        assert spec.temporary_delay_s >= 0, f"{spec.name}: delay {spec.temporary_delay_s} s"
        seen.add(spec.name)
    roles = [role for role, _ in groupby(specs, key=lambda spec: spec.role)]
    assert len(roles) == len(set(roles)), f"children of the same role are not adjacent: {roles}"
