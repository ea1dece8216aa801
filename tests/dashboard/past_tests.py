"""A file of past tests, as the backtest takes it."""

HEADER = "experiment,variant,impressions,clicks\n"
MANY_TESTS = HEADER + "".join(
    f"t{n},control,{9000 + 10 * n},{200 + n}\nt{n},new,{9000 + 10 * n},{320 + 2 * n}\n" for n in range(30)
)
