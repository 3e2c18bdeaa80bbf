"""Patching written again, plainly: whole forwards, one contrast and one site at a time.

Shares nothing with the package but its nouns: words are tokens by a table of its own, hooks sit on
modules that are listed here, and patterns go through an attention function written here.
"""

import math
from dataclasses import dataclass

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import (
    AttentionInterface,
    AttentionMaskInterface,
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    BertConfig,
    Gemma2Config,
    Gemma3TextConfig,
    GemmaConfig,
    GPT2Config,
    GPTNeoXConfig,
    LlamaConfig,
    MistralConfig,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen3Config,
    RobertaConfig,
)
from transformers.masking_utils import eager_mask

from interp_rc.models.load import Loaded
from interp_rc.records.nouns import Contrast, Span

BEGIN, PAD, END, UNKNOWN, MASK = SPECIAL = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
WORDS = [f"w{i}" for i in range(30)]
IDS = {word: number for number, word in enumerate([*SPECIAL, *WORDS])}
LAYERS, HEADS, NEURONS = 3, 4, 20

COMMON = {"vocab_size": len(IDS), "bos_token_id": 0, "eos_token_id": 2, "pad_token_id": 1}
SIZE = COMMON | {
    "hidden_size": 16,
    "intermediate_size": NEURONS,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": HEADS,
    "max_position_embeddings": 40,
}
GROUPED = SIZE | {"num_key_value_heads": 2, "head_dim": 6}
MIXED = ["sliding_attention", "full_attention", "sliding_attention"]
LOCAL = {"sliding_window": 3, "layer_types": MIXED}
CONFIGS = {
    "gpt2": lambda: GPT2Config(
        **COMMON, n_embd=16, n_inner=NEURONS, n_layer=LAYERS, n_head=HEADS, n_positions=40
    ),
    "llama": lambda: LlamaConfig(**GROUPED),
    "mistral": lambda: MistralConfig(**GROUPED, sliding_window=3),
    "qwen2": lambda: Qwen2Config(**SIZE, num_key_value_heads=2),
    "qwen3": lambda: Qwen3Config(**GROUPED),
    "gemma": lambda: GemmaConfig(**GROUPED),
    "gemma2": lambda: Gemma2Config(
        **GROUPED,
        **LOCAL,
        query_pre_attn_scalar=5,
        attn_logit_softcapping=2.0,
        final_logit_softcapping=4.0,
    ),
    "gemma3_text": lambda: Gemma3TextConfig(**GROUPED, **LOCAL, query_pre_attn_scalar=5),
    "gpt_neox": lambda: GPTNeoXConfig(**SIZE),
    "gpt_neox_in_turn": lambda: GPTNeoXConfig(**SIZE, use_parallel_residual=False),
    "bert": lambda: BertConfig(**SIZE),
    "roberta": lambda: RobertaConfig(**SIZE, type_vocab_size=1),
}
FAMILIES = tuple(CONFIGS)
MASKED = ("bert", "roberta")


def word_tokenizer(masked):
    """One token a word; texts begin, and in masked models end, with a special one."""
    made = Tokenizer(models.WordLevel(IDS, unk_token=UNKNOWN))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    made.post_processor = processors.TemplateProcessing(
        single=f"{BEGIN} $A {END}" if masked else f"{BEGIN} $A",
        special_tokens=[(BEGIN, IDS[BEGIN]), (END, IDS[END])],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=made,
        bos_token=BEGIN,
        eos_token=END,
        pad_token=PAD,
        unk_token=UNKNOWN,
        mask_token=MASK,
        name_or_path="words",
    )


def made(family, dtype=torch.float64, seed=0):
    """Random weights with strong opinions; norms and biases are random too."""
    kind = AutoModelForMaskedLM if family in MASKED else AutoModelForCausalLM
    model = kind.from_config(CONFIGS[family]()).eval().requires_grad_(False)
    draw = torch.Generator().manual_seed(seed)
    for _, weight in sorted(dict(model.named_parameters()).items()):
        noise = torch.randn(weight.shape, generator=draw)
        if weight.ndim == 1:
            weight.add_(0.3 * noise)
        else:
            weight.copy_(2.5 * noise / weight.shape[-1] ** 0.5)
    model = model.to(dtype)
    if dtype == torch.float64:
        _without_float32(model)
    return Loaded(model, word_tokenizer(family in MASKED))


