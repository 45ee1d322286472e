"""The description of the routes that ``/openapi.json`` gives."""

from __future__ import annotations

from typing import Any

from orangecontrib.imageanalytics import __version__
from orangecontrib.imageanalytics.server.answers import SKIP_HEADER


def _json(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _refusal(description: str) -> dict[str, Any]:
    return _json(description, {"$ref": "#/components/schemas/Error"})


def _retry_after(response: dict[str, Any]) -> dict[str, Any]:
    header = {"description": "Seconds to wait.", "schema": {"type": "integer"}}
    return {**response, "headers": {"Retry-After": header}}


def _query(name: str, description: str) -> dict[str, Any]:
    return {
        "name": name,
        "in": "query",
        "required": False,
        "description": f"{description} It is neither used nor kept.",
        "schema": {"type": "string"},
    }


_TEXT = {"type": "string"}
_NUMBERS = {"type": "array", "items": {"type": "number"}}

_EMBED = {
    "operationId": "embed",
    "summary": "Embed an image",
    "parameters": [
        {"name": "model", "in": "path", "required": True, "schema": _TEXT},
        _query("machine", "The client's number for its computer."),
        _query("session", "The client's number for its session."),
        _query("retry", "How often the image has been sent."),
    ],
    "requestBody": {
        "required": True,
        "description": "An image file of any common format.",
        "content": {"image/*": {"schema": {"type": "string", "format": "binary"}}},
    },
    "responses": {
        "200": {
            **_json(
                "The embedding; an empty one if the image cannot be embedded.",
                {
                    "type": "object",
                    "required": ["embedding"],
                    "properties": {"embedding": _NUMBERS},
                },
            ),
            "headers": {
                SKIP_HEADER: {
                    "description": "Why the image cannot be embedded.",
                    "schema": _TEXT,
                }
            },
        },
        "401": _refusal("The token is missing or wrong."),
        "404": _json(
            "There is no such model; those that there are.",
            {
                "type": "object",
                "properties": {"error": _TEXT, "models": {"type": "array", "items": _TEXT}},
            },
        ),
        "408": _refusal("The image was sent too slowly."),
        "413": _refusal("The image has too many bytes."),
        "415": _refusal("The body is compressed."),
        "500": _refusal("The model failed."),
        "503": _retry_after(_refusal("The server is loading its models, or has too much to do.")),
    },
}

_LIST = {
    "operationId": "models",
    "summary": "List the models",
    "responses": {
        "200": _json(
            "The models.",
            {
                "type": "object",
                "properties": {
                    "models": {
                        "type": "array",
                        "items": {"$ref": "#/components/schemas/Model"},
                    }
                },
            },
        ),
        "401": _refusal("The token is missing or wrong."),
    },
}

_STATUS = {"type": "object", "properties": {"status": {"enum": ["ready", "loading"]}}}

_HEALTH = {
    "operationId": "health",
    "summary": "Tell whether the server is ready",
    "security": [],
    "responses": {
        "200": _json("All models have been loaded.", _STATUS),
        "503": _retry_after(_json("Models are being loaded.", _STATUS)),
    },
}

DESCRIPTION: dict[str, Any] = {
    "openapi": "3.1.0",
    "info": {
        "title": "Image embedding server",
        "version": __version__,
        "description": "Turns images into vectors of numbers with pretrained networks.",
    },
    "paths": {
        "/image/{model}": {"post": _EMBED},
        "/models": {"get": _LIST},
        "/health": {"get": _HEALTH},
    },
    "security": [{}, {"token": []}],
    "components": {
        "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        "schemas": {
            "Error": {"type": "object", "properties": {"error": _TEXT}},
            "Model": {
                "type": "object",
                "properties": {
                    "id": _TEXT,
                    "title": _TEXT,
                    "dimension": {"type": "integer"},
                    "input_size": {
                        "type": "array",
                        "items": {"type": "integer"},
                        "description": "Height and width in pixels.",
                    },
                    "layer": _TEXT,
                    "licence": _TEXT,
                },
            },
        },
    },
}
