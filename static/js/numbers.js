// How many decimals a number is written with. The rules of dashboard/formatting.py; tests hold both to the same cases.
const MOST_DECIMALS = 12;

// Two significant digits of a percentage, and at least as many decimals as that.
export function decimalsOf(percent, least = 2) {
  if (!percent || !Number.isFinite(percent)) return least;
  return Math.min(Math.max(least, 1 - Math.floor(Math.log10(Math.abs(percent)))), MOST_DECIMALS);
}

// As many decimals as tell an axis' ticks apart; all its ticks have the same.
export function decimalsOfStep(step) {
  if (!step || !Number.isFinite(step)) return 0;
  for (let decimals = 0; decimals < MOST_DECIMALS; decimals += 1) {
    const scaled = Math.abs(step) * 10 ** decimals;
    if (Math.abs(scaled - Math.round(scaled)) < 1e-6 * scaled) return decimals;
  }
  return MOST_DECIMALS;
}
