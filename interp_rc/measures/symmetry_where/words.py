"""What the section on the class of a relation says, never more than its intervals allow."""

from interp_rc.display.wording import MINUS, TIE, listed, probability, spoken
from interp_rc.measures.symmetry_where.estimates import TESTED, name_of_test
from interp_rc.records.numbers import Estimate
from interp_rc.records.runs import Measured

ENCODERS = {"pretrained": "as it came", "retrained": "retrained", "untrained": "untrained"}
READ = {
    "relation": "relation’s words",
    "subject": "first entity",
    "object": "second entity",
    "first": "first token",
    "whole": "all tokens",
}
CARRIERS = {
    "subject": "the first entities",
    "object": "the second entities",
    "special": "the tokenizer’s own tokens",
}
NOTE = (
    "Looking a relation up needs no class: a probe that knows the relation’s words from its "
    "training, and an encoder that has learnt nothing, can be right about them. So the relation "
    "that is read is left out of the probe’s training, and an untrained encoder of the same shape "
    "stands beside. The retrained encoder was taught the labels of all these relations, those "
    "that its probes leave out as well: that a probe finds the class there says that the encoder "
    "writes what it was taught in one direction for all of them, not that it would know a "
    "relation that it was not taught. A relation that is left out may have a near one that is not, "
    "as mother has father. Relations are few, and they share the probes that read them, which "
    "intervals over relations leave out and permuting the classes does not. For patching, the "
    "relations of a couple hold between entities of one kind and have as many tokens as each "
    "other, in their first wording; other couples are left out. Couples that share a relation "
    "count as independent. What is put back early on a path restores all that follows: the map "
    "says where the difference passes, not alone where it is written."
)


def after(layer: int, layers: int) -> str:
    if layer == 0:
        return "in the embeddings"
    return "after the last layer" if layer == layers else f"after {layer} layers"


def about_probes(measured: Measured, layers: int) -> str:
    """At the words of the relation, after the last layer, which was not chosen by what it gave."""

    def at(encoder: str, what: str) -> str:
        of = {"part": "probe", "model": encoder, "place": TESTED, "layer": layers}
        return spoken(measured.estimates.of(**of, quantity=what))

    p = {test.name: probability(test.p_adjusted) for test in measured.tests}
    found = [
        f"{at(encoder, 'held_out')} {words} (p{TIE}={TIE}{p[name_of_test(encoder, layers)]})"
        for encoder, words in (
            ("pretrained", "as the encoder came"),
            ("retrained", "once it is retrained with a head"),
            ("untrained", "with untrained weights"),
        )
    ]
    return (
        "A probe at the words of a relation that it was not trained on, after the last layer, is "
        f"right about its class in {listed(found)}. Chance is 50 %, and permuting the classes over "
        "relations gives p (one-sided, Holm over the three). About relations that it was trained "
        f"on, with other entities, it is right in {at('pretrained', 'looked_up')} as the encoder "
        "came."
    )


def about_patching(measured: Measured, layers: int) -> str:
    head = measured.estimates.of(part="head", quantity="accuracy")
    text = f"The retrained head is right about {spoken(head)} of test pairs."
    total = measured.estimates.find(part="patching", quantity="total")
    if total is None:
        return (
            f"{text} No two relations of these facts have the same tokens but for as many words of "
            "their own: nothing could be exchanged."
        )

    def share(place: str, layer: int) -> Estimate | None:
        of = {"part": "patching", "place": place, "layer": layer, "quantity": "recovered"}
        return measured.estimates.find(**of)

    first, last = share("relation", 0), share("relation", layers)
    if first is None or last is None or first.value is None or last.value is None:
        return (
            f"{text} What it says of the two pairs of a couple differs by {spoken(total)}: too "
            "little, or too uncertain, to ask where the difference comes from."
        )
    text += (
        f" Of the {spoken(total)} between a symmetric and an antisymmetric pair of the same "
        f"entities, the relation’s words carry {percent(first)} {after(0, layers)} and "
        f"{percent(last)} {after(layers, layers)}."
    )
    others = {place: share(place, layers) for place in CARRIERS}
    also = [
        f"{CARRIERS[place]} ({percent(one)})"
        for place, one in others.items()
        if one is not None and one.low is not None and one.low > 0
    ]
    if also:
        text += f" By then, {listed(also)} carry a part as well."
    return text


def percent(estimate: Estimate) -> str:
    """A share, which may be below zero or above the whole, e.g. ``95.0 % [92.1, 97.2]``."""
    value, low, high = (
        None if v is None else 100 * v for v in (estimate.value, estimate.low, estimate.high)
    )
    text = Estimate(value, low, high, estimate.n, "%").text(1)
    return text.replace("-", MINUS).replace(" ", TIE)
