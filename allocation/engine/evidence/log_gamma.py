"""How far is log-gamma from Stirling's formula?

log Gamma(x) = (x - 1/2) log x - x + log(2 pi) / 2 + remainder(x). The leading terms of a sum of log-gammas often cancel
on paper; only what does not is computed. Source: Abramowitz & Stegun 6.1.41.
"""

import numpy as np

from allocation.engine.posterior.beta import Floats

# From here on the first term left out is below 3e-14.
LEAST = 30.0


def remainder(x: Floats) -> Floats:
    """Binet's function for x of at least LEAST, to 3e-14."""
    inverse = 1 / x
    square = inverse * inverse
    return np.asarray(inverse * (1 / 12 - square * (1 / 360 - square / 1260)))
