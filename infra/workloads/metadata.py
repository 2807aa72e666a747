"""The instance metadata address, as a pod hears it.

Source: Amazon EC2 User Guide, Use the Instance Metadata Service to access instance metadata (version 2: a token first).
"""

from __future__ import annotations

from kip_conformance.infra.errors import HarnessError
from kip_conformance.infra.targets.protocol import Place
from kip_conformance.infra.workloads.reading import ClusterReader

__all__ = ["heard_from_metadata"]

# A connection counts: an answer to the request for a token may be limited to one hop, others are not.
_ASK = """
import http.client, socket
connection = http.client.HTTPConnection("169.254.169.254", timeout=3)
try:
    connection.connect()
except OSError as error:
    print("silent", type(error).__name__)
else:
    try:
        connection.request("PUT", "/latest/api/token", headers={"X-aws-ec2-metadata-token-ttl-seconds": "60"})
        print("answered", connection.getresponse().status)
    except OSError as error:
        print("connected", type(error).__name__)
"""


def heard_from_metadata(api: ClusterReader, place: Place) -> str:
    """`answered STATUS` for a request for a token, `connected` with an error after that; empty when nobody is there.

    Raises HarnessError when the place's pod could not ask.
    """
    ran = api.run(place, ["/usr/bin/python3", "-I", "-c", _ASK])
    said = ran.output.strip()
    if ran.exit_code != 0 or not said:
        raise HarnessError(f"{place.name}: could not ask the metadata address: {ran.refusal or said[-300:]}")
    return "" if said.startswith("silent") else said
