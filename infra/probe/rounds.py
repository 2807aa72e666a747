"""One round of probes: what each place is asked, how the replies are read, and what may be concluded from them.

Pure values in, values out; sending is driver.py. The rule that keeps a dead listener from reading as "denied" is here:
in the same batch every expected peer's own prober also probes its own listener, at the place's loopback address.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kip_conformance.infra.errors import HarnessError
from kip_conformance.infra.probe.observation import NOT_VOUCHED, REQUEST_ARRIVED, Kind, Observation
from kip_conformance.infra.probe.probe_target import ProbeTarget
from kip_conformance.infra.probe.prober import IN_FLIGHT, QUIET
from kip_conformance.infra.targets.protocol import Place, Protocol4

__all__ = ["Answer", "Control", "Question", "Round"]

LOOPBACK = "127.0.0.1"
_PATIENCE = 4.0  # seconds a reply may be late, beyond what its probes may take


@dataclass(frozen=True, slots=True)
class Question:
    """One probe to be sent: from a place (by name), at a target."""

    client: str
    target: ProbeTarget


@dataclass(frozen=True, slots=True)
class Control:
    """A place's own listener, as its own prober reaches it."""

    place: str
    protocol: Protocol4
    port: int

    def __str__(self) -> str:
        return f"listener {self.protocol} {self.port} of place {self.place}"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a prober reported for one probe. `kind` may also be "error": the probe could not be sent at all."""

    kind: str
    nonce: str
    peer: str | None = None
    source: str | None = None
    rtt: float | None = None
    attempt: int = 1
    instance: str | None = None
    detail: str = ""


class Round:
    """The questions of one round with the controls that they need, and, once read, the answers."""

    def __init__(
        self,
        questions: Sequence[Question],
        places: Mapping[str, Place],
        *,
        timeout: float,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        self.questions, self.timeout, self._options = questions, timeout, dict(options or {})
        self.answers: dict[int, Answer] = {}
        self.controls: dict[Control, Answer] = {}
        self.lag: dict[str, float] = {}
        self._asked: dict[str, list[int | Control]] = {}
        self._instances: dict[str, set[str | None]] = {}
        for number, question in enumerate(questions):
            self._asked.setdefault(question.client, []).append(number)
        for target in dict.fromkeys(question.target for question in questions):
            for control in controls_of(target, places):
                wanted = self._asked.setdefault(control.place, [])
                if control not in self.controls:
                    self.controls[control] = Answer("timeout", "", detail="not asked yet")
                    wanted.append(control)

    @property
    def clients(self) -> tuple[str, ...]:
        """The places whose probers take part."""
        return tuple(self._asked)

    def message(self, place: str, nonce: str) -> dict[str, Any]:
        """The request to one place's prober."""
        return {
            "op": "probe",
            "nonce": nonce,
            "defaults": {"timeout": self.timeout},
            "probes": [self._probe(asked) for asked in self._asked[place]],
        }

    def patience(self, place: str) -> float:
        """Seconds after which a reply is overdue: a prober that runs late may extend a timeout up to three times."""
        return (
            4 * (self.timeout + float(self._options.get("idle", 0.0)))
            + len(self._asked[place]) / IN_FLIGHT * QUIET
            + _PATIENCE
        )

    def read(self, place: str, reply: Mapping[str, Any], nonce: str) -> None:
        """Take one place's reply. Raises HarnessError when it does not answer every probe in a form we know."""
        asked, results = self._asked[place], reply.get("results")
        if not isinstance(results, list) or len(results) != len(asked):
            count = len(results) if isinstance(results, list) else "no"
            raise HarnessError(f"place {place}: its prober returned {count} results for {len(asked)} probes")
        self.lag[place] = float(reply.get("lag", 0.0))
        for index, (about, result) in enumerate(zip(asked, results, strict=True)):
            answer = _read(place, result, f"{nonce}.{index}")
            if isinstance(about, Control):
                self.controls[about] = answer
                if answer.kind == "open" and answer.peer == place:
                    self._instances.setdefault(place, set()).add(answer.instance)
            else:
                self.answers[about] = answer

    def vouched(self, target: ProbeTarget, places: Mapping[str, Place]) -> Control | None:
        """None when every listener that could have answered is alive, else the first that is not."""
        for control in controls_of(target, places):
            answer = self.controls[control]
            if answer.kind != "open" or answer.peer != control.place:
                return control
        return None

    def ran_late(self, question: Question) -> bool:
        """Whether a prober on either side ran late by more than a tenth of the timeout."""
        return any(self.lag.get(name, 0.0) > self.timeout / 10 for name in (question.client, *question.target.peers))

    def conclude(self, number: int, places: Mapping[str, Place], *, arrived: bool) -> Observation:
        """The observation that an answer amounts to; `arrived` says that a peer saw the request.

        Raises HarnessError when the probe could not be sent, or when it went unanswered and a listener is dead.
        """
        question, answer = self.questions[number], self.answers[number]
        target = question.target
        if answer.kind == "error":
            raise HarnessError(f"place {question.client}: could not probe {target.name}: {answer.detail}")
        observation = self._observation(target, answer)
        if observation.is_open:
            return observation
        dead = self.vouched(target, places)
        if dead is not None:
            own = self.controls[dead]
            seen = f"answered by {own.peer}" if own.kind == "open" else f"{own.kind} ({own.detail})"
            raise HarnessError(
                f"{dead} does not answer its own prober at {LOOPBACK}: {seen}; "
                f"so {observation} from {question.client} to {target.name} says nothing"
            )
        notes = [observation.detail]
        if arrived:
            notes.append(REQUEST_ARRIVED)
        if not target.peers:
            notes.append(NOT_VOUCHED)
        return Observation(
            observation.kind, observation.peer, observation.seen_source, observation.rtt, "; ".join(filter(None, notes))
        )

    def _observation(self, target: ProbeTarget, answer: Answer) -> Observation:
        kind: Kind = answer.kind  # type: ignore[assignment]
        if kind != "open":
            return Observation(kind, answer.peer, answer.source, answer.rtt, answer.detail)
        detail = "answered at the second attempt" if answer.attempt > 1 else ""
        if answer.peer not in target.peers:
            return Observation("wrong_peer", answer.peer, answer.source, answer.rtt, detail)
        if answer.instance not in self._instances.get(answer.peer or "", {answer.instance}):
            detail = "another prober under the same name"
            return Observation("wrong_peer", answer.peer, answer.source, answer.rtt, detail)
        return Observation("open", answer.peer, answer.source, answer.rtt, detail)

    def _probe(self, asked: int | Control) -> dict[str, Any]:
        if isinstance(asked, Control):
            return {"proto": asked.protocol, "host": LOOPBACK, "port": asked.port}
        target = self.questions[asked].target
        return {"proto": target.protocol, "host": target.address, "port": target.port, **self._options}


def controls_of(target: ProbeTarget, places: Mapping[str, Place]) -> Iterator[Control]:
    """The listeners that must be alive for silence at `target` to mean anything. Raises HarnessError on a stranger."""
    for name in target.peers:
        if name not in places:
            raise HarnessError(f"target {target.name} expects {name}, which is no place known to this driver")
        ports = places[name].ports if target.backend_port is None else (target.backend_port,)
        for port in ports:
            yield Control(name, target.protocol, port)


def _read(place: str, result: Any, nonce: str) -> Answer:
    """One result as prober.py writes it: open with its facts, or a kind with a peer, if any, and a detail."""
    try:
        if result[0] == "open":
            _, peer, source, _port, rtt, attempt, instance = result
            return Answer("open", nonce, peer, source, float(rtt), int(attempt), instance)
        kind, peer, detail = result
    except (TypeError, ValueError, IndexError, KeyError) as error:
        raise HarnessError(f"place {place}: its prober returned a result in no known form: {result!r}") from error
    if kind not in ("refused", "reset", "timeout", "unreachable", "no_name", "wrong_peer", "error"):
        raise HarnessError(f"place {place}: its prober returned a result of unknown kind: {result!r}")
    return Answer(kind, nonce, peer, detail=str(detail))
