"""What an operator wants of one node, told to conductors of which the first may die on the way."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select

from drophammer import boots, operations
from drophammer.model import (
    BiosSetting,
    Event,
    FirmwareComponent,
    HistoryEntry,
    Inventory,
    Node,
    Operation,
    Step,
)
from tests.functional.crash.life import Killed, Life, settings_of
from tests.functional.crash.world import LEASE_SECONDS, Stage, World

# Of the node: what two equal ends may differ in.
_VOLATILE = re.compile(r"lease_|fence|operation_id|_at$|^id$|deadline")
ROUNDS = 12


@dataclass(frozen=True)
class Act:
    """One thing that the operator asks for, and the state it is to lead to.

    ``step``: and the step that is to be under way in that state.
    """

    target: str
    reaches: str
    request: dict[str, Any] = field(default_factory=dict)
    method: str = "provision"
    step: str | None = None


@dataclass(frozen=True)
class Story:
    """A node as it is at first, and what becomes of it."""

    name: str
    state: str
    acts: tuple[Act, ...]
    node: dict[str, Any] = field(default_factory=dict)
    world: Callable[[World], None] = lambda world: None
    settings: dict[str, Any] = field(default_factory=dict)


class Play:
    """One performance of a story.

    The first conductor dies before its ``deaths[0]``-th boundary, the next one before its
    ``deaths[1]``-th, and so on. ``meanwhile`` happens to the world when one has died. A
    ``successor`` with the same name is the conductor started again; another one has been
    there all the time. ``may_fail``: an operation that ends as failed ends the story.
    ``pause``: seconds from a death to the next look.
    """

    def __init__(
        self,
        story: Story,
        stage: Stage,
        *,
        deaths: Sequence[int] = (),
        successor: str = "two",
        meanwhile: Callable[[World], None] = lambda world: None,
        may_fail: bool = False,
        pause: float = LEASE_SECONDS + 1,
        **values: Any,
    ) -> None:
        self.world = World(stage)
        self.lives: list[Life] = []
        self._story = story
        self._deaths = deaths
        self._successor = successor
        self._meanwhile = meanwhile
        self._may_fail = may_fail
        self._pause = pause
        self._before: tuple[Any, ...] = ()
        self.world.add_node(story.state, **{**story.node, **values})
        story.world(self.world)
        self._next_life()

    @property
    def life(self) -> Life:
        return self.lives[-1]

    def life_boundaries(self) -> list[str]:
        """Where the first conductor could have died."""
        return self.lives[0].hand.boundaries

    def run(self) -> dict[str, Any]:
        """All acts; the end as two performances can be compared by."""
        for act in self._story.acts:
            self._perform(act)
        # Whoever died with his last word, and what is still to be tidied up.
        looked = False
        while not looked or self.life.hand.dead:
            with contextlib.suppress(Killed):
                self._succeed()
                looked = True
        return self._end()

    def _perform(self, act: Act) -> None:
        accepted = False
        for _ in range(ROUNDS):
            try:
                if self.life.hand.dead:
                    self._succeed()
                if accepted and self._reached(act):
                    return
                if not accepted:
                    self._ask(act)
                    accepted = True
                self._go_on(act)
            except Killed:
                accepted = accepted or self._sign() != self._before
        node = self.world.node()
        raise AssertionError(
            f"{act.target}: still {node.provision_state} after {ROUNDS} rounds, held for "
            f"{node.lease_purpose}: {node.last_error}"
        )

    def _ask(self, act: Act) -> None:
        self._before = self._sign()
        arguments = {"node_id": self.world.node_id, "target": act.target}
        if act.method == "provision":
            arguments["request"] = act.request
        self.life.call(act.method, **arguments)

    def _go_on(self, act: Act) -> None:
        self.life.run()
        if not self._reached(act):
            word = self.world.speak()
            if word is not None:
                self.life.call(word, node_id=self.world.node_id)
                self.life.run()

    def _succeed(self) -> None:
        """The lease time later somebody looks."""
        if self.life.hand.dead:
            self._meanwhile(self.world)
            self._next_life()
        self.world.clock.advance(self._pause)
        self.life.look(first=self._successor == "one")
        self.life.run()

    def _next_life(self) -> None:
        number = len(self.lives)
        settings = settings_of(**self._story.settings, host=self._successor if number else "one")
        die_at = self._deaths[number] if number < len(self._deaths) else None
        self.lives.append(Life(self.world, settings, die_at))

    # Looking

    def _reached(self, act: Act) -> bool:
        """Whether the act's end is there: the state, and nothing under way that leads on."""
        with self.world.store.read() as session:
            node = session.get_one(Node, self.world.node_id)
            if self._may_fail and node.provision_state.endswith(" failed"):
                return node.operation_id is None
            if node.provision_state != act.reaches:
                return False
            if node.operation_id is None:
                return True
            operation = session.get_one(Operation, node.operation_id)
            if operation.state != operations.WAITING or node.lease_owner is not None:
                return False
            due = operations.steps_of(session, [operation.id])[operation.position]
            return act.step in (None, due.step)

    def _sign(self) -> tuple[Any, ...]:
        """What shows in the database that a word of the operator's was taken."""
        with self.world.store.read() as session:
            node = session.get_one(Node, self.world.node_id)
            newest = session.scalars(
                select(Operation).order_by(Operation.id.desc()).limit(1)
            ).one_or_none()
            work = (newest.id, newest.abort_requested, newest.state) if newest else ()
            return (node.provision_state, work)

    def _end(self) -> dict[str, Any]:
        with self.world.store.read() as session:
            node = session.get_one(Node, self.world.node_id)
            assert node.lease_owner is None, f"a lease is left: {node.lease_purpose}"
            columns = {
                column.name: _plain(getattr(node, column.name))
                for column in Node.__table__.columns
                if not _VOLATILE.search(column.name)
            }
            work = session.scalars(select(Operation).order_by(Operation.id)).all()
            journal = operations.steps_of(session, [one.id for one in work])
            history = session.scalars(select(HistoryEntry).order_by(HistoryEntry.id)).all()
            told = session.execute(select(Event.kind, Event.message).order_by(Event.id)).all()
            firmware = session.scalars(select(FirmwareComponent)).all()
            settings = session.scalars(select(BiosSetting)).all()
            found = session.get(Inventory, node.id)
            return {
                "node": columns,
                "in ramdisk": boots.is_set(session, node.id),
                "operations": [
                    (one.verb, one.flow, one.state, one.position, _plain(one.error)) for one in work
                ],
                "unfinished": [one.verb for one in work if one.finished_at is None],
                "steps": [_step(one) for one in journal],
                "history": [(one.event_type, one.severity, _plain(one.event)) for one in history],
                "raid events": [message for kind, message in told if kind == "raid"],
                "firmware": sorted((one.component, one.current_version) for one in firmware),
                "bios": sorted((one.name, one.value) for one in settings),
                "inventory": found is not None,
                "on": self.world.on,
                "boot device": self.world.boot_device,
                "effects": [
                    effect
                    for effect in self.world.effects
                    if not effect.startswith(("power:", "agent:standby.power_off"))
                ],
            }


def _step(step: Step) -> tuple[Any, ...]:
    timed = (step.started_at is not None, step.finished_at is not None)
    return (step.position, step.interface, step.step, step.source, step.state, timed)


def _plain(value: Any) -> Any:
    """A value without what is another one each time: how long it took, identifiers."""
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items() if key != "last_updated"}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if isinstance(value, str):
        return re.sub(
            r"[0-9a-f]{8}-[0-9a-f-]{27}|(\d+(\.\d+)? (h|min|s)\b ?)+|\d+(\.\d+)?", "N", value
        )
    return value
