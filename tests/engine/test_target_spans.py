"""Patching tokens of the target, which is read as it is said, against the plain loop."""

import numpy as np

from interp_rc.engine.sites import Site, tokens_of
from interp_rc.tools.patching.patching import patch
from tests.engine.hooked import Loop


def test_equal_to_a_plain_loop(taught, contrasts):
    model = taught["llama"]
    loop = Loop(model)
    some = [c for c in contrasts if c.order == "forward"][::5]
    sites = [Site("mlp_out", layer, "B", token) for layer in (0, 1) for token in ("first", "all")]
    found = patch(model, some, sites).table.value.to_numpy()
    expected = []
    for contrast in some:
        _, _, clean = loop.ids(contrast.clean, contrast.target)
        _, _, corrupted = loop.ids(contrast.corrupted, contrast.target)
        for site in sites:
            reads, writes = map(
                list, zip(*tokens_of(contrast, site, clean, corrupted), strict=True)
            )
            values = loop.activation(site, contrast.clean, contrast.target)[reads]
            hooks = loop.writing(site, writes, values)
            expected.append(loop.log_prob(contrast.corrupted, contrast.target, hooks))
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert np.ptp(expected) > 0.1
