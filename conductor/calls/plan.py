"""What a verb would do to a node, and what would refuse it. Nothing is taken, written or sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy.orm import Session

from conductor import priorities, stepplan
from conductor.begin import refusals as refusals_by_work
from conductor.calls.access import NodeCalls
from conductor.permits import refusals as refusals_by_node
from conductor.plans import FLOW_OF_VERB, FLOWS
from conductor.stepplan import USER
from conductor.survey import SurveyDriver
from conductor.wish import Wish
from drophammer import operations, states
from drophammer.errors import DrophammerError, Invalid, NotFound, Unavailable
from drophammer.model import Node, Step
from drophammer.operations import StepSpec
from drophammer.past import AGENT, Past, Spent
from drophammer.store import held, locked_message

# The conductor's steps that bring in what the ramdisk has, and that say why nothing can be.
_DISCOVERING = ("plan_agent_steps", "join_agent_steps")
_REFUSING = "refuse_cleaning"
# Where the operator's list of steps is, for the flows that are nothing without one.
_LISTS = {"manual clean": "clean_steps", "service": "service_steps"}

Refusals = list[dict[str, str]]


@dataclass
class _Survey:
    """One look at a node for one verb."""

    session: Session
    node: Node
    driver: SurveyDriver
    target: str
    flow: str | None
    request: Mapping[str, Any]
    past: Past
    refusals: Refusals

    def refused(self, reason: str, message: str) -> None:
        if all(message != known["message"] for known in self.refusals):
            self.refusals.append({"reason": reason, "message": message})


class PlanCalls(NodeCalls):
    def plan(self, node_id: int, target: str, request: dict[str, Any]) -> dict[str, Any]:
        """Steps in order, what they destroy, how long they took, and every refusal.

        Raises Invalid for an unknown verb, NotFound.
        """
        verb = states.VERBS.get(target)
        if verb is None:
            raise Invalid(f"There is no provision verb {target!r}.")
        with self._box.store.read() as session:
            node = session.get(Node, node_id)
            if node is None:
                raise NotFound("The node could not be found; it has been deleted meanwhile.")
            session.expunge(node)
            flow = _flow(node, target)
            survey = _Survey(
                session=session,
                node=node,
                driver=SurveyDriver(self._box, node),
                target=target,
                flow=flow,
                request=request,
                past=Past.of_node(session, node_id),
                refusals=[],
            )
            allowed = self._box.settings.allow_provisioning_in_maintenance
            for reason, refusal in refusals_by_node(node, target, in_maintenance=allowed):
                survey.refused(reason, refusal.message)
            self._refused_by_others(survey)
            steps = _steps(survey)
            offers = _on_offer(survey)
        return _told(survey, steps, offers)

    def _refused_by_others(self, survey: _Survey) -> None:
        """The lease, other work, and a conductor that has enough to do."""
        node = survey.node
        lease = {"lease_owner": node.lease_owner, "lease_expires": node.lease_expires}
        if held(lease, self._box.store.clock.now()):
            text = locked_message(node.uuid, node.lease_host, node.lease_purpose, node.lease_since)
            survey.refused("lease", text)
        if survey.flow is None:
            return
        event = states.VERBS[survey.target].event
        for reason, refusal in refusals_by_work(
            survey.session, self._box, node, survey.flow, event
        ):
            survey.refused(reason, refusal.message)
        try:
            self._workers.admit()
        except Unavailable as busy:
            survey.refused("workers", busy.message)


def _flow(node: Node, target: str) -> str | None:
    """The flow that the verb would begin; None when it begins none."""
    if target == "abort":
        return "restore" if node.provision_state == states.SERVICE_FAILED else None
    if target == "manage" and node.provision_state != states.ENROLL:
        return None
    return FLOW_OF_VERB.get(target)


def _steps(survey: _Survey) -> list[StepSpec]:
    """The steps that would run, without those that only the ramdisk can tell."""
    if survey.flow is None:
        return _left(survey) if survey.target == "unhold" else []
    wish = Wish(survey.session, survey.node, survey.driver, survey.request)
    try:
        steps = FLOWS[survey.flow].plan(wish)
    except DrophammerError as error:
        steps = []
        if not _wants_list(survey):  # Then the error is that there is none, and was asked for.
            survey.refused("steps", error.message)
    for kind, message in survey.driver.noted.items():
        survey.refused(kind, message)
    for spec in steps:
        if spec.step == _REFUSING:
            survey.refused("steps", str(spec.args["reason"]))
    return [spec for spec in steps if spec.step != _REFUSING]


def _left(survey: _Survey) -> list[StepSpec]:
    """What is still to be done of the operation that is held."""
    if survey.node.operation_id is None:
        return []
    journal = operations.steps_of(survey.session, [survey.node.operation_id])
    return [_spec(step) for step in journal if step.finished_at is None]


def _spec(step: Step) -> StepSpec:
    destroys = stepplan.destroyed_by_agent(step.interface, step.step)
    return replace(StepSpec.of(step), destroys=destroys)


def _wants_list(survey: _Survey) -> bool:
    """Whether this is about cleaning or servicing, without saying by which steps."""
    return survey.flow in _LISTS and not survey.request.get(_LISTS[survey.flow])


def _on_offer(survey: _Survey) -> list[StepSpec] | None:
    """The steps to choose from, where the verb wants a list and none was given."""
    if not _wants_list(survey):
        return None
    purpose = FLOWS[str(survey.flow)].purpose or ""
    try:
        own = stepplan.offered(survey.driver, survey.node, purpose)
    except DrophammerError:
        return []  # No such driver here: that is among the refusals.
    return own + _lately_from_agent(survey, own)


def _lately_from_agent(survey: _Survey, known: Sequence[StepSpec]) -> list[StepSpec]:
    """The ramdisk's steps of the last time, but for those that are ``known`` already."""
    purpose = FLOWS[str(survey.flow)].purpose
    flows = [flow.name for flow in FLOWS.values() if flow.purpose == purpose]
    names = {(spec.interface, spec.step) for spec in known}
    return [
        spec for spec in survey.past.agent_steps(flows) if (spec.interface, spec.step) not in names
    ]


