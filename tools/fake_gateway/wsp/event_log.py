"""EventLog: what happens, event by event: the script's steps, and between them what updates caused.

Pure; knows neither times nor sequences. `frames.pyx` is its fast twin, byte for byte.

An update becomes an event of its own at the end of what has happened, and the script goes on behind
it with the step that would have stood there. So everything stays a function of the number of an
event, and nothing of the script is lost: a changed agent is what the update said until its own next
step. What updates caused is sparse: it is kept in a list, and the rest is computed.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right

from tools.fake_gateway.script import STATE_OF_PRESENCE, Change, Script


class EventLog:
    def __init__(self, script: Script) -> None:
        self._script = script
        self.numbers: list[int] = []  # of the events that updates caused
        self._caused: list[Change] = []
        self._steps_before: list[int] = []
        self._last: dict[int, int] = {}  # by agent

    def caused(self, number: int, agent: int, presence: int, correlation: str) -> Change:
        """What an update makes of an agent as event `number`, the next one. They stay in their
        queue; the event always has a presence."""
        last = self.last_change(agent, number)
        before = self.change(last) if last >= 0 else self._script.initial(agent)
        state = STATE_OF_PRESENCE[presence]
        return Change(number, agent, state, before.queue, presence, True, correlation)

    def add(self, change: Change) -> None:
        """Nothing from its number on has happened yet."""
        assert not self.numbers or change.number > self.numbers[-1], change
        self._steps_before.append(self.steps(change.number))
        self.numbers.append(change.number)
        self._caused.append(change)
        self._last[change.agent] = change.number

    def steps(self, number: int) -> int:
        """How many events below `number` are steps of the script."""
        return number - bisect_left(self.numbers, number)

    def number_of(self, step: int) -> int:
        """The event that the step is, as far as is known now."""
        return step + bisect_right(self._steps_before, step)

    def change(self, number: int) -> Change:
        """Event `number` (>= 0)."""
        place = bisect_left(self.numbers, number)
        if place < len(self.numbers) and self.numbers[place] == number:
            return self._caused[place]
        return self._script.change(number - place)._replace(number=number)

    def last_change(self, agent: int, head: int) -> int:
        """The agent's last event below `head`, where nothing beyond `head` has happened; or -1."""
        step = self._script.last_step(agent, self.steps(head))
        return max(self._last.get(agent, -1), -1 if step < 0 else self.number_of(step))

    def next_in(self, agent: int, head: int) -> int | None:
        """How many steps come from `head` on before the agent's next one; None: it has none."""
        steps = self.steps(head)
        step = self._script.next_step(agent, steps)
        return None if step is None else step - steps
