"""Client tokens: a call with the token of an earlier one gives the earlier result.

"Amazon EC2 Developer Guide, Ensuring idempotency": the same token with other parameters is refused
(IdempotentParameterMismatch). Tokens are part of the state, so they outlive the server.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable

from kip_conformance.infra.cloud.api.call import Call, Refusal

__all__ = ["once"]

KEPT = 2000


def once(call: Call, make: Callable[[], str]) -> str:
    """The id that `make` gives, or gave when this token came first; `make` runs once a token.

    Raises Refusal (IdempotentParameterMismatch).
    """
    token = call.params.get("ClientToken")
    if not token:
        return make()
    known: dict[tuple[str, str], tuple[str, str]] = call.backend.__dict__.setdefault("kip_tokens", {})
    digest = hashlib.sha256(json.dumps(call.params, sort_keys=True, default=str).encode()).hexdigest()
    if found := known.get((call.name, token)):
        if found[0] != digest:
            raise Refusal(
                "IdempotentParameterMismatch",
                "The client token you have provided is associated with a different set of parameters: "
                "use another token for another request.",
            )
        return found[1]
    made = make()
    known[call.name, token] = digest, made
    # Clients of the API send a token with most calls; those of long ago are of no use to anybody.
    while len(known) > KEPT:
        del known[next(iter(known))]
    return made