def _told(
    survey: _Survey, steps: Sequence[StepSpec], offers: Sequence[StepSpec] | None
) -> dict[str, Any]:
    later = any(spec.step in _DISCOVERING for spec in steps)
    shown = [_shown(survey, spec) for spec in (_with_later(survey, steps) if later else steps)]
    destroys = [str(step["destroys"]) for step in shown if step["destroys"]]
    return {
        "flow": survey.flow,
        "steps": shown,
        "discovered_later": later,
        "destroys": list(dict.fromkeys(destroys)),
        "refusals": survey.refusals,
        "on_offer": None if offers is None else [_shown(survey, spec) for spec in offers],
        **_spent(Spent() if survey.flow is None else survey.past.of_flow(survey.flow)),
    }


def _with_later(survey: _Survey, steps: Sequence[StepSpec]) -> list[StepSpec]:
    """With what the ramdisk brought along the last time, where it would come in again."""
    place = next(n for n, spec in enumerate(steps) if spec.step in _DISCOVERING)
    before, behind = list(steps[: place + 1]), list(steps[place + 1 :])
    if steps[place].step == "join_agent_steps":
        joining = [
            spec
            for spec in _lately_from_agent(survey, steps)
            if f"{spec.interface}.{spec.step}" not in steps[place].args["left_out"]
        ]
        return [*before, *sorted([*behind, *joining], key=stepplan.rank)]
    own = stepplan.offered(survey.driver, survey.node, "clean")
    given = priorities.given(survey.driver.box.settings, survey.node)
    offers = priorities.applied([*own, *_lately_from_agent(survey, own)], given)
    return [*before, *stepplan.automatic(offers), *behind]


def _shown(survey: _Survey, spec: StepSpec) -> dict[str, Any]:
    source, name = spec.source, spec.origin or None
    if source == USER and survey.request.get("runbook"):
        source, name = "runbook", survey.request.get("runbook_name")
    by_agent = spec.source == AGENT or spec.requires_ramdisk
    destroys = spec.destroys
    if by_agent and not destroys:
        destroys = stepplan.destroyed_by_agent(spec.interface, spec.step)
    return {
        "interface": spec.interface,
        "step": spec.step,
        "source": source,
        "source_name": name,
        "priority": spec.priority,
        "abortable": spec.abortable,
        "args": spec.args,
        "argsinfo": spec.argsinfo,
        "destroys": destroys or None,
        "discovered_later": spec.source == AGENT and spec.interface != "conductor",
        **_spent(survey.past.of_step(spec.interface, spec.step)),
    }


def _spent(spent: Spent) -> dict[str, Any]:
    return {"last_seconds": spent.last, "mean_seconds": spent.mean, "runs": spent.runs}
