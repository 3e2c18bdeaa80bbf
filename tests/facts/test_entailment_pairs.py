"""Generated entailment: counts in closed form, labels by hand and by logic, splits apart."""

import random
import re
from collections import Counter
from itertools import product

import pytest

from interp_rc.facts.entailment_pairs import LABELS, EntailmentPair, entailment_pairs, phenomena
from interp_rc.facts.entailment_words import SLOT, _template, fill, templates, words
from interp_rc.facts.relations import relations
from interp_rc.records.errors import DataError

FORM_WORDS = set(
    """a an the there is are was were be been has have ever it that this who did do not no never
    none nobody anybody anything anywhere one neither nor either or and both but all some every any
    of in at by to than more most fewer least exactly just over under before after until earlier
    only""".split()
)


def content(text):
    return set(re.findall(r"[a-z0-9]+", text.lower())) - FORM_WORDS


def test_counts_are_balanced_over_labels_and_phenomena():
    pairs = entailment_pairs(3, 660, split="test")
    assert Counter(pair.label for pair in pairs) == dict.fromkeys(LABELS, 220)
    cells = Counter((pair.label, pair.phenomenon) for pair in pairs)
    assert set(cells) == {(label, name) for label in LABELS for name in phenomena(label)}
    for (label, name), count in cells.items():
        assert count == (20 if label == "neutral" else 22), (label, name)
    assert len({(pair.premise, pair.hypothesis) for pair in pairs}) == 660
    assert set(phenomena("neutral")) - set(phenomena("entailment")) == {"unrelated"}
    assert phenomena("entailment") == phenomena("contradiction")
    assert len(phenomena("neutral")) == 11


def test_a_seed_gives_the_same_pairs_and_a_longer_request_begins_with_them():
    first = entailment_pairs(3, 50, split="train")
    assert entailment_pairs(3, 90, split="train")[:50] == first
    assert entailment_pairs(4, 50, split="train") != first
    assert all(isinstance(pair, EntailmentPair) for pair in first)


def test_no_pair_of_content_words_and_no_template_is_in_both_splits():
    def crossed(pairs):
        return {
            couple
            for pair in pairs
            for couple in product(content(pair.premise), content(pair.hypothesis))
        }

    train = crossed(entailment_pairs(1, 1500, split="train"))
    test = crossed(entailment_pairs(1, 1500, split="test"))
    assert len(train) > 1000
    assert len(test) > 1000
    assert train & test == set()
    sides = {
        split: {
            row for parts in templates(split).values() for rows in parts.values() for row in rows
        }
        for split in ("train", "test")
    }
    assert sides["train"] & sides["test"] == set()


def test_no_words_are_in_both_splits():
    def all_words(split):
        entries = (entry for category in words(split).values() for entry in category)
        texts = (e if isinstance(e, str) else " ".join(e.values()) for e in entries)
        return {word for text in texts for word in content(text)}

    assert all_words("train") & all_words("test") == set()


def test_no_text_is_worded_as_a_relation_of_the_table():
    worded = [w.words for entry in relations().values() for w in entry.wordings]
    for split in ("train", "test"):
        for pair in entailment_pairs(2, 900, split=split):
            text = f" {pair.premise} {pair.hypothesis} "
            assert not [one for one in worded if f" {one} " in text]


