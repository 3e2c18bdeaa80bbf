"""What cannot measure what is asked is refused by every tool that reads contrasts."""

from dataclasses import replace

import pytest

import interp_rc as rc
from interp_rc.facts.tracings import Tracing
from interp_rc.models.scoring import score
from interp_rc.models.tokenizer import encode
from interp_rc.records.errors import DataError
from interp_rc.records.nouns import Contrast, Span
from tests.engine.loop import made

GOOD = Contrast(
    "good", "good", None, "w1 w2 w3", "w1 w4 w3", " w5", " w6",
    spans={"source": [Span(3, 5)] * 2, "A": [Span(3, 5)] * 2}, line=1,
)  # fmt: skip
OTHER = replace(GOOD, id="other", fact="other", clean="w7 w8 w3", corrupted="w7 w9 w3", line=2)


@pytest.fixture(scope="module")
def model():
    return made("gpt2")


def at(model, contrasts):
    return rc.sites(model, contrasts[:1], "mlp_out.0@A.last")


TOOLS = {
    "patch": lambda m, c: rc.patch(m, c, at(m, [GOOD])),
    "attribute": lambda m, c: rc.attribute(m, c, at(m, [GOOD])),
    "knockout": lambda m, c: rc.knockout(m, c, "prompt.last", "A"),
    "path_patch": lambda m, c: rc.path_patch(
        m, c, at(m, [GOOD]), rc.sites(m, [GOOD], "mlp_out.1@prompt.last")
    ),
    "logit_lens": rc.logit_lens,
    "logit_attribution": rc.logit_attribution,
    "attention": rc.attention,
    "cut_costs": rc.cut_costs,
    "integrated_gradients": rc.integrated_gradients,
    "rank_neurons": rc.rank_neurons,
    "sites": lambda m, c: rc.sites(m, c, "mlp_out.0"),
}
READ_NO_SPAN = {"logit_attribution", "integrated_gradients", "sites"}
FAULTS = {
    "two beginnings": (replace(OTHER, clean="<s> w7 w8 w3", spans={
        "source": [Span(7, 9), Span(3, 5)], "A": [Span(7, 9), Span(3, 5)]}),
        r"other' \(line 2\): .*begins with <s>, which the tokenizer puts .*leave it out"),
    "outside": (replace(OTHER, spans={name: [Span(3, 99)] * 2 for name in ("A", "source")}),
                r"other' \(line 2\): span '(A|source)' is \[3, 99\] in clean, which has 11 "),
    "twice": (replace(GOOD, id="again", fact="again", line=2),
              r"again' \(line 2\) has prompts and target of contrast 'good' \(line 1\)"),
    "empty target": (replace(OTHER, target=""), r"other' \(line 2\): .*both have a token"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("tool", TOOLS)
def test_refused_by_name(tool, fault, model):
    if fault == "outside" and tool in READ_NO_SPAN:
        pytest.skip("reads no span")
    contrast, message = FAULTS[fault]
    with pytest.raises(DataError, match=message):
        TOOLS[tool](model, [GOOD, contrast])


@pytest.mark.parametrize("tool", ["patch", "attribute", "path_patch", "rank_neurons"])
@pytest.mark.parametrize("corrupted", [GOOD.clean, "w1  w2 w3"])
def test_prompts_with_the_same_tokens_are_refused(tool, corrupted, model):
    same = replace(GOOD, corrupted=corrupted)
    with pytest.raises(DataError, match=r"'good' \(line 1\): .*have the same tokens"):
        TOOLS[tool](model, [same])


def test_one_prompt_may_be_ablated_in(model):
    same = replace(GOOD, corrupted=GOOD.clean)
    effects = rc.patch(model, [same], at(model, [GOOD]), intervention=rc.Zero())
    assert effects.table.effect.abs().item() > 0
    assert effects.table.recovered.isna().all()


@pytest.mark.parametrize(
    ("foil", "message"),
    [
        (" w5", "the foil ' w5' is the target"),
        ("   w5 ", "is the target"),
        ("", r"both have a token"),
        (" other", "has the tokens of the target"),
    ],
)
def test_a_difference_of_nothing_is_refused(foil, message, model):
    target = " another" if foil == " other" else " w5"  # both unknown words: one token
    contrast = replace(GOOD, target=target, foil=foil)
    with pytest.raises(DataError, match=rf"'good' \(line 1\): .*{message}"):
        rc.patch(model, [contrast], at(model, [GOOD]), metric="logit_difference")


def test_prompts_of_other_lengths_have_no_common_positions(model):
    longer = replace(GOOD, corrupted="w1 w4 w4 w3", spans={})
    with pytest.raises(DataError, match="positions do not match; name a span instead"):
        rc.patch(model, [longer], [rc.Site("mlp_out", 0, position=1)])


def test_a_whole_difference_at_the_target_is_over_the_foil_too(model):
    """The span of the target is the foil's where the foil is asked for, also a shorter one."""
    answers = {"B": [Span(9, 17)] * 2}
    contrast = replace(GOOD, target=" w5 w6 w7", foil=" w8 w9", spans=answers)
    site = rc.Site("resid_pre", 0, "B", "first")
    found = rc.patch(model, [contrast], [site], metric="logit_difference")
    foil = replace(contrast, target=contrast.foil, spans={"B": [Span(9, 14)] * 2})
    own, other = (rc.patch(model, [c], [site]).table.value.item() for c in (contrast, foil))
    assert found.table.value.item() == pytest.approx(own - other)


def test_a_text_that_begins_twice_is_refused_wherever_it_is_read(model):
    assert [ids for ids, _ in encode(model.tokenizer, ["w1", "w1 <s> w2"])] == [
        [0, 6],
        [0, 6, 0, 7],
    ]
    with pytest.raises(DataError, match="'<s> w1' begins with <s>"):
        encode(model.tokenizer, ["w2", "<s> w1"])
    with pytest.raises(DataError, match="begins with <s>"):
        score(*model, ["<s> w1"], [" w2"])


def test_one_tracing_twice_is_refused(model):
    tracings = [Tracing(name, name, "w1 w2 w3", "w2", " w5") for name in "ab"]
    with pytest.raises(DataError, match="contrast 'b' has prompts and target of contrast 'a'"):
        rc.trace(model, tracings, draws=1)
