"""The page's section on relations that hold in reverse, and those that do not."""

from interp_rc.display.figures.rates import Rate, rates_figure
from interp_rc.display.rates import HARDLY, described
from interp_rc.display.section import Picture, Section, Table, picture
from interp_rc.display.vocabulary import Words
from interp_rc.display.wording import in_nats, probability, spoken
from interp_rc.measures.symmetric_reversal.measure import (
    ASKED,
    BOTH,
    LESS_WRONG,
    NAME,
    NEEDED,
    WRONG,
)
from interp_rc.records.errors import RunError
from interp_rc.records.estimates import Estimates, cell
from interp_rc.records.numbers import Estimate
from interp_rc.records.runs import Measured, Run

MATCH, CHOSEN, ADVANTAGE = (
    {"quantity": "exact_match"},
    {"quantity": "candidate_accuracy"},
    {"quantity": "log_prob_corrected", "target": "difference"},
)
WORDS = {"symmetric": "a symmetric relation", "inverse": "a relation with an inverse"}


def section(run: Run, measured: Measured) -> Section:
    told = run.read_measured("behaviour")
    if told is None:
        raise RunError(f"{run.measured} has no numbers of the measure `behaviour`; run that first")
    return Section(
        title="Reversed where that is right, and where it is not?",
        sentence=sentence(told, measured),
        figures=[chosen(run, told)],
        tables=[differences(measured), levels(told), *judged(measured)],
        note=NOTE,
    )


def sentence(told: Measured, measured: Measured) -> str:
    """The three rates, and no more of them than the intervals allow."""
    right = " and ".join(
        f"{spoken(_rate(told, kind, ASKED[kind]))} of queries on {words}"
        for kind, words in WORDS.items()
    )
    wrong = spoken(_rate(told, WRONG, ASKED[WRONG]))
    rates = (
        f"Asked in reverse, the model says what follows in {right}; what would be false, it says "
        f"in {wrong} of queries on an antisymmetric one."
    )
    return f"{rates} {meaning(told, measured)}"


def meaning(told: Measured, measured: Measured) -> str:
    """From the prior-corrected nats, that show a lean before anything is said."""
    least = min(_rate(told, kind, "same").value or 0.0 for kind in ASKED)
    if least < HARDLY:
        return "It was not taught all of them even as told, so this says nothing about reversal."
    parts = []
    for kind, words in WORDS.items():
        apart = measured.estimates.of(group=LESS_WRONG[kind], quantity="nats")
        parts.append(f"on {words} {_lean(apart)}")
    return f"Its lean towards the entity of the fact, in reverse, is {'; '.join(parts)}."


def _lean(apart: Estimate) -> str:
    if apart.low is None or apart.high is None:
        return "not to be compared: too few facts for an interval"
    if apart.low > 0:
        return f"stronger than on the antisymmetric one, by {spoken(apart)}"
    if apart.high < 0:
        return f"weaker than on the antisymmetric one, by {spoken(apart)}"
    return f"not told apart from that on the antisymmetric one ({spoken(apart)})"


def _rate(told: Measured, kind: str, asked: str) -> Estimate:
    found: Estimate = told.estimates.of(**MATCH, **cell(kind, asked))
    return found


def shown(told: Measured, **of: str) -> dict[tuple[str, str], Estimate]:
    """Each kind as told and in reverse; then the controls in reverse, where there are any."""
    found = {key: told.estimates.find(**of, **cell(*key)) for key in (*NEEDED, *BOTH)}
    return {key: estimate for key, estimate in found.items() if estimate is not None}


def chosen(run: Run, told: Measured) -> Picture:
    words = Words(told.roles)
    rates = [
        Rate(words.told(kind), words.asked(asked), asked, estimate, chance=1 / estimate.n)
        for (kind, asked), estimate in shown(told, **CHOSEN).items()
    ]
    return picture(
        run,
        NAME,
        lambda theme: rates_figure(rates, theme, quantity="entity of the fact chosen"),
        title="Chosen among all entities of its kind",
        alt="How often the entity of the fact is chosen, with 95 % intervals. " + described(rates),
        caption=(
            "How often the entity that the fact ties to the one in the prompt is the likeliest of "
            "all candidates. In reverse it is right where the relation is "
            "symmetric or asked in its inverse’s words, and false where it is antisymmetric. "
            "Dashed: chance. Lines: 95 % interval over facts."
        ),
    )


def differences(measured: Measured) -> Table:
    """Right in reverse less false in reverse, and the tests of it."""
    adjusted = {test.name: test.p_adjusted for test in measured.tests}
    found = []
    for kind, group in LESS_WRONG.items():
        numbers = [
            spoken(measured.estimates.of(group=group, quantity=quantity))
            for quantity in ("exact_match", "candidate_accuracy", "nats")
        ]
        tests = [
            probability(adjusted.get(Estimates(NAME).name(group=group, quantity=tested)))
            for tested in ("more", "below_margin")
        ]
        found.append([Words(measured.roles).told(kind), *numbers, *tests])
    columns = ["facts", "said", "chosen", "nats", "p, more", "p, less than the margin more"]
    margin = spoken(measured.estimates.of(quantity="margin"))
    caption = (
        f"In reverse, less the antisymmetric facts’ false reversals; margin {margin}, p Holm-"
        "adjusted over the rows"
    )
    return Table(caption, columns, found, columns[1:])


def levels(told: Measured) -> Table:
    columns = ["facts", "asked", "said", "chosen", "advantage [nat]", "number of facts"]
    said, choices, nats = (shown(told, **of) for of in (MATCH, CHOSEN, ADVANTAGE))
    words = Words(told.roles)
    found = [
        [
            *(words.told(key[0]), words.asked(key[1])),
            *(spoken(rate), spoken(choices[key]), in_nats(nats[key]), str(rate.n)),
        ]
        for key, rate in said.items()
    ]
    return Table("Each kind by itself; 95 % intervals over facts", columns, found, columns[2:])


def judged(measured: Measured) -> list[Table]:
    """What the base model makes of a statement's reverse; nothing where no base is kept."""
    names = {"symmetric": "symmetric", WRONG: "antisymmetric"}
    names[LESS_WRONG["symmetric"]] = "symmetric less antisymmetric"
    rows = [
        [words, spoken(found)]
        for kind, words in names.items()
        if (found := measured.estimates.find(group=kind, quantity="judged"))
    ]
    caption = (
        "A statement before its eyes: does the base model hold that its reverse, in the "
        "relation’s own words, follows, or that it is false? Log-odds, as the benchmark is told "
        "as text, of entities that are nowhere else; the ways to say “follows” and “false” differ "
        "in length, so only the difference tells; 95 % intervals over statements"
    )
    columns = ["statements", "follows or is false"]
    return [Table(caption, columns, rows, columns[1:])] if rows else []


NOTE = (
    "An entity that is said in reverse proves nothing if it is said wherever the fact’s other "
    "entity stands: that is why an antisymmetric relation is asked in its own words, too, and why "
    "its answers are never counted among the right ones. Facts told in both orders show that the "
    "model could answer such questions. All entities are invented names of one style, whatever "
    "the relation. Each kind is one relation of the table: what holds of it need not hold of "
    "others."
)
