"""A causal model that says what a script has it say, to test how what a model says is read."""

import torch
from torch import nn
from transformers import GenerationConfig, PreTrainedConfig, PreTrainedModel
from transformers.modeling_outputs import CausalLMOutput

from interp_rc.models.load import Loaded


class ScriptedConfig(PreTrainedConfig):
    model_type = "scripted"


class Scripted(PreTrainedModel):
    """After a beginning of a script its next token is certain; after anything else the last one."""

    config_class = ScriptedConfig

    def __init__(self, config, scripts):
        super().__init__(config)
        self.scripts = [tuple(script) for script in scripts]
        self.generation_config = GenerationConfig.from_model_config(config)
        self.embed_tokens = nn.Embedding(config.vocab_size, 1)

    def get_input_embeddings(self):
        return self.embed_tokens

    def forward(self, input_ids, attention_mask=None, use_cache=False):
        logits = torch.zeros(*input_ids.shape, self.config.vocab_size)
        for row, ids in enumerate(input_ids.tolist()):
            for place in range(len(ids)):
                read = tuple(ids[: place + 1])
                after = next(
                    (s[len(read)] for s in self.scripts
                     if s[: len(read)] == read and len(s) > len(read)), ids[place]
                )  # fmt: skip
                logits[row, place, after] = 30.0
        return CausalLMOutput(logits=logits)


def scripted(tokenizer, texts, **settings):
    """`texts`: prompts with the ids or the text that follow."""
    scripts = [
        tokenizer(prompt).input_ids
        + (tokenizer(said, add_special_tokens=False).input_ids if isinstance(said, str) else said)
        for prompt, said in texts.items()
    ]
    config = ScriptedConfig(vocab_size=len(tokenizer), **settings)
    return Loaded(Scripted(config, scripts).eval(), tokenizer)
