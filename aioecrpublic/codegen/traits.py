"""The keys of a service model: what is used, what need not be, and what nobody knows yet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_USED: Final = "used"
_DEPRECATION: Final = "only tells that it is deprecated"
_XML: Final = "about XML or the query protocol"

KNOWN: Final[Mapping[str, Mapping[str, str]]] = {
    "service": {
        "clientContextParams": "defaults of endpoint parameters, which the operations give themselves",
        "documentation": _USED,
        "metadata": _USED,
        "operations": _USED,
        "shapes": _USED,
        "version": "the format of the model's file",
    },
    "metadata": {
        "apiVersion": _USED,
        "auth": _USED,
        "awsQueryCompatible": _USED,
        "endpointPrefix": _USED,
        "jsonVersion": _USED,
        "protocol": _USED,
        "protocolSettings": "about HTTP/2, which streams of events alone need; they are left out",
        "protocols": _USED,
        "ripServiceName": "a name within AWS",
        "serviceAbbreviation": "another name of the service",
        "serviceFullName": _USED,
        "serviceId": _USED,
        "signatureVersion": _USED,
        "signingName": _USED,
        "targetPrefix": _USED,
        "uid": "an id of the model's file",
        "xmlNamespace": _XML,
    },
    "operation": {
        "auth": _USED,
        "authtype": _USED,
        "deprecated": _DEPRECATION,
        "deprecatedMessage": _DEPRECATION,
        "deprecatedSince": _DEPRECATION,
        "documentation": _USED,
        "endpoint": _USED,
        "endpointdiscovery": _USED,
        "endpointoperation": "called as any other operation",
        "errors": _USED,
        "http": _USED,
        "idempotent": "no retry depends on it",
        "input": _USED,
        "name": _USED,
        "operationContextParams": _USED,
        "output": _USED,
        "readonly": "no retry depends on it",
        "requestcompression": _USED,
        "staticContextParams": _USED,
    },
    "http": {"method": _USED, "requestUri": _USED},
    "endpoint": {"hostPrefix": _USED},
    "reference": {
        "documentation": "the shape's own is used",
        "jsonvalue": "about headers, which no shape of a JSON protocol travels in",
        "resultWrapper": _XML,
        "shape": _USED,
    },
    "member": {
        "box": "every optional member may be absent",
        "contextParam": _USED,
        "deprecated": _DEPRECATION,
        "deprecatedMessage": _DEPRECATION,
        "deprecatedSince": _DEPRECATION,
        "documentation": _USED,
        "flattened": _XML,
        "hostLabel": _USED,
        "idempotencyToken": _USED,
        "jsonvalue": "about headers, which no member of a JSON protocol travels in",
        "shape": _USED,
        "timestampFormat": _USED,
    },
    "shape": {
        "box": "every optional member may be absent",
        "deprecated": _DEPRECATION,
        "deprecatedMessage": _DEPRECATION,
        "deprecatedSince": _DEPRECATION,
        "document": _USED,
        "documentation": _USED,
        "enum": _USED,
        "error": _USED,
        "event": "part of a stream of events",
        "eventstream": _USED,
        "exception": _USED,
        "fault": "the reply's status tells whose fault it is",
        "flattened": _XML,
        "key": _USED,
        "max": _USED,
        "member": _USED,
        "members": _USED,
        "min": _USED,
        "pattern": _USED,
        "required": _USED,
        "retryable": _USED,
        "sensitive": _USED,
        "sparse": _USED,
        "synthetic": "how the error came into the model",
        "timestampFormat": _USED,
        "type": _USED,
        "union": _USED,
        "value": _USED,
        "wrapper": _XML,
        "xmlOrder": _XML,
    },
    "error": {
        "code": "the code of the query protocol, which comes in a header",
        "httpStatusCode": _USED,
        "senderFault": "the reply's status tells whose fault it is",
    },
}
"""Every key of the models of JSON services by the place where it stands, and how it is treated."""


def unknown_keys(raw: Mapping[str, Any]) -> dict[str, str]:
    """Return the unknown keys of a model, such as ``shape.sparkling``, each with one that has it."""
    found: dict[str, str] = {}
    for place, owner, keys in _places(raw):
        for key in keys:
            if key not in KNOWN[place]:
                found.setdefault(f"{place}.{key}", owner)
    return found


def _places(raw: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    yield "service", "the service", raw
    yield "metadata", "the service", raw["metadata"]
    for name, operation in raw["operations"].items():
        yield "operation", name, operation
        yield "http", name, operation.get("http", {})
        yield "endpoint", name, operation.get("endpoint", {})
        for reference in (operation.get("input"), operation.get("output"), *operation.get("errors", ())):
            yield "reference", name, reference or {}
    for name, shape in raw["shapes"].items():
        yield "shape", name, shape
        yield "error", name, shape.get("error", {})
        for wire, member in shape.get("members", {}).items():
            yield "member", f"{name}.{wire}", member
        for part in ("member", "key", "value"):
            yield "reference", name, shape.get(part, {})