def _without_float32(model):
    """RMS norms round to float32 in the middle, where a last bit of float64 may decide."""
    plus = model.config.model_type.startswith("gemma")

    def exact(norm):
        def forward(x):
            eps = norm.eps if plus else norm.variance_epsilon
            return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps) * (norm.weight + plus)

        return forward

    for module in model.modules():
        if type(module).__name__.endswith("RMSNorm"):
            module.forward = exact(module)


@dataclass(frozen=True)
class Pair:
    """Two prompts in words; `source` says where each one's source stands, in words."""

    name: str
    clean: list
    corrupted: list
    source: tuple
    target: list
    foil: list | None = None

    @property
    def contrast(self):
        spans = [
            Span(len(" ".join(words[:a])) + (a > 0), len(" ".join(words[:b])))
            for words, (a, b) in zip((self.clean, self.corrupted), self.source, strict=True)
        ]
        before = "" if MASK in self.clean else " "
        return Contrast(
            self.name,
            self.name,
            None,
            " ".join(self.clean),
            " ".join(self.corrupted),
            before + " ".join(self.target),
            None if self.foil is None else before + " ".join(self.foil),
            {"source": spans},
        )


def read(words, target):
    """Ids of prompt and target, where the target is predicted, and where each word stands."""
    places, ids = {}, [IDS[BEGIN]]
    masks = len(target) if words.count(MASK) == 1 else 1
    for n, word in enumerate(words):
        places[n] = list(range(len(ids), len(ids) + (masks if word == MASK else 1)))
        ids += [IDS[word]] * len(places[n])
    if MASK in words:
        return [*ids, IDS[END]], [i for i, one in enumerate(ids) if one == IDS[MASK]], places
    reads = list(range(len(ids) - 1, len(ids) - 1 + len(target)))
    return ids + [IDS[word] for word in target], reads, places


def tokens(pair, site, which, target):
    words, source = (pair.clean, pair.corrupted)[which], pair.source[which]
    if site.position is not None:
        return [site.position]
    _, _, places = read(words, target)
    a, b = source if site.span == "source" else (0, len(words))
    found = [position for n in range(a, b) for position in places[n]]
    return {"first": found[:1], "last": found[-1:], "all": found}[site.token]


def aligned(pair, site, target):
    """Positions in the clean and in the corrupted prompt; the ends meet."""
    both = [tokens(pair, site, which, target) for which in (0, 1)]
    shared = min(map(len, both))
    return [one[len(one) - shared :] for one in both]


def _taps(model):
    """Each layer's modules, and whether a component is what goes in or what comes out."""
    kind = model.config.model_type
    if kind == "gpt2":
        names = "transformer.h attn attn.c_proj ln_2 mlp mlp.c_proj attn mlp"
    elif kind == "gpt_neox":
        names = (
            "gpt_neox.layers attention attention.dense post_attention_layernorm mlp "
            "mlp.dense_4h_to_h attention mlp"
        )
    elif kind in MASKED:
        names = (
            f"{kind}.encoder.layer attention.self attention.output.dense "
            "attention.output.LayerNorm output.dense output.dense attention.output.dense "
            "output.dense"
        )
    elif kind in ("gemma2", "gemma3_text"):
        names = (
            "model.layers self_attn self_attn.o_proj pre_feedforward_layernorm mlp mlp.down_proj "
            "post_attention_layernorm post_feedforward_layernorm"
        )
    else:
        names = (
            "model.layers self_attn self_attn.o_proj post_attention_layernorm mlp mlp.down_proj "
            "self_attn mlp"
        )
    layers, attends, project, middle, _, down, attention, mlp = names.split()
    return [
        {
            "resid_pre": (block, "in"),
            "pattern": (block.get_submodule(attends), "pattern"),
            "z": (block.get_submodule(project), "in"),
            "attn_out": (block.get_submodule(attention), "out"),
            "resid_mid": (block.get_submodule(middle), "out" if kind in MASKED else "in"),
            "mlp_post": (block.get_submodule(down), "in"),
            "mlp_out": (block.get_submodule(mlp), "out"),
            "resid_post": (block, "out"),
        }
        for block in model.get_submodule(layers)
    ]


