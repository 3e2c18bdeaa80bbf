"""Sites are read from text and found in tokens, or refused with a remedy."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interp_rc.engine.sites import TOKENS, Site, parse_site, prompt_tokens, tokens_of
from interp_rc.models.adapters.parts import COMPONENTS, STREAM
from interp_rc.records.errors import ConfigError, DataError
from interp_rc.records.nouns import Contrast, Span

# "Ann Lee is" against "Bartholomew Lee is": one token more.
CONTRAST = Contrast(
    "c",
    "f",
    "forward",
    clean="Ann Lee is",
    corrupted="Bartholomew Lee is",
    target=" so kind",
    spans={
        "source": [Span(0, 7), Span(0, 15)],
        "B": [Span(11, 18), Span(19, 26)],
        "kind": [Span(14, 18), Span(22, 26)],
        "is so": [Span(8, 13), Span(16, 21)],
    },
    line=4,
)
CLEAN = [(0, 0), (0, 3), (3, 7), (7, 10), (10, 13), (13, 16), (16, 18)]
CORRUPTED = [(0, 0), (0, 4), (4, 11), (11, 15), (15, 18), (18, 21), (21, 24), (24, 26)]
# Word by word, equally many tokens, behind one that stands for no character.
EVEN = Contrast("e", "f", None, "Ann Lee is", "Bob Lee is", " kind")
WORDS = [(0, 0), (0, 3), (3, 7), (7, 10), (10, 15)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mlp_out.1@source.first", [Site("mlp_out", 1, "source", "first")]),
        ("mlp_out.1@source", [Site("mlp_out", 1, "source", "last")]),
        ("attn_out.0@3", [Site("attn_out", 0, position=3)]),
        ("resid_mid@prompt.all", [Site("resid_mid", i, "prompt", "all") for i in range(3)]),
        ("resid_mid.*@0", [Site("resid_mid", i, position=0) for i in range(3)]),
        ("z.2.h1@B.first", [Site("z", 2, "B", "first", head=1)]),
        ("pattern.h1@0", [Site("pattern", i, position=0, head=1) for i in range(3)]),
        ("z.1.h*@B", [Site("z", 1, "B", head=h) for h in range(2)]),
        ("mlp_post.0.n37@A", [Site("mlp_post", 0, "A", neuron=37)]),
        ("mlp_out.1x5@A.last", [Site("mlp_out", 1, "A", window=5)]),
        ("mlp_outx3@A.last", [Site("mlp_out", i, "A", window=3) for i in range(3)]),
        ("mlp_out.1@*", [Site("mlp_out", 1, position=i) for i in range(4)]),
        ("mlp_out", [Site("mlp_out", i, position=p) for i in range(3) for p in range(4)]),
        ("z.2.h*", [Site("z", 2, position=p, head=h) for h in range(2) for p in range(4)]),
    ],
)
def test_texts(text, expected):
    found = parse_site(text, 3, heads=2, positions=4)
    assert found == expected
    assert {site.optional for site in found} == {"@" not in text or text.endswith("*")}


@st.composite
def sites(draw):
    component = draw(st.sampled_from(COMPONENTS))
    number = st.integers(0, 60)
    kind = draw(st.sampled_from(["whole", "window", "part"]))
    part = {"z": "head", "pattern": "head", "mlp_post": "neuron"}.get(component)
    extra = {}
    if kind == "window":
        extra["window"] = draw(st.integers(1, 12))
    elif kind == "part" and part:
        extra[part] = draw(number)
    layer = draw(st.integers(0, 11))
    if draw(st.booleans()):
        return Site(component, layer, position=draw(number), **extra)
    name = st.from_regex(r"[A-Za-z_]\w{0,8}", fullmatch=True)
    return Site(component, layer, draw(name), draw(st.sampled_from(TOKENS)), **extra)


@given(sites())
def test_a_name_is_read_back(site):
    assert parse_site(site.name, 12, heads=61) == [site]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("mlp_out@", "is not a site; write COMPONENT"),
        ("mlp.1@source", "no component 'mlp'; known: resid_pre, pattern, z, attn_out"),
        ("mlp_out.3@source", "the model has layers 0 to 2"),
        ("mlp_out.1@source.middle", "no token 'middle'; a span has first, last, all"),
        ("mlp_out.1@3.last", "no token 'last'"),
        ("mlp_out.1@*.last", "no token 'last'"),
        ("mlp_out.-1@source", "is not a site"),
        ("z.1.h2@source", "the model has heads 0 to 1"),
        ("mlp_out.1.h0@source", r"mlp_out has no heads; pattern, z have"),
        ("z.1.n0@source", "z has no neurons; mlp_post has"),
        ("z.1.h0x3@source", "a head is of one layer; leave the window out"),
        ("mlp_out.1x0@source", "a window has one layer at least"),
        ("mlp_post.1.n*@source", "is not a site"),
    ],
)
def test_faulty_texts(text, message):
    with pytest.raises(ConfigError, match=message):
        parse_site(text, 3, heads=2, positions=4)


@pytest.mark.parametrize(
    ("text", "message"),
    [("mlp_out", "means every position; say how many"), ("z.h*@0", "say how many heads")],
)
def test_all_of_what_is_not_known_is_refused(text, message):
    with pytest.raises(ConfigError, match=message):
        parse_site(text, 3)


@pytest.mark.parametrize("window", range(1, 8))
def test_windows_are_those_of_causal_tracing(window):
    """Counted layer by layer: w of them where there is room, the layer itself always, and of an
    even number the one more below."""
    for layer in range(12):
        around = [
            at
            for at in range(12)
            if layer - math.floor(window / 2) <= at < layer + math.ceil(window / 2)
        ]
        found = Site("mlp_out", layer, "A", window=window).layers(12)
        assert list(found) == around
        assert layer in found
        if window <= layer <= 12 - window:
            assert len(found) == window


def test_the_stream_is_part_of_the_components():
    assert [c for c in COMPONENTS if c in STREAM] == list(STREAM)
    assert set(COMPONENTS) - set(STREAM) == {"pattern", "z", "mlp_post"}


@pytest.mark.parametrize(
    ("span", "token", "expected"),
    [
        ("source", "first", [(1, 1)]),
        ("source", "last", [(2, 3)]),
        ("source", "all", [(1, 2), (2, 3)]),  # aligned at their ends
        ("prompt", "last", [(3, 4)]),
        ("prompt", "first", [(1, 1)]),  # the begin token stands for no character
        ("B", "first", [(4, 5)]),
        ("B", "all", [(4, 5), (5, 6)]),  # the last token is never read
        ("kind", "first", [(5, 6)]),
        ("is so", "all", [(3, 4), (4, 5)]),  # from the prompt into the target
    ],
)
def test_tokens(span, token, expected):
    assert tokens_of(CONTRAST, Site("mlp_out", 0, span, token), CLEAN, CORRUPTED) == expected


@pytest.mark.parametrize(("span", "token"), [("B", "last"), ("kind", "last")])
def test_the_token_that_nothing_reads_is_refused(span, token):
    with pytest.raises(DataError, match=r"contrast 'c' \(line 4\): .* never reads"):
        tokens_of(CONTRAST, Site("mlp_out", 0, span, token), CLEAN, CORRUPTED)


def test_a_token_that_ends_in_the_target_is_the_targets():
    clean = [(0, 0), (0, 7), (7, 12), (12, 18)]  # " is s" reaches into the target
    assert prompt_tokens(clean, CONTRAST.clean) == 2
    site = Site("mlp_out", 0, "prompt", "last")
    assert tokens_of(CONTRAST, site, clean, CORRUPTED) == [(1, 4)]


def test_a_span_between_tokens_is_refused():
    spans = {"source": [Span(4, 5), Span(4, 5)]}
    contrast = Contrast("c", "f", "forward", "0123456789", "0123456789", " x", spans=spans)
    offsets = [(0, 0), (0, 1), (9, 10), (10, 12)]
    with pytest.raises(DataError, match="span 'source' covers no token"):
        tokens_of(contrast, Site("mlp_out", 0, "source"), offsets, offsets)


def test_positions():
    assert [tokens_of(EVEN, Site("z", 0, position=p), WORDS, WORDS) for p in range(4)] == [
        [(p, p)] for p in range(4)
    ]
    with pytest.raises(DataError, match="no position 4 in its prompts, only 4 tokens"):
        tokens_of(EVEN, Site("z", 0, position=4), WORDS, WORDS)
    assert tokens_of(EVEN, Site("z", 0, position=4, optional=True), WORDS, WORDS) == []


@pytest.mark.parametrize("optional", [True, False])
def test_positions_of_prompts_that_differ_in_length_are_refused(optional):
    """Even those that both have: what stands there need not be the same."""
    site = Site("mlp_out", 0, position=1, optional=optional)
    with pytest.raises(DataError, match=r"'c' \(line 4\): the clean prompt has 4 tokens and .* 5"):
        tokens_of(CONTRAST, site, CLEAN, CORRUPTED)


def test_a_site_is_a_span_or_a_position():
    for wrong in ({}, {"span": "source", "position": 1}):
        with pytest.raises(ConfigError, match="a span or a position"):
            Site("mlp_out", 0, **wrong)


@pytest.mark.parametrize(
    "text",
    [
        f"z.h{10**10}@A",
        f"mlp_out.{'9' * 5_000}@A",
        f"mlp_out.0x{'9' * 5_000}@A",
        f"mlp_post.0.n{'9' * 5_000}@A",
        f"resid_pre.0.d{'9' * 5_000}@A",
        "x" * 100_000,
        "@" * 100_000,
    ],
)
def test_numbers_that_no_network_has_are_no_site(text):
    with pytest.raises(ConfigError, match="is not a site") as caught:
        parse_site(text, 2, heads=2, positions=3)
    assert len(str(caught.value)) < 700
