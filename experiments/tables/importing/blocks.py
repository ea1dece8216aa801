"""Blocks of a file: what many lines have in common is found out once for all of them."""

from collections.abc import Iterable, Iterator
from typing import TypeVar

from experiments.exceptions import InvalidError

T = TypeVar("T")
# Enough that the work of a block itself is nothing beside that of its lines.
_BLOCK = 500


def in_blocks(items: Iterable[T]) -> Iterator[list[T]]:
    """Yield items in lists, in their order; InvalidError comes after the items before it."""
    block: list[T] = []
    try:
        for item in items:
            block.append(item)
            if len(block) == _BLOCK:
                yield block
                block = []
    except InvalidError:
        if block:
            yield block
        raise
    if block:
        yield block
