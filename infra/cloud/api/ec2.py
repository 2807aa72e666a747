"""EC2: from a request to its answer. Checks that hold for every action are here, what single actions do is not.

A call runs under the store's lock: check, change in memory, put on disk, then answer. A refused call and a dry run
leave nothing. moto parses parameters and writes answers by botocore's own description of the API.
"""

from __future__ import annotations

import sys
import traceback
import uuid
from collections.abc import Callable, Mapping
from typing import Any
from xml.sax.saxutils import escape

from botocore.model import OperationNotFoundError
from kip_conformance.infra.cloud.api.call import ACTIONS, Call, Refusal, Work
from kip_conformance.infra.cloud.api.errors import check_ids
from kip_conformance.infra.cloud.api.realizer import Realizer
from kip_conformance.infra.cloud.api.settings import Settings
from kip_conformance.infra.cloud.api.store import Store
from kip_conformance.infra.cloud.api.switch import Switch
from kip_conformance.infra.cloud.api.unsimulated import check_simulated
from kip_conformance.infra.cloud.api.writing import NotPlain, written
from moto.core.exceptions import ServiceException
from moto.core.responses import ActionResult
from moto.core.utils import camelcase_to_underscores, get_service_model
from moto.ec2.responses import EC2Response

__all__ = ["Answer", "Ec2", "refused"]

Answer = tuple[int, dict[str, str], bytes]

READING = ("Describe", "Get", "List", "Search")
# moto's codes that are not the API's ("Amazon EC2 API Reference, Error codes").
CODES = {
    "InvalidVpcPeeringConnectionId.NotFound": "InvalidVpcPeeringConnectionID.NotFound",
    "InvalidVpcCidrBlockAssociationIdError.NotFound": "InvalidVpcCidrBlockAssociationID.NotFound",
    "NoSuchEntity": "InvalidParameterValue",
}


class Ec2:
    """The EC2 service of one region."""

    def __init__(self, store: Store, settings: Settings, switch: Switch, backend: Callable[[], Any]) -> None:
        self.store = store
        self.settings = settings
        self.switch = switch
        self.backend = backend
        self.realizer: Realizer | None = None

    def answer(self, request: Any) -> Answer:
        """The answer to one HTTP request, refused or not."""
        response = EC2Response()
        try:
            name = self._parse(response, request)
            with self.store.lock:
                return self._call(name, response)
        except Refusal as refusal:
            return refused(refusal)
        except Exception:
            traceback.print_exc(file=sys.stderr)
            return refused(Refusal("InternalError", "An internal error has occurred", 500))

    def _parse(self, response: Any, request: Any) -> str:
        """Take up the request's parameters; returns the action's name."""
        values = request.values
        name = values.get("Action", "")
        if not name:
            raise Refusal("MissingAction", "The request is missing an action or a required parameter.")
        try:
            model = get_service_model("ec2").operation_model(name)
        except OperationNotFoundError as error:
            raise Refusal("InvalidAction", f"The action {name} is not valid for this web service.") from error
        try:
            response.setup_class(request)
        except (ValueError, TypeError) as error:
            raise Refusal("InvalidParameterValue", f"A parameter cannot be read: {error}") from error
        if response.region != self.settings.region:
            here = self.settings.region
            raise Refusal("AuthFailure", f"This cloud has one region, {here}, and not {response.region}", 401)
        response.params = _plain(response.params)
        self.switch.meet(name)
        for member in model.input_shape.required_members if model.input_shape else []:
            if response.params.get(member) in (None, "", []):
                raise Refusal("MissingParameter", f"The request must contain the parameter {member}")
        check_simulated(name, response.params)
        check_ids(name, response.params)
        return str(name)

    def _call(self, name: str, response: Any) -> Answer:
        is_dry = bool(response.params.pop("DryRun", False))
        is_reading = name.startswith(READING)
        work = Work()
        try:
            call = Call(name, response.params, self.backend(), self.settings, lambda: _members(response, name), work)
            result = ACTIONS[name](call) if name in ACTIONS else None
            answer = _answered(response, name, result) if result is not None else _by_moto(response, name)
            if is_dry:
                raise Refusal("DryRunOperation", "Request would have succeeded, but DryRun flag is set.", 412)
            has_changed = not is_reading and self.store.commit("ec2")
        except BaseException as error:
            if not is_reading or is_dry:
                self.store.undo("ec2")
            raise _as_refusal(error, name) from error
        if has_changed:
            self._set_to_work(work)
        return answer

    def _set_to_work(self, work: Work) -> None:
        if self.realizer is None:
            return
        for ids, tell in (
            (work.start, self.realizer.start),
            (work.stop, self.realizer.stop),
            (work.terminate, self.realizer.terminate),
            (work.reboot, self.realizer.reboot),
        ):
            if ids:
                tell(ids)
        self.realizer.changed(self.store.version)


def refused(refusal: Refusal) -> Answer:
    """A refusal as the query APIs write it."""
    body = (
        '<?xml version="1.0" encoding="UTF-8"?>\n<Response><Errors><Error>'
        f"<Code>{escape(refusal.code)}</Code><Message>{escape(refusal.message)}</Message>"
        f"</Error></Errors><RequestID>{uuid.uuid4()}</RequestID></Response>"
    )
    return refusal.status, {"Content-Type": "text/xml;charset=UTF-8"}, body.encode()


def _as_refusal(error: BaseException, name: str) -> BaseException:
    if isinstance(error, ServiceException):
        return Refusal(CODES.get(error.code, error.code), error.message)
    if isinstance(error, NotImplementedError):
        return Refusal("UnsupportedOperation", f"{name} with these parameters is not simulated: {error}")
    return error


def _method(name: str) -> str:
    method = camelcase_to_underscores(name)
    if not hasattr(EC2Response, method):
        raise NotImplementedError("nothing is known of this action")
    return str(method)


def _members(response: Any, name: str) -> Mapping[str, Any]:
    result = getattr(response, _method(name))()
    return result.result or {} if isinstance(result, ActionResult) else {}


def _by_moto(response: Any, name: str) -> Answer:
    result = getattr(response, _method(name))()
    if isinstance(result, ActionResult):
        return _written(response, result)
    if isinstance(result, str):
        return 200, {"Content-Type": "text/xml;charset=UTF-8"}, result.encode()
    raise NotImplementedError("its answer cannot be written")


def _answered(response: Any, name: str, result: Mapping[str, Any]) -> Answer:
    """What a handler of ours gives, which may hold objects of moto's."""
    try:
        return 200, {"Content-Type": "text/xml;charset=UTF-8"}, written(name, result)
    except NotPlain:
        return _written(response, ActionResult(result))


def _written(response: Any, result: Any) -> Answer:
    status, headers, body = response.serialized(result)
    return int(status), {key: str(value) for key, value in headers.items()}, body.encode()


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return value