HAND = {
    "lexical": [
        ("The nurse wanted a hammer.", "The nurse wanted a tool.", "entailment"),
        ("The nurse wanted a tool.", "The nurse wanted a hammer.", "neutral"),
        ("There is no dog in the hotel.", "There is a poodle in the hotel.", "contradiction"),
    ],
    "negation": [
        ("The nurse did not sell anything.", "The nurse did not sell the lamp.", "entailment"),
        ("The nurse did not sell the lamp.", "The baker did not sell the lamp.", "neutral"),
        ("The nurse sold the lamp.", "The nurse never sold the lamp.", "contradiction"),
    ],
    "quantifiers": [
        ("All the goats slept.", "Some of the goats slept.", "entailment"),
        ("Some of the goats slept.", "All the goats slept.", "neutral"),
        ("Some of the goats did not sleep.", "All the goats slept.", "contradiction"),
    ],
    "numbers": [
        ("Exactly five goats slept.", "More than three goats slept.", "entailment"),
        ("More than three goats slept.", "More than five goats slept.", "neutral"),
        ("Exactly three goats slept.", "Exactly five goats slept.", "contradiction"),
    ],
    "voice": [
        ("The nurse thanked the baker.", "The baker was thanked by the nurse.", "entailment"),
        ("The nurse thanked the baker.", "The nurse was thanked by the baker.", "neutral"),
        (
            "The nurse did not thank the baker.",
            "The baker was thanked by the nurse.",
            "contradiction",
        ),
    ],
    "conjunction": [
        ("The nurse and the baker slept.", "The baker slept.", "entailment"),
        ("The nurse slept.", "The nurse and the baker slept.", "neutral"),
        ("Neither the nurse nor the baker slept.", "The baker slept.", "contradiction"),
    ],
    "modifiers": [
        ("The tall nurse slept quietly.", "The nurse slept.", "entailment"),
        ("A nurse slept.", "A tall nurse slept quietly.", "neutral"),
        ("The nurse sang loudly.", "The nurse sang quietly.", "contradiction"),
    ],
    "place": [
        (
            "The nurse slept in the barn of the farm.",
            "The nurse slept in the farm.",
            "entailment",
        ),
        (
            "Nobody slept in the barn of the farm.",
            "Nobody slept in the farm.",
            "neutral",
        ),
        (
            "The nurse was in the farm all day.",
            "The nurse was in the hotel all day.",
            "contradiction",
        ),
    ],
    "time": [
        (
            "The nurse sang before six o'clock.",
            "The nurse sang before eight o'clock.",
            "entailment",
        ),
        ("The nurse sang before eight o'clock.", "The nurse sang before six o'clock.", "neutral"),
        (
            "Nobody sang before eight o'clock.",
            "The nurse sang before six o'clock.",
            "contradiction",
        ),
    ],
    "antonyms": [
        ("The lamp was heavy.", "The lamp was not light.", "entailment"),
        ("The lamp was heavy.", "The lamp was wooden.", "neutral"),
        ("The lamp was heavy.", "The lamp was light.", "contradiction"),
    ],
    "unrelated": [
        ("The nurse sold the lamp.", "Some goats slept in the farm.", "neutral"),
    ],
}


def matches(text, template, split):
    """Whether a text can come from a template, as a regular expression over its slots' words."""
    parts, last, seen = "", 0, {}
    for slot in SLOT.finditer(template):
        parts += re.escape(template[last : slot.start()])
        found = [e if isinstance(e, str) else e[slot[3]] for e in words(split)[slot[1]]]
        name = slot[0].strip("{}").replace(".", "_")
        parts += f"(?P={name})" if name in seen else f"(?P<{name}>{'|'.join(sorted(found))})"
        seen[name], last = True, slot.end()
    found = re.fullmatch(parts + re.escape(template[last:]), text)
    if not found:
        return False
    kept = found.groupdict()  # person1 and person2 are two persons
    return not any(kept[name] == kept.get(name.replace("1", "2")) for name in kept if "1" in name)


