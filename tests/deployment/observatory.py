"""Mozilla's Observatory: what it gives and takes for a page's headers, for the answers that it may find here.

The grade is A+ from 100 points on. https://developer.mozilla.org/en-US/observatory/docs/tests_and_scoring
"""

import re
from collections.abc import Mapping

HALF_A_YEAR = 15_768_000
A_PLUS = 100
Policy = dict[str, list[str]]


def policy_of(header: str) -> Policy:
    directives = [part.split() for part in header.split(";") if part.strip()]
    return {words[0]: words[1:] for words in directives}


def content_security(policy: Policy) -> int:
    """+10 where nothing is allowed by default, +5 where nothing unsafe is, else at least -20."""
    fallback = policy.get("default-src", ["*"])
    scripts, styles = policy.get("script-src", fallback), policy.get("style-src", fallback)
    objects = policy.get("object-src", fallback)
    if {"'unsafe-inline'", "'unsafe-eval'", "data:", "*", "https:", "http:"} & {*scripts, *objects}:
        return -20
    if "'unsafe-inline'" in styles:
        return 0
    return 10 if fallback == ["'none'"] else 5


def framing(headers: Mapping[str, str], policy: Policy) -> int:
    if policy.get("frame-ancestors") in (["'none'"], ["'self'"]):
        return 5
    return 0 if headers.get("X-Frame-Options") in ("DENY", "SAMEORIGIN") else -20


def strict_transport(headers: Mapping[str, str]) -> int:
    found = re.search(r"max-age=(\d+)", headers.get("Strict-Transport-Security", ""))
    if not found:
        return -20
    return 0 if int(found[1]) >= HALF_A_YEAR else -10


def cookies(lines: list[str]) -> int:
    """+5 where all are Secure, a session's HttpOnly, and each says SameSite."""
    for line in lines:
        name, said = line.partition("=")[0].lower(), line.lower()
        if "; secure" not in said:
            return -40 if "sess" in name else -20
        if "sess" in name and "; httponly" not in said:
            return -30
        if "samesite=" not in said:
            return -20 if "csrf" in name else 0
    return 5 if lines else 0


def referrer(headers: Mapping[str, str]) -> int:
    private = {"no-referrer", "same-origin", "strict-origin", "strict-origin-when-cross-origin"}
    return 5 if headers.get("Referrer-Policy") in private else 0


def content_type_options(headers: Mapping[str, str]) -> int:
    return 0 if headers.get("X-Content-Type-Options") == "nosniff" else -5


def resource_policy(headers: Mapping[str, str]) -> int:
    return 10 if headers.get("Cross-Origin-Resource-Policy") in ("same-origin", "same-site") else 0


def score(headers: Mapping[str, str], cookie_lines: list[str]) -> int:
    """Extra points count only for those who have lost fewer than 10."""
    policy = policy_of(headers.get("Content-Security-Policy", ""))
    points = [
        content_security(policy),
        framing(headers, policy),
        strict_transport(headers),
        cookies(cookie_lines),
        referrer(headers),
        content_type_options(headers),
        resource_policy(headers),
    ]
    lost = sum(point for point in points if point < 0)
    gained = sum(point for point in points if point > 0)
    return 100 + lost + (gained if lost > -10 else 0)
