"""Each wrong input is refused at plan, by our sentence and nothing else; and there is no sentence that was not seen."""

import re

import pytest

from refused import REFUSED
from tf import MODULE, Outcome, plan

SENTENCE = re.compile(r'error_message += "((?:[^"\\$]|\\.|\$(?!\{)|\$\{[^}]*\})*)"')


@pytest.fixture(scope="module")
def outcomes() -> dict[str, Outcome]:
    """What became of them, by the words that are expected."""
    numbered = {f"case-{number}": variables for number, variables in enumerate(REFUSED.values())}
    return dict(zip(REFUSED, plan("refused", numbered).values(), strict=True))


@pytest.mark.parametrize("words", REFUSED)
def test_refused(outcomes: dict[str, Outcome], words: str) -> None:
    """By these words alone: one thing is wrong, so one sentence says so."""
    errors = outcomes[words].errors
    assert any(words in error for error in errors), errors
    assert len(set(errors)) == 1, errors


def test_every_sentence_was_seen(outcomes: dict[str, Outcome]) -> None:
    """A new rule needs a wrong input here."""
    seen = [error for outcome in outcomes.values() for error in outcome.errors]
    texts = "".join(path.read_text() for path in sorted(MODULE.glob("*.tf")))
    sentences = SENTENCE.findall(texts)
    assert len(sentences) == len(re.findall(r"^ +error_message +=", texts, re.M))
    unseen = [sentence for sentence in sentences if not any(_literal(sentence) in error for error in seen)]
    assert not unseen, unseen


def _literal(sentence: str) -> str:
    """The longest part of a sentence that has no value in it."""
    plain = sentence.replace('\\"', '"').replace("\\\\", "\\")
    return max(re.split(r"\$\{.*?\}", plain), key=len)