HAND_TEST = {
    "lexical": [
        ("The judge drew a rose.", "The judge drew a flower.", "entailment"),
        (
            "Nobody in the school has ever seen a bird.",
            "Nobody in the school has ever seen an eagle.",
            "entailment",
        ),
        ("The judge drew a flower.", "The judge drew a rose.", "neutral"),
        (
            "Nobody in the school has ever seen a bird.",
            "The judge in the school has seen an eagle.",
            "contradiction",
        ),
    ],
    "negation": [
        (
            "It was none but the judge who stole the book.",
            "The judge stole the book.",
            "entailment",
        ),
        ("The judge failed to steal the book.", "The judge did not steal the book.", "entailment"),
        ("Nobody stole the book.", "The judge stole the vase.", "neutral"),
        ("Nobody stole the book.", "The judge stole the book.", "contradiction"),
    ],
    "quantifiers": [
        ("Every one of the cows ran.", "At least one of the cows ran.", "entailment"),
        ("Not every one of the cows ran.", "Not one of the cows ran.", "neutral"),
        (
            "At least one of the cows did not run.",
            "Every one of the cows ran.",
            "contradiction",
        ),
    ],
    "numbers": [
        ("There were just fifty cows.", "There were over forty cows.", "entailment"),
        ("There were over forty cows.", "There were over fifty cows.", "neutral"),
        ("There were over fifty cows.", "There were just forty cows.", "contradiction"),
    ],
    "voice": [
        (
            "It was the judge who insulted the actor.",
            "The actor has been insulted by the judge.",
            "entailment",
        ),
        (
            "It was the judge who insulted the actor.",
            "The judge has been insulted by the actor.",
            "neutral",
        ),
        (
            "It was the judge who insulted the actor.",
            "The actor has not been insulted by anybody.",
            "contradiction",
        ),
    ],
    "conjunction": [
        ("The judge stole both the book and the vase.", "The judge stole the vase.", "entailment"),
        ("Either the judge or the actor stole the vase.", "The judge stole the vase.", "neutral"),
        (
            "The judge stole neither the book nor the vase.",
            "The judge stole the vase.",
            "contradiction",
        ),
    ],
    "modifiers": [
        ("No judge stole the book.", "No old judge stole the book.", "entailment"),
        ("No old judge stole the book.", "No judge stole the book.", "neutral"),
        (
            "An old judge stole the book quickly.",
            "No judge stole the book.",
            "contradiction",
        ),
    ],
    "place": [
        (
            "The book lay in the library of the school.",
            "The book lay in the school.",
            "entailment",
        ),
        (
            "There was no book in the library of the school.",
            "There was no book anywhere in the school.",
            "neutral",
        ),
        (
            "There was a book in the library of the school.",
            "There was no book anywhere in the school.",
            "contradiction",
        ),
    ],
    "time": [
        (
            "The judge stole the book in 1820.",
            "The judge stole the book earlier than 1875.",
            "entailment",
        ),
        (
            "The book was not stolen until after 1820.",
            "The book was not stolen until after 1875.",
            "neutral",
        ),
        (
            "The book was not stolen until after 1875.",
            "The judge stole the book in 1820.",
            "contradiction",
        ),
    ],
    "antonyms": [
        ("It is a large book.", "It is no small book.", "entailment"),
        ("It is no large book.", "It is a small book.", "neutral"),
        ("Both are large, the book and the vase.", "The book is small.", "contradiction"),
    ],
    "unrelated": [
        ("A judge stole the book.", "There were fifty cows in the tower.", "neutral"),
    ],
}


@pytest.mark.parametrize(("split", "hand"), [("train", HAND), ("test", HAND_TEST)])
@pytest.mark.parametrize("phenomenon", HAND)
def test_labels_by_hand(split, hand, phenomenon):
    assert set(hand) == set(templates(split))
    for premise, hypothesis, label in hand[phenomenon]:
        both = [re.sub(r"\b([Aa])n ", r"\1 ", text) for text in (premise, hypothesis)]
        labels = {
            given
            for given, rows in templates(split)[phenomenon].items()
            for row in rows
            if matches(" | ".join(both), " | ".join(row), split)
        }
        assert labels == {label}, (premise, hypothesis)


def test_the_two_texts_exchanged_are_labelled_as_logic_says():
    """What contradicts is contradicted; what is contradicted neither follows nor is left open."""
    exchanged = 0
    for split in ("train", "test"):
        pairs = entailment_pairs(8, 1500, split=split)
        labels = {(pair.premise, pair.hypothesis): pair.label for pair in pairs}
        for (premise, hypothesis), label in labels.items():
            other = labels.get((hypothesis, premise))
            if other:
                exchanged += 1
                assert (label == "contradiction") == (other == "contradiction")
    assert exchanged > 50


