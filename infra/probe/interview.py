"""The asynchronous half of the driver: links to all places, rounds of probes, and the second look before a conclusion.

What an answer means is rounds.py; what tests call is driver.py.
"""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from kip_conformance.infra.errors import HarnessError
from kip_conformance.infra.probe.channel import Channel, ChannelLost
from kip_conformance.infra.probe.exec_stream import ExecStream, run_in_pod
from kip_conformance.infra.probe.kubeconfig import ApiAccess, load_kubeconfig
from kip_conformance.infra.probe.link import Link
from kip_conformance.infra.probe.observation import DENIED_KINDS, Observation
from kip_conformance.infra.probe.pipe import PipeChannel
from kip_conformance.infra.probe.pod_facts import restart_facts
from kip_conformance.infra.probe.rounds import Question, Round
from kip_conformance.infra.targets.protocol import Completed, Machine, Place, PodRef

__all__ = ["Interview"]

POD_PROBER = ("/usr/bin/python3", "-I", "-S", "/prober.py")
"""How the prober is run inside its image."""


class Interview:
    """Asks probers. All methods run in one event loop; `places` is shared with the driver and may change."""

    def __init__(
        self,
        places: Mapping[str, Place],
        machines: Mapping[str, Machine],
        kubeconfig: Path,
        *,
        worker: str,
        host_prober: Sequence[str],
    ) -> None:
        self._places, self._machines, self._kubeconfig = places, machines, kubeconfig
        self._worker, self._host_prober = worker, tuple(host_prober)
        self._links: dict[str, Link] = {}
        self._access: ApiAccess | None = None
        # Nonces of two drivers must never be equal, whatever their workers are called.
        self._prefix = f"{os.urandom(4).hex()}-{worker}"
        self._numbers = itertools.count(1)

    async def observe(
        self, questions: Sequence[Question], *, timeout: float, options: Mapping[str, Any]
    ) -> list[Observation]:
        """One observation for each question, in order. Raises HarnessError when one of them could not be made.

        A second look, at the questions in doubt alone, is taken when a probe timed out while a prober on either side
        ran late, or when a listener did not answer its own prober. Only then is silence silence, or a listener dead.
        A question that was asked several times is asked again as often: repeating the unanswered ones alone would
        let a target that chooses among its peers choose a live one this time, and hide the dead one.
        """
        first = await self._round(questions, timeout, options)
        in_doubt = {questions[number] for number in first.answers if self._is_doubtful(first, number)}
        doubtful = [number for number in first.answers if questions[number] in in_doubt]
        answered: dict[int, tuple[Round, int]] = {number: (first, number) for number in first.answers}
        if doubtful:
            second = await self._round([questions[number] for number in doubtful], timeout, options)
            answered.update({number: (second, index) for index, number in enumerate(doubtful)})
        arrived = await self._arrived(answered)
        return [
            round_.conclude(index, self._places, arrived=number in arrived)
            for number, (round_, index) in sorted(answered.items())
        ]

    async def ask(self, name: str, message: dict[str, Any], wait: float) -> dict[str, Any]:
        """One other request to one place. Raises HarnessError when there is no reply `wait` + 4 seconds later."""
        return await self._link(name).call(lambda _attempt: message, wait + 4.0)

    async def ask_all(self, questions: Sequence[tuple[str, dict[str, Any]]], wait: float) -> list[dict[str, Any]]:
        """Many requests at once; the replies in order. Raises HarnessError as `ask` does, after all have ended."""
        replies: dict[int, dict[str, Any]] = {}

        async def one(number: int, name: str, message: dict[str, Any]) -> None:
            replies[number] = await self.ask(name, message, wait)

        await self._together({number: one(number, *each) for number, each in enumerate(questions)})
        return [replies[number] for number in range(len(questions))]

    async def execute(self, pod: PodRef, argv: Sequence[str], *, stdin: bytes, timeout: float) -> Completed:
        return await run_in_pod(self._api(), pod, argv, stdin=stdin, timeout=timeout)

    async def open(self, names: Iterable[str]) -> None:
        await self._together({name: self.ask(name, {"op": "heartbeat"}, 1.0) for name in names})

    async def forget(self, name: str) -> None:
        link = self._links.pop(name, None)
        if link is not None:
            await link.close()

    async def close(self) -> None:
        await asyncio.gather(*(link.close() for link in self._links.values()))
        self._links.clear()

    async def _round(self, questions: Sequence[Question], timeout: float, options: Mapping[str, Any]) -> Round:
        round_ = Round(questions, self._places, timeout=timeout, options=options)

        async def ask(name: str) -> None:
            nonces: list[str] = []

            def build(_attempt: int) -> dict[str, Any]:
                # A batch that is run again gets nonces of its own: the lost one may have been sent, too.
                nonces.append(f"{self._prefix}-{next(self._numbers)}")
                return round_.message(name, nonces[-1])

            reply = await self._link(name).call(build, round_.patience(name))
            round_.read(name, reply, nonces[-1])

        await self._together({name: ask(name) for name in round_.clients})
        return round_

    async def _together(self, calls: Mapping[Any, Awaitable[object]]) -> None:
        """All at once; the first error is raised only after all have ended, and says how many places have one."""
        outcomes = await asyncio.gather(*calls.values(), return_exceptions=True)
        errors = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
        for error in errors:
            if not isinstance(error, HarnessError):
                raise error
        if len(errors) > 1:
            raise HarnessError(f"{errors[0]} (and {len(errors) - 1} more places)") from errors[0]
        if errors:
            raise errors[0]

    def _is_doubtful(self, round_: Round, number: int) -> bool:
        question, answer = round_.questions[number], round_.answers[number]
        if answer.kind in ("open", "error"):
            return False
        ran_late = answer.kind == "timeout" and round_.ran_late(question)
        return ran_late or round_.vouched(question.target, self._places) is not None

    async def _arrived(self, answered: Mapping[int, tuple[Round, int]]) -> set[int]:
        """Which of the unanswered requests a peer's listener saw all the same."""
        asked: dict[str, dict[str, int]] = {}
        for number, (round_, index) in answered.items():
            answer = round_.answers[index]
            if answer.kind in DENIED_KINDS:
                for peer in round_.questions[index].target.peers:
                    asked.setdefault(peer, {})[answer.nonce] = number
        arrived: set[int] = set()

        async def ask(peer: str, nonces: dict[str, int]) -> None:
            reply = await self.ask(peer, {"op": "seen", "nonces": list(nonces)}, 1.0)
            arrived.update(
                number for number, source in zip(nonces.values(), reply["sources"], strict=True) if source is not None
            )

        await self._together({peer: ask(peer, nonces) for peer, nonces in asked.items()})
        return arrived

    def _link(self, name: str) -> Link:
        if name not in self._places:
            raise HarnessError(f"{name} is no place known to this driver")
        if name not in self._links:
            place = self._places[name]
            self._links[name] = Link(
                name, self._opener(place), worker=self._worker, describe_loss=self._describer(place)
            )
        return self._links[name]

    def _opener(self, place: Place) -> Callable[[], Awaitable[Channel]]:
        async def through_exec() -> Channel:
            assert place.pod is not None
            return await ExecStream.open(self._api(), place.pod, (*POD_PROBER, "channel", "--socket", place.socket))

        async def through_pipe() -> Channel:
            argv = (*self._host_prober, "channel", "--socket", place.socket)
            try:
                return PipeChannel(await asyncio.to_thread(self._machines[place.machine].open, argv))
            except HarnessError as error:
                raise ChannelLost(str(error)) from error
            except (OSError, KeyError) as error:
                raise ChannelLost(f"machine {place.machine} cannot start the channel: {error!r}") from error

        return through_exec if place.pod is not None else through_pipe

    def _describer(self, place: Place) -> Callable[[], Awaitable[str]] | None:
        pod = place.pod
        return None if pod is None else lambda: restart_facts(self._api(), pod)

    def _api(self) -> ApiAccess:
        if self._access is None:
            self._access = load_kubeconfig(self._kubeconfig)
        return self._access
