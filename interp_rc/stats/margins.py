"""How far from nothing still counts as nothing: margins, in the very unit that is tested."""

import numpy as np
from jaxtyping import Float

from interp_rc.records.numbers import Estimate

MARGIN_SHARE = 0.05
LARGEST_SHARE = 0.1


def margin_of(control: Float[np.ndarray, " cluster"]) -> float | None:
    """Return 5 % of what the control shows, which is in the unit of the test.

    None where it shows nothing above zero: there is no scale to judge by then.
    """
    shown = float(np.mean(control))
    return MARGIN_SHARE * shown if shown > 0 else None


def judges(margin: float | None, control: Estimate) -> bool:
    """Tell whether a verdict can rest on the margin.

    It must not exceed a tenth of the least that the control's interval allows: above that, what is
    known well might pass for nothing.
    """
    if margin is None or control.low is None:
        return False
    return control.low > 0 and margin <= LARGEST_SHARE * control.low


ALPHA = 0.05
