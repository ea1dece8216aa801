"""The cache of answers gives back the object that was kept, and is a cache of Django's otherwise."""

import pytest
from django.core.cache import caches

from bandit_project.ops.answers_cache import AnswersCache

pytestmark = pytest.mark.database_free


@pytest.fixture
def cache() -> AnswersCache:
    made = AnswersCache("test-answers", {"OPTIONS": {"MAX_ENTRIES": 2, "CULL_FREQUENCY": 2}})
    made.clear()
    return made


def test_value__read_again__is_the_object_that_was_kept(cache: AnswersCache) -> None:
    body = b"x" * 1000

    cache.set("a key with spaces", body)

    assert cache.get("a key with spaces") is body


def test_value__never_kept_deleted_or_expired__is_the_default(cache: AnswersCache) -> None:
    cache.set("deleted", 1)
    cache.delete("deleted")
    cache.set("expired", 1, timeout=0)

    assert [cache.get(key, "none") for key in ("new", "deleted", "expired")] == ["none"] * 3


def test_value__added__is_kept_where_there_is_none(cache: AnswersCache) -> None:
    assert (cache.add("key", 1), cache.add("key", 2), cache.get("key")) == (True, False, 1)


def test_values__more_than_there_is_room_for__push_out_the_longest_unread(cache: AnswersCache) -> None:
    cache.set_many({"one": 1, "two": 2})
    cache.get("one")
    cache.set("three", 3)

    assert cache.get_many(["one", "two", "three"]) == {"one": 1, "three": 3}


def test_counter__refused(cache: AnswersCache) -> None:
    cache.set("key", 1)

    with pytest.raises(NotImplementedError):
        cache.incr("key")


@pytest.mark.parametrize("name", ["list", "allocation", "history", "v1-allocation", "assignment"])
def test_answers_of_calls__kept_by_it(name: str) -> None:
    assert isinstance(caches[name], AnswersCache)
