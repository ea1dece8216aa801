"""What the daily counts say of the present rates: how much they vary, which days still count, what a trial is worth."""
