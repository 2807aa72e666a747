"""The phase scheduler against simulated workers that behave as pytest-xdist's do, in every order of events."""

from __future__ import annotations

import random
from collections import deque

import pytest
from kip_conformance.fixtures.scheduler import PhaseScheduler


class Worker:
    """Runs an item only when it knows the next one, or that there is none."""

    def __init__(self, name):
        self.name = name
        self.queue = deque()
        self.shutting_down = False
        self.is_over = False

    def send_runtest_some(self, indices):
        assert not self.shutting_down
        self.queue.extend(indices)

    def shutdown(self):
        self.shutting_down = True

    @property
    def can_run(self):
        return len(self.queue) > 1 or (self.shutting_down and bool(self.queue))

    @property
    def can_end(self):
        return self.shutting_down and not self.queue and not self.is_over


class Simulation:
    """Plays the part of pytest-xdist's controller loop, picking the next event at random."""

    def __init__(self, phases, workers, seed, crashes=0, alone=()):
        self.random = random.Random(seed)
        self.phases = phases
        self.collection = [f"item-{index}" for index in range(len(phases))]
        self.entered = []
        self.ran = []
        self.crashed = []
        self.crashes = crashes
        self.alone = alone
        self.scheduler = PhaseScheduler(
            workers, lambda nodeid: phases[int(nodeid[5:])], self.entered.append, alone.__contains__
        )
        self.workers = []
        for _ in range(workers):
            self.join()

    def join(self):
        worker = Worker(f"gw{len(self.workers)}")
        self.workers.append(worker)
        self.scheduler.add_node(worker)
        self.scheduler.add_node_collection(worker, self.collection)
        if self.scheduler.collection_is_completed:
            self.scheduler.schedule()

    def play(self):
        shutting_down = False
        for _ in range(10_000):
            living = [worker for worker in self.workers if not worker.is_over]
            if not living:
                assert shutting_down
                return
            events = [(self.run, worker) for worker in living if worker.can_run]
            events += [(self.end, worker) for worker in living if worker.can_end]
            if self.crashes and self.scheduler.collection_is_completed:
                events += [(self.crash, worker) for worker in living]
            assert events, f"deadlock: {[(worker.name, list(worker.queue)) for worker in living]}"
            event, worker = self.random.choice(events)
            event(worker)
            if event == self.crash:
                shutting_down = False
            if self.scheduler.tests_finished:
                shutting_down = True
                for each in self.workers:
                    each.shutdown()
        raise AssertionError("never ended")

    def run(self, worker):
        index = worker.queue.popleft()
        assert self.phases[index] == self.entered[-1], "an item ran outside of its phase"
        if self.phases[index] in self.alone:
            beside = [each.name for each in self.workers if not each.is_over and each is not worker and each.can_run]
            assert not beside, f"beside an item that must run alone: {beside}"
        self.ran.append(index)
        self.scheduler.mark_test_complete(worker, index)

    def end(self, worker):
        worker.is_over = True
        assert self.scheduler.remove_node(worker) is None

    def crash(self, worker):
        self.crashes -= 1
        was_running = worker.can_run
        worker.is_over = True
        lost = self.scheduler.remove_node(worker)
        assert (lost is not None) == was_running
        if lost is not None:
            self.crashed.append(int(lost[5:]))
        self.join()


PHASES = {
    "one": [0],
    "empty": [],
    "two-phases": [0, 0, 0, 1, 1, 1],
    "more-workers-than-items": [0, 1],
    "a-phase-of-one": [0] * 5 + [1] + [2] * 5,
    "first-number-unused": [1, 1, 1, 3],
    "long": [0] * 20 + [1] * 20 + [2] * 7,
    "mixed": [1, 0, 2, 0, 1, 2, 0],
}


@pytest.mark.parametrize("phases", PHASES.values(), ids=PHASES)
@pytest.mark.parametrize("workers", [1, 2, 3, 5])
def test_every_item_runs_once_and_in_its_phase(phases, workers):
    for seed in range(30):
        simulation = Simulation(phases, workers, seed)
        simulation.play()
        assert sorted(simulation.ran) == list(range(len(phases)))
        assert simulation.entered == sorted(set(phases))


@pytest.mark.parametrize("phases", PHASES.values(), ids=PHASES)
@pytest.mark.parametrize("workers", [1, 2, 3])
def test_a_worker_that_dies_takes_at_most_the_item_that_it_ran(phases, workers):
    for seed in range(60):
        simulation = Simulation(phases, workers, seed, crashes=3)
        simulation.play()
        assert sorted(simulation.ran + simulation.crashed) == list(range(len(phases)))
        assert simulation.entered == sorted(set(phases))


@pytest.mark.parametrize("phases", PHASES.values(), ids=PHASES)
@pytest.mark.parametrize("alone", [{1}, {0, 1}, {0}, {1, 3}], ids=str)
@pytest.mark.parametrize("workers", [1, 2, 3, 5])
def test_a_phase_that_must_run_alone_has_one_worker_and_nothing_beside_it(phases, alone, workers):
    for seed in range(60):
        simulation = Simulation(phases, workers, seed, crashes=seed % 3, alone=alone)
        simulation.play()
        assert sorted(simulation.ran + simulation.crashed) == list(range(len(phases)))
        assert simulation.entered == sorted(set(phases))


def test_workers_that_collected_different_items_are_an_error():
    scheduler = PhaseScheduler(2, lambda nodeid: 0, lambda phase: None)
    for number in (1, 2):
        worker = Worker(f"gw{number}")
        scheduler.add_node(worker)
        scheduler.add_node_collection(worker, [f"item-{number}"])
    with pytest.raises(RuntimeError, match="different items"):
        scheduler.schedule()
