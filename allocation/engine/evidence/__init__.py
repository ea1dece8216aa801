"""Evidence about the present rates: how much counts vary, which days still count, how much a trial is worth."""
