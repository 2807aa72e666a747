"""The providers read a copy of provider.yaml: what is changed in the file itself has no effect."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

from kip_conformance.infra.faults.fault import Fault
from kip_conformance.infra.lab.cells import command_files, restart_providers
from kip_conformance.infra.targets.lab import LabCluster


@contextlib.contextmanager
def _plant(lab: LabCluster) -> Iterator[None]:
    before = {file: file.read_text() for file in command_files(lab.control)}
    try:
        for file, text in before.items():
            argv = json.loads(text)
            at = argv.index("--config") + 1
            config = Path(argv[at])
            copy = config.with_name("provider-kept.yaml")
            copy.write_bytes(config.read_bytes())
            argv[at] = str(copy)
            file.write_text(json.dumps(argv))
        restart_providers(lab.control)
        yield
    finally:
        for file, text in before.items():
            file.write_text(text)
        restart_providers(lab.control)


FAULT = Fault(
    name="providers-keep-their-settings",
    sentence="a change of provider.yaml has no effect on the providers",
    plant=_plant,
    kills=("BTS-03", "BTS-04"),
    on_cells=True,
)
