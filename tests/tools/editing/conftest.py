"""Requests for edits of the tiny facts, and models of every family in float64."""

import dataclasses

import pytest

from interp_rc.tools.editing.requests import requests_of
from tests.engine.tiny import masked, precise

SHAPES = ("gpt2", "gpt_neox", "llama", "qwen2", "gemma2", "bert")


@pytest.fixture(params=SHAPES)
def model(request, taught, precise_softmax, unrounded):
    return precise(taught, request.param)


@pytest.fixture
def wanted(model, contrasts):
    return wanted_of(model, contrasts)


def wanted_of(model, contrasts):
    """Of three facts, each in two templates: that another fact's answer follows."""
    some = [one for one in contrasts if one.order == "forward"]
    facts = list(dict.fromkeys(one.fact for one in some))[:3]
    some = [one for one in some if one.fact in facts]
    if model.tokenizer.mask_token:
        some = masked([dataclasses.replace(one, target=" a", foil=" is") for one in some])
    return requests_of(some)
