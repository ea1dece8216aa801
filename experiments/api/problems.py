"""REST framework's nested errors as rows, which every refusal of a body names."""

from collections.abc import Iterator, Mapping, Sequence

from rest_framework.exceptions import ValidationError


def flat_issues(error: ValidationError) -> Iterator[tuple[str, str, str]]:
    """Yield field, code and message of each fault; a field reads like variants[1].clicks."""
    return _flatten(error.detail, error.get_codes())


def _flatten(detail: object, codes: object, path: str = "") -> Iterator[tuple[str, str, str]]:
    if isinstance(detail, Mapping) and isinstance(codes, Mapping):
        for key, value in detail.items():
            name = "" if key == "non_field_errors" else str(key)
            yield from _flatten(
                value, codes[key], f"{path}[{key}]" if isinstance(key, int) else _join(path, name)
            )
    elif isinstance(detail, list) and isinstance(codes, Sequence):
        for index, (value, code) in enumerate(zip(detail, codes, strict=True)):
            leaf = not isinstance(value, Mapping | list)
            yield from _flatten(value, code, path if leaf else f"{path}[{index}]")
    else:
        yield path, str(codes), str(detail)


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path and name else path or name