def test_no_two_labels_can_be_drawn_for_the_same_two_texts():
    for split in ("train", "test"):
        labels = {}
        for pair in entailment_pairs(5, 1500, split=split):
            labels.setdefault((pair.premise, pair.hypothesis), set()).add(pair.label)
        assert {len(found) for found in labels.values()} == {1}


def test_exchanged_roles_are_neutral_and_the_same_roles_entailed():
    for pair in entailment_pairs(6, 900, split="train"):
        active = re.fullmatch(r"The (\w+) (\w+ed) the (\w+)\.", pair.premise)
        passive = re.fullmatch(r"The (\w+) was (\w+ed) by the (\w+)\.", pair.hypothesis)
        if pair.phenomenon == "voice" and active and passive:
            same = (active[1], active[3]) == (passive[3], passive[1])
            exchanged = (active[1], active[3]) == (passive[1], passive[3])
            assert (same, exchanged) in {(True, False), (False, True)}
            assert pair.label == ("entailment" if same else "neutral")


COUNT = {word: number for number, word in enumerate("zero one two three four five six".split())} | {
    "seven": 7,
    "nine": 9,
    "ten": 10,
    "eleven": 11,
    "twelve": 12,
    "fifteen": 15,
    "twenty": 20,
    "thirty": 30,
    "forty": 40,
    "fifty": 50,
}
BOUNDS = {
    "exactly": lambda n: {n},
    "just": lambda n: {n},
    "more than": lambda n: set(range(n + 1, 100)),
    "over": lambda n: set(range(n + 1, 100)),
    "fewer than": lambda n: set(range(n)),
    "under": lambda n: set(range(n)),
    "at most": lambda n: set(range(n + 1)),
}


def possible(text):
    [(bound, number)] = re.findall(rf"({'|'.join(BOUNDS)}) ({'|'.join(COUNT)})\b", text.lower())
    return BOUNDS[bound](COUNT[number])


@pytest.mark.parametrize("split", ["train", "test"])
def test_numbers_are_labelled_as_sets_of_counts_say(split):
    """Entailed: all that the premise allows; contradicted: none of it."""
    found = [p for p in entailment_pairs(7, 900, split=split) if p.phenomenon == "numbers"]
    assert len(found) > 80
    for pair in found:
        premise, hypothesis = possible(pair.premise), possible(pair.hypothesis)
        label = "neutral"
        if premise <= hypothesis:
            label = "entailment"
        elif not premise & hypothesis:
            label = "contradiction"
        assert pair.label == label, pair


def test_rows_of_words_are_in_order():
    for split in ("train", "test"):
        known = words(split)
        assert all(COUNT[row["fewer"]] < COUNT[row["more"]] for row in known["number"])
        for row in known["moment"]:
            times = [one.split()[0] for one in (row["earlier"], row["later"])]
            early, late = (COUNT.get(t, None) or int({"eight": 8}.get(t, t)) for t in times)
            assert early < late


def test_slots_are_filled_once_and_articles_fit():
    known = {"person": ["actor", "baker"], "deed": [{"past": "sang"}]}
    (one, other), drawn = fill(
        ["A {person1} met a {person2}.", "{person2} {deed.past}."], random.Random(0), known
    )
    assert one in ("An actor met a baker.", "A baker met an actor.")
    assert other == f"{drawn['person2']} sang."


@pytest.mark.parametrize(
    "text", ["no bar", "a | b | c", "{robot} | b", "{deed.future} | b", "{person.past} | b"]
)
def test_a_faulty_template_is_named(text):
    with pytest.raises(DataError, match=r"lexical\.neutral"):
        _template("lexical.neutral", text, words("train"))


def test_used_up_templates_are_said():
    with pytest.raises(DataError, match="ask for fewer"):
        entailment_pairs(1, 100_000, split="train")
