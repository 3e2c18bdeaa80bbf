"""Sites are read from text and found in tokens, or refused with a remedy."""

import pytest

from interp_rc.mechanism.sites import Site, parse_site, tokens_of
from interp_rc.records.errors import ConfigError, DataError
from interp_rc.records.nouns import Contrast, Span

# "Ann Lee is" against "Bartholomew Lee is": one character more or less for each token.
CONTRAST = Contrast(
    "c",
    "f",
    "forward",
    clean="Ann Lee is",
    corrupted="Bartholomew Lee is",
    target=" kind",
    spans={"source": [Span(0, 7), Span(0, 15)]},
)
CLEAN = [(0, 0), (0, 3), (3, 7), (7, 10)]
CORRUPTED = [(0, 0), (0, 4), (4, 11), (11, 15), (15, 18)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mlp_out.1@source.first", [Site("mlp_out", 1, "source", "first")]),
        ("mlp_out.1@source", [Site("mlp_out", 1, "source", "last")]),
        ("attn_out.0@3", [Site("attn_out", 0, position=3)]),
        ("resid_mid@prompt.all", [Site("resid_mid", i, "prompt", "all") for i in range(3)]),
        ("resid_mid.*@0", [Site("resid_mid", i, position=0) for i in range(3)]),
    ],
)
def test_texts(text, expected):
    assert parse_site(text, 3) == expected


@pytest.mark.parametrize(
    "site", parse_site("mlp_out@source.all", 2) + parse_site("attn_out.1@7", 2)
)
def test_a_name_is_read_back(site):
    assert parse_site(site.name, 2) == [site]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("mlp_out", "is not a site; write COMPONENT.LAYER@SPAN.TOKEN"),
        ("mlp.1@source", "no component 'mlp'; known: resid_pre, attn_out"),
        ("mlp_out.3@source", "the model has layers 0 to 2"),
        ("mlp_out.1@source.middle", "no token 'middle'; a span has first, last, all"),
        ("mlp_out.1@3.last", "no token 'last'"),
        ("mlp_out.-1@source", "is not a site"),
    ],
)
def test_faulty_texts(text, message):
    with pytest.raises(ConfigError, match=message):
        parse_site(text, 3)


@pytest.mark.parametrize(
    ("span", "token", "expected"),
    [
        ("source", "first", [(1, 1)]),
        ("source", "last", [(2, 3)]),
        ("source", "all", [(1, 2), (2, 3)]),  # aligned at their ends
        ("prompt", "last", [(3, 4)]),
        ("prompt", "first", [(1, 1)]),  # the begin token stands for no character
    ],
)
def test_tokens(span, token, expected):
    assert tokens_of(CONTRAST, Site("mlp_out", 0, span, token), CLEAN, CORRUPTED) == expected


def test_a_span_between_tokens_is_refused():
    spans = {"source": [Span(4, 5), Span(4, 5)]}
    contrast = Contrast("c", "f", "forward", "0123456789", "0123456789", " x", spans=spans)
    offsets = [(0, 0), (0, 1), (9, 10)]
    with pytest.raises(DataError, match="span 'source' covers no token"):
        tokens_of(contrast, Site("mlp_out", 0, "source"), offsets, offsets)


def test_a_site_is_a_span_or_a_position():
    for wrong in ({}, {"span": "source", "position": 1}):
        with pytest.raises(ConfigError, match="a span or a position"):
            Site("mlp_out", 0, **wrong)
