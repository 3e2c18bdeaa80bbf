"""How a thought-out answer is asked for and found."""

import pytest
from transformers import PreTrainedTokenizerFast

from interp_rc.measures.in_context.chain_of_thought import (
    INSTRUCTION,
    final_answer,
    in_chat,
    open_question,
    reasoned,
)
from interp_rc.models.tokenizer import encode


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("The text says so.\nFinal answer: Ada Hill.", "Ada Hill."),
        ("Final answer: Ada Hill\n\nAsked: who?\nFinal answer: Bo", "Ada Hill"),
        ("**Final Answer:** “Ada Hill”\n", "Ada Hill"),
        ("## final answer: *Ada Hill*", "Ada Hill"),
        ("> **Final answer**: Ada Hill", "Ada Hill"),
        ("I will give a final answer: Ada Hill", ""),  # not at the beginning of a line
        ("Ada Hill", ""),
        ("Final answer:", ""),
        ("Final answer:\nAda Hill", ""),
        ("", ""),
    ],
)
def test_the_answer_stands_on_the_first_line_with_the_mark(text, answer):
    assert final_answer(text) == answer


def test_a_worked_example_answers_in_the_form_that_is_asked_for():
    example = reasoned("Asked: who is A?", "On record: B is A.", " B")
    assert final_answer(example) == "B."
    assert example.startswith(open_question("Asked: who is A?"))
    assert INSTRUCTION in example


CHAT = (
    "{{ bos_token }}{% for m in messages %}[{{ m.role }}]{{ m.content }}[/]{% endfor %}"
    "{% if add_generation_prompt %}[assistant]{% endif %}"
)


def test_a_chat_format_is_used_where_there_is_one_and_begins_only_once(tokenizer):
    assert in_chat(tokenizer, ["Who?"]) == ["Who?"]
    chatty = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer.backend_tokenizer,
        bos_token=tokenizer.bos_token,
        eos_token=tokenizer.eos_token,
        chat_template=CHAT,
    )
    (turn,) = in_chat(chatty, ["Who?"])
    assert turn == "[user]Who?[/][assistant]"
    ((ids, _),) = encode(chatty, [turn])
    assert ids.count(chatty.bos_token_id) == 1
    assert ids[0] == chatty.bos_token_id
