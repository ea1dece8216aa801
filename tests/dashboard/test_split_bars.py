"""Bars of traffic: few parts as they are, of many the largest and all others as one."""

from decimal import Decimal

from dashboard.charts import OTHERS, SplitPart, split_drawn


def parts(*percent: int) -> list[SplitPart]:
    shares = [Decimal(one) / 100 for one in percent]
    return [
        SplitPart(f"v{n}", sum(shares[:n], Decimal(0)), share, f"variant-{n}")
        for n, share in enumerate(shares)
    ]


def test_split_drawn__few_parts__are_all_drawn() -> None:
    few = parts(10, 60, 30)

    assert split_drawn(few) == few


def test_split_drawn__many_parts__are_the_eleven_largest_and_the_others() -> None:
    many = parts(*[1] * 10, 20, *[7] * 10)

    drawn = split_drawn(many)

    assert len(drawn) == 12
    assert [part.name for part in drawn[:2]] == ["v10", "v11"]
    assert (drawn[0].start, drawn[1].start) == (Decimal(0), Decimal("0.2"))
    assert (drawn[-1].colour, drawn[-1].start, drawn[-1].share) == (OTHERS, Decimal("0.9"), Decimal("0.1"))
