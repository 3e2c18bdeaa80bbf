"""A weight that is no number is named, in whatever tensor and precision it stands."""

import copy

import pytest
import torch

from interp_rc.models.finite import check_finite
from interp_rc.records.errors import ModelError


@pytest.fixture
def model(taught):
    return copy.deepcopy(taught["gpt2"].model)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize(
    ("value", "word"), [(float("nan"), "NaN"), (float("inf"), "infinite"), (-float("inf"), "inf")]
)
def test_one_value_that_is_no_number_is_named(model, value, word, dtype):
    model = model.to(dtype)
    check_finite(model)
    with torch.no_grad():
        model.transformer.h[1].mlp.c_fc.bias[3] = value
    with pytest.raises(
        ModelError, match=rf"folder holds .* 1 of \d+ values of .*h\.1\.mlp\.c_fc\.bias are {word}"
    ):
        check_finite(model, "folder")


def test_other_broken_tensors_are_counted(model):
    with torch.no_grad():
        model.transformer.h[0].ln_1.weight.fill_(float("nan"))
        model.transformer.h[1].ln_1.weight[:2] = float("inf")
    with pytest.raises(ModelError, match=r"h\.0\.ln_1\.weight are NaN; so are values of 1 other"):
        check_finite(model)


def test_weights_that_are_elsewhere_are_left_alone(model):
    check_finite(model.to("meta"))
