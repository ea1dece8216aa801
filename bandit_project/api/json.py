"""The JSON parser and renderer of both APIs."""

from collections.abc import Mapping
from typing import IO, Any

import orjson
from rest_framework import parsers
from rest_framework.exceptions import ParseError
from rest_framework.renderers import JSONRenderer
from rest_framework.utils.encoders import JSONEncoder


class JSONParser(parsers.JSONParser):
    """Accepts NaN and Infinity, so that validation can name their field. Nesting that is too deep is a 400."""

    strict = False

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        try:
            return super().parse(stream, media_type, parser_context)
        except RecursionError as error:
            raise ParseError("The body is JSON that is nested too deeply. Send a plain object.") from error
        except ParseError as error:
            raise ParseError(_no_json(str(error.detail).removeprefix("JSON parse error - "))) from error


def _no_json(where: str) -> str:
    """Say what is wrong with a body; where Python's words speak to programmers, in others."""
    if where.startswith("Unexpected UTF-8 BOM"):
        return "The body begins with a byte order mark. Send plain UTF-8, without it."
    if where.startswith("Exceeds the limit"):
        return "A number of the body has thousands of digits. Send one that can be a count or a value."
    return f"The body is not JSON: {where}. Send an object, in UTF-8."


_fallback = JSONEncoder().default


class FastJSONRenderer(JSONRenderer):
    """Renders with orjson. Values that orjson refuses, such as integers beyond 64 bits, go through DRF's encoder."""

    def render(
        self,
        data: Any,
        accepted_media_type: str | None = None,
        renderer_context: Mapping[str, Any] | None = None,
    ) -> bytes:
        if data is None:
            return b""
        try:
            return orjson.dumps(data, default=_fallback, option=orjson.OPT_NON_STR_KEYS)
        except TypeError:
            return super().render(data, accepted_media_type, renderer_context)
