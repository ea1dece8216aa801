"""Numbers as sentences and pages write them: rounded half up, in the reader's language.

Django's number_format cuts a float's digits off where they should be rounded.
"""

from decimal import ROUND_HALF_UP, Decimal

from django.utils.formats import number_format


def rounded(value: float | Decimal, decimals: int) -> str:
    """By its decimal spelling, so that 2.45 becomes 2.5 wherever it is written; thousands apart."""
    exact = Decimal(str(value)).quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_UP)
    return number_format(exact, decimals, force_grouping=True)


def percent_words(fraction: float | Decimal, decimals: int = 1) -> str:
    return f"{rounded(100 * Decimal(str(fraction)), decimals)}%"
