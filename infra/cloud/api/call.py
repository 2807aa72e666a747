"""One call of an action, and the registry of the actions that are answered here and not by moto.

A handler gets a Call and returns the answer's members in the form of the API's reference. It may raise Refusal: then
nothing of what it has changed stays.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from kip_conformance.infra.cloud.api.settings import Settings

__all__ = ["ACTIONS", "Call", "Handler", "Refusal", "Work", "action", "decoded"]


class Refusal(Exception):
    """The API's refusal of a call: an error code of "Amazon EC2 API Reference, Error codes" and a sentence."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status


@dataclass(slots=True)
class Work:
    """What instances are to do once the call is on disk: ids in order."""

    start: list[str] = field(default_factory=list)
    stop: list[str] = field(default_factory=list)
    terminate: list[str] = field(default_factory=list)
    reboot: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Call:
    """An action's name, its parameters as the API's reference names them, and the state it acts on.

    `backend` is moto's EC2 state of the region; `moto` runs moto's own implementation of this action with `params` as
    they are then and returns the members of its answer (moto's objects, which can be serialized).
    """

    name: str
    params: dict[str, Any]
    backend: Any
    settings: Settings
    moto: Callable[[], Mapping[str, Any]]
    work: Work = field(default_factory=Work)

    @property
    def region(self) -> str:
        return self.settings.region

    @property
    def account(self) -> str:
        return self.settings.account

    def text(self, name: str) -> str:
        """A parameter that must be there. Raises Refusal (MissingParameter)."""
        value = self.params.get(name)
        if value is None or value == "":
            raise Refusal("MissingParameter", f"The request must contain the parameter {name}")
        return str(value)

    def tags(self, resource_type: str) -> dict[str, str]:
        """The tags for resources of a type, of TagSpecifications."""
        specifications = self.params.get("TagSpecifications") or []
        return {
            tag["Key"]: tag.get("Value", "")
            for specification in specifications
            if specification.get("ResourceType") == resource_type
            for tag in specification.get("Tags", [])
        }


Handler = Callable[[Call], Mapping[str, Any]]
ACTIONS: dict[str, Handler] = {}


def action(*names: str) -> Callable[[Handler], Handler]:
    """Register the handler of one or more actions."""

    def register(handler: Handler) -> Handler:
        for name in names:
            if name in ACTIONS:
                raise ValueError(f"{name} has two handlers")
            ACTIONS[name] = handler
        return handler

    return register


def decoded(user_data: str) -> bytes:
    """User data as bytes. Raises Refusal (InvalidUserData.Malformed) when it is not base64."""
    try:
        return base64.b64decode("".join(user_data.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise Refusal("InvalidUserData.Malformed", "Invalid BASE64 encoding of user data.") from error