_AT_PATTERN = {}  # by module: shown the pattern of a forward pass, gives what to use


def _attention(module, q, k, v, mask, scaling=None, softcap=None, **_):
    k, v = (one.repeat_interleave(q.shape[1] // one.shape[1], 1) for one in (k, v))
    scores = q @ k.transpose(-1, -2) * (q.shape[-1] ** -0.5 if scaling is None else scaling)
    if softcap is not None:
        scores = softcap * torch.tanh(scores / softcap)
    if mask is not None:
        scores = scores + mask
    weights = (scores - scores.amax(-1, keepdim=True)).exp()
    pattern = weights / weights.sum(-1, keepdim=True)
    if id(module) in _AT_PATTERN:
        pattern = _AT_PATTERN[id(module)](pattern.transpose(1, 2)).transpose(1, 2)
    return (pattern @ v).transpose(1, 2), None


AttentionInterface.register("plain_loop", _attention)
AttentionMaskInterface.register("plain_loop", eager_mask)


class PlainLoop:
    """Runs of one model. `plain` attention instead of its own: where patterns are looked at, or
    where its own rounds to float32 in the middle."""

    def __init__(self, loaded, plain=False):
        self.model = loaded.model
        self.taps = _taps(loaded.model)
        self.plain = plain

    def run(self, ids, edits=None, keep=(), copies=1, longer=0):
        """Logits and what was kept; `edits` are functions of whole activations, by place."""
        edits, kept, handles = dict(edits or {}), {}, []
        for layer in [layer for component, layer in edits if component == "resid_mid"]:
            handles += self._middle(layer, edits)
        plain = self.plain or any(c == "pattern" for c, _ in [*edits, *keep])
        config = self.model.config
        own = config._attn_implementation
        try:
            for place in {*edits, *keep}:
                handles += self._tap(place, edits.get(place), kept)
            if plain:
                config._attn_implementation = "plain_loop"
            batch = torch.tensor([ids + [IDS[UNKNOWN]] * longer] * copies)
            with torch.no_grad():
                logits = self.model(input_ids=batch).logits[0, : len(ids)]
        finally:
            config._attn_implementation = own
            _AT_PATTERN.clear()
            for handle in handles:
                handle.remove()
        return logits.double(), {place: value[0, : len(ids)] for place, value in kept.items()}

    def _middle(self, layer, edits):
        """Attention adds what makes the middle of the stream read as asked for."""
        if self.taps[layer]["resid_mid"][1] == "out":
            return []
        edit, stream = edits.pop(("resid_mid", layer)), {}
        block = self.taps[layer]["resid_pre"][0]

        def before(_, args, kwargs):
            stream["pre"] = args[0] if args else kwargs["hidden_states"]

        def after(_, __, out):
            added = out[0] if isinstance(out, tuple) else out
            new = edit(stream["pre"] + added) - stream["pre"]
            return (new, *out[1:]) if isinstance(out, tuple) else new

        return [
            block.register_forward_pre_hook(before, with_kwargs=True),
            self.taps[layer]["attn_out"][0].register_forward_hook(after),
        ]

    def _tap(self, place, edit, kept):
        component, layer = place
        module, side = self.taps[layer][component]

        def at(value):
            value = value if edit is None else edit(value)
            kept[place] = value
            return value

        def going_in(_, args, kwargs):
            if args:
                return (at(args[0]), *args[1:]), kwargs
            return args, kwargs | {"hidden_states": at(kwargs["hidden_states"])}

        def coming_out(_, __, out):
            return (at(out[0]), *out[1:]) if isinstance(out, tuple) else at(out)

        if side == "pattern":
            _AT_PATTERN[id(module)] = at
            return []
        if side == "in":
            return [module.register_forward_pre_hook(going_in, with_kwargs=True)]
        return [module.register_forward_hook(coming_out)]


def measure(metric, logits, reads, target, clean=None):
    """In nats; `clean` are the clean run's logits where it is read."""
    log_probs = torch.log_softmax(logits[reads], -1)
    wanted = [IDS[word] for word in target]
    own = sum(log_probs[n, word].item() for n, word in enumerate(wanted))
    if metric == "log_prob":
        return own
    if metric == "probability":
        return math.exp(own)
    if metric == "rank":
        return max(
            1 + sum(other > logits[at, word] for other in logits[at]).item()
            for at, word in zip(reads, wanted, strict=True)
        )
    assert metric == "kl"
    before = torch.log_softmax(clean, -1)
    return torch.nn.functional.kl_div(log_probs, before, log_target=True, reduction="sum").item()


def exchanged(old, new):
    """What the other prompt has there."""
    return new


class Sweep:
    """Plain patching of pairs; runs of the unpatched prompts are kept.

    `put(old, new)` gives the new values, from what the patched run's prompt has at the tokens
    without a patch, and from what the giving run has at the matching ones. With `same`, both runs
    read the clean prompt, the clean one in the model `other`.
    """

    def __init__(self, loaded, other=None, into="corrupted", same=False, plain=False):
        self.loops = [PlainLoop(other or loaded, plain), PlainLoop(loaded, plain)]
        self.into, self.same = into, same
        self.kept = {}

    def inputs(self, pair, which, target):
        return read((pair.clean, pair.clean if self.same else pair.corrupted)[which], target)

    def unpatched(self, pair, which, place, target, **batch):
        key = pair.name, which, place, tuple(target)
        if key not in self.kept:
            ids, _, _ = self.inputs(pair, which, target)
            keep = [] if place is None else [place]
            logits, found = self.loops[which].run(ids, keep=keep, **batch)
            self.kept[key] = logits if place is None else found[place]
        return self.kept[key]

    def value(self, pair, site, metric="log_prob", put=exchanged, **batch):
        if metric == "logit_difference":
            own, foil = (
                self._logits(pair, site, put, target, **batch)
                for target in (pair.target, pair.foil)
            )
            if len(pair.target) == len(pair.foil) == 1:
                (logits, [at]) = own
                return (logits[at, IDS[pair.target[0]]] - logits[at, IDS[pair.foil[0]]]).item()
            return measure("log_prob", *own, pair.target) - measure("log_prob", *foil, pair.foil)
        logits, reads = self._logits(pair, site, put, pair.target, **batch)
        _, at, _ = self.inputs(pair, 0, pair.target)
        clean = self.unpatched(pair, 0, None, pair.target, **batch)[at]
        return measure(metric, logits, reads, pair.target, clean=clean)

    def _logits(self, pair, site, put, target, **batch):
        """Of the patched run; without a site (0: clean, 1: corrupted), of one as it is."""
        if isinstance(site, int):
            return self.unpatched(pair, site, None, target, **batch), self.inputs(
                pair, site, target
            )[1]
        taking = ("clean", "corrupted").index(self.into)
        where = [tokens(pair, site, 0, target)] * 2 if self.same else aligned(pair, site, target)
        edits = {}
        half = site.window // 2
        for layer in range(max(0, site.layer - half), min(LAYERS, site.layer - half + site.window)):
            place = site.component, layer
            old = self.unpatched(pair, taking, place, target, **batch)[where[taking]]
            new = self.unpatched(pair, 1 - taking, place, target, **batch)[where[1 - taking]]
            if site.component == "pattern":  # of the positions that both prompts have
                new = torch.nn.functional.pad(new, (0, old.shape[-1] - new.shape[-1]))
            values = put(old, new)
            edits[place] = self._edit(site, where[taking], values)
        ids, reads, _ = self.inputs(pair, taking, target)
        return self.loops[taking].run(ids, edits, **batch)[0], reads

    @staticmethod
    def _edit(site, positions, values):
        def edit(whole):
            whole = whole.clone()
            if site.head is not None and site.component == "z":
                width = whole.shape[-1] // HEADS
                part = slice(site.head * width, (site.head + 1) * width)
                whole[:, positions, part] = values[:, part]
            elif site.head is not None:
                whole[:, positions, site.head, : values.shape[-1]] = values[:, site.head]
            elif site.neuron is not None:
                whole[:, positions, site.neuron] = values[:, site.neuron]
            elif site.component == "pattern":
                whole[:, positions, :, : values.shape[-1]] = values
            else:
                whole[:, positions] = values
            return whole

        return edit
