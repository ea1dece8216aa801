"""Which URLs a webhook may have, and which addresses count as public: none whose inside is a host of ours."""

import ipaddress
from ipaddress import IPv4Address, IPv4Network, IPv6Address
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_django import Settings

from notifications.addresses import RefusedAddressError, checked_address, is_public, url_problem

pytestmark = pytest.mark.database_free

INSIDE = [
    IPv4Network(network)
    for network in ("10.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16")
]
INNER = st.sampled_from(INSIDE).flatmap(lambda network: st.ip_addresses(network=network))


@given(inner=INNER)
@pytest.mark.parametrize("prefix", ["64:ff9b::", "64:ff9b:1::", "::ffff:0:0", "::ffff:0:0:0", "::"])
def test_is_public__ends_with_an_internal_address__is_not(inner: IPv4Address, prefix: str) -> None:
    """NAT64, its local prefix, mapped, translated and compatible addresses."""
    assert not is_public(IPv6Address(int(IPv6Address(prefix)) + int(inner)))


@given(inner=INNER, host=st.integers(0, 2**80 - 1))
def test_is_public__6to4_of_an_internal_address__is_not(inner: IPv4Address, host: int) -> None:
    assert not is_public(IPv6Address((0x2002 << 112) + (int(inner) << 80) + host))


@given(server=st.ip_addresses(v=4), client=INNER, flags=st.integers(0, 2**32 - 1))
def test_is_public__teredo__is_not(server: IPv4Address, client: IPv4Address, flags: int) -> None:
    """Its client's address stands in it bit by bit reversed."""
    hidden = ~int(client) & 0xFFFFFFFF
    assert not is_public(IPv6Address((0x20010000 << 96) + (int(server) << 64) + (flags << 32) + hidden))


def test_is_public__6to4_of_nat64_like_bits__looks_at_the_address_that_routes() -> None:
    assert is_public(ipaddress.ip_address("64:ff9b::8.8.8.8"))
    assert not is_public(ipaddress.ip_address("2002:a00:1:ff9b::8.8.8.8"))


@pytest.mark.parametrize(
    "host",
    [
        "[64:ff9b::10.0.0.1]", "[64:ff9b::a00:1]", "[::ffff:10.0.0.1]", "[::ffff:a00:1]", "[2002:a00:1::]",
        "[2002:a00:1::1]", "[::ffff:0:10.0.0.1]", "[::10.0.0.1]",
    ],
)  # fmt: skip
def test_checked_address__internal_in_a_form_of_ipv6__is_refused(host: str, settings: Settings) -> None:
    settings.WEBHOOK_ALLOW_PRIVATE = False

    with pytest.raises(RefusedAddressError, match="is not public"):
        checked_address(urlsplit(f"https://{host}/hook"))


@pytest.mark.parametrize("allow_private", [True, False])
@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("https://u:p@1.1.1.1/", "must not have a user name"),
        ("https://@1.1.1.1/", "an @ before its host"),
        ("https://:@1.1.1.1/", "an @ before its host"),
        (r"https://example.com\@1.1.1.1/", "an @ before its host"),
        ("https://1.1.1.1:0/", "port must be between 1 and 65535"),
        ("https://1.1.1.1:00/", "port must be between 1 and 65535"),
        ("https://1.1.1.1:65536/", "not a URL"),
        ("ftp://1.1.1.1/", "must begin with"),
        ("https:///hook", "name a host"),
        ("https://1.1.1.1/a b", "visible ASCII"),
    ],
)
def test_url_problem__odd_url__is_named(
    url: str, problem: str, allow_private: bool, settings: Settings
) -> None:
    settings.WEBHOOK_ALLOW_PRIVATE = allow_private

    assert problem in str(url_problem(url))


@pytest.mark.parametrize("url", ["https://1.1.1.1/", "https://1.1.1.1:/", "https://a.example:8443/@x?to=a@b"])
def test_url_problem__plain_url__is_none(url: str, settings: Settings) -> None:
    settings.WEBHOOK_ALLOW_PRIVATE = False

    assert url_problem(url) is None
