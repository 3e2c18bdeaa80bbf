"""Questions that a model may think about before it answers, and how its answer is found."""

import re
from collections.abc import Sequence

from transformers import PreTrainedTokenizerBase

INSTRUCTION = (
    "Think step by step. Then give the answer alone, on a line that begins with “Final answer:”."
)
MARK = "Final answer:"
# Markdown around the mark is the habit of chat models.
FINAL = re.compile(r"^[\s>#*_]*final answer[*_]*:[*_]*(.*)$", re.IGNORECASE | re.MULTILINE)
AROUND = " \t\r*_`\"'“”"


def reasoned(question: str, statement: str, target: str) -> str:
    """A worked example: question, thoughts and answer in the form that is asked for."""
    thought = f"Thoughts: the text above says: {statement} So the answer is{target}."
    return f"{question}\n{INSTRUCTION}\n{thought}\n{MARK}{target}."


def open_question(question: str) -> str:
    """What the model is to continue with its thoughts."""
    return f"{question}\n{INSTRUCTION}\nThoughts:"


def final_answer(text: str) -> str:
    """What stands on the first line that begins with “Final answer:”; nothing if none does.

    Letter case, Markdown marks and quotation marks do not count. The first, because a model
    without an end to its turn goes on to questions of its own.
    """
    found = FINAL.search(text)
    return found[1].strip(AROUND) if found else ""


def in_chat(tokenizer: PreTrainedTokenizerBase, prompts: Sequence[str]) -> list[str]:
    """Each prompt as the user's turn in the tokenizer's chat format; unchanged where it has none.

    The format may write the special token that the tokenizer puts before every text anyway: it
    is taken off, so that it does not stand there twice.
    """
    if not tokenizer.chat_template:
        return list(prompts)
    begin = tokenizer.bos_token
    twice = begin is not None and tokenizer("a").input_ids[0] == tokenizer.bos_token_id
    turns = [
        str(
            tokenizer.apply_chat_template(
                [{"role": "user", "content": prompt}], tokenize=False, add_generation_prompt=True
            )
        )
        for prompt in prompts
    ]
    return [turn.removeprefix(begin) if twice and begin else turn for turn in turns]
