"""Grades of similarity: shared content words counted again from the texts."""

import re
from collections import Counter

from interp_rc.facts.entailment_words import words
from interp_rc.facts.similarity_pairs import GRADES, WORDINGS, similarity_pairs


def content(text):
    """The content words of a sentence, found by going through all words that could be there."""
    found = set()
    for category in ("person", "handle", "thing", "place"):
        for number, entry in enumerate(words("test")[category]):
            forms = (
                [entry]
                if isinstance(entry, str)
                else list(entry.values())[: 3 if category == "handle" else 1]
            )
            if any(re.search(rf"\b{form}\b", text) for form in forms):
                found.add((category, number))
    return found


def test_grades_are_the_number_of_shared_words():
    pairs = similarity_pairs(1, 200)
    assert Counter(pair.grade for pair in pairs) == dict.fromkeys(GRADES, 40)
    for pair in pairs:
        assert len(content(pair.first)) == len(content(pair.second)) == 4
        assert len(content(pair.first) & content(pair.second)) == pair.grade


def test_the_two_are_worded_differently_whatever_they_share():
    def frame(text):
        patterns = [re.sub(r"\\{[^}]*\\}", r"\\w+", re.escape(one)) for one in WORDINGS]
        [found] = [
            n
            for n, p in enumerate(patterns)
            if re.fullmatch(p.replace(" a ", " an? ").replace(r"\ a\ ", r"\ an?\ "), text)
        ]
        return found

    for pair in similarity_pairs(2, 100):
        assert frame(pair.first) != frame(pair.second)


def test_a_seed_gives_the_same_pairs():
    assert similarity_pairs(1, 40)[:20] == similarity_pairs(1, 20)
    assert similarity_pairs(1, 20) != similarity_pairs(2, 20)
