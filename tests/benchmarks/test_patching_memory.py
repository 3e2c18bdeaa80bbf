"""The memory that a sweep may use is obeyed within a fifth."""

from benchmarks.patching_memory import measured


@pytest.mark.parametrize(
    ("site", "memory", "vocabulary"), [("mlp_out", 24, 1000), ("z", 48, 20000)]
)
def test_the_setting_is_obeyed(site, memory, vocabulary):
    found = measured(site, memory, vocabulary)
    assert 0.1 < found["share"] < 1.2
