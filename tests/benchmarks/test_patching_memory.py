"""The memory that a sweep may use is obeyed within a fifth."""

import pytest

from benchmarks.patching_memory import measured


@pytest.mark.slow
def test_the_setting_is_obeyed():
    assert 0.1 < measured("mlp_post", 24, 1000)["share"] < 1.2
