"""Write a plan into the weights of an ordinary GPT-2 or Llama."""

import copy
import math
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM, PreTrainedModel
from transformers.models.llama.modeling_llama import LlamaRMSNorm

from interp_rc.models.planted.plan import (
    ASKS_DESCRIPTION,
    ASKS_NAME,
    CONST,
    ENTITY,
    HEADS,
    LAYERS,
    POSITION,
    WIDTH,
    Lookup,
    Mover,
    Plan,
    Shape,
)

HEAD_WIDTH = WIDTH // HEADS
NEURONS = 64
CONTEXT = 32
TOKEN_SQUARE = 3.0  # squared length of every row of the embedding
POSITION_SQUARE = 0.25
ATTENTION = 40.0  # score of the entity over every other token
Matrix = Float[Tensor, "rows columns"]


def build(
    plan: Plan, shape: Shape, embedding: Matrix, output: Matrix, tokens: dict[str, int], seed: int
) -> tuple[PreTrainedModel, list[list[int]]]:
    """The model, in float64, and the neurons of each look-up, one a fact.

    `embedding` and `output` have a row a word, in the unrotated basis. All strengths are reached
    exactly, because the length of the stream is known at every step: it is the same for all facts,
    so that the norms tell nothing of the fact.
    """
    draw = torch.Generator().manual_seed(seed)
    model = _empty(shape, len(embedding), tokens).double()
    turn = _rotation(draw, without_mean=shape == "gpt2")
    start = TOKEN_SQUARE + (POSITION_SQUARE if shape == "gpt2" else 0.0)
    source, last = start, start
    neurons: list[list[int]] = [[] for _ in plan.lookups]
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.zero_()
        for layer in range(LAYERS):
            # Heads of a layer all read the stream before it.
            scale, last_scale = math.sqrt(WIDTH / source), math.sqrt(WIDTH / last)
            for mover in plan.movers:
                if mover.layer == layer:
                    size = _moved(plan, mover)
                    _write_head(model, shape, mover, scale, last_scale, size, turn, draw)
                    last += mover.strength**2
                    # The entity attends to itself, too.
                    source += mover.strength**2
            scale = math.sqrt(WIDTH / source)
            for lookup in plan.lookups:
                if lookup.layer == layer:
                    found = _write_lookup(model, shape, lookup, scale, turn, draw)
                    neurons[plan.lookups.index(lookup)] = found
                    source += lookup.strength**2
        scale = math.sqrt(WIDTH / last)
        gain = plan.answer_strength / (plan.movers[-1].strength * scale)  # the last is no decoy
        rows = output * gain
        asks = [ASKS_NAME, ASKS_DESCRIPTION]
        rows[:, asks] = output[:, asks] * plan.answer_strength / scale
        model.get_input_embeddings().weight.copy_(embedding @ turn)
        model.get_output_embeddings().weight.copy_(rows @ turn)
        if shape == "gpt2":
            angle = torch.arange(CONTEXT, dtype=torch.float64) * 2 * math.pi / CONTEXT
            positions = torch.zeros(CONTEXT, WIDTH, dtype=torch.float64)
            positions[:, POSITION] = torch.stack([angle.cos(), angle.sin()], 1)
            positions *= math.sqrt(POSITION_SQUARE)
            model.transformer.wpe.weight.copy_(positions @ turn)
    return model.eval(), neurons


def exact(model: PreTrainedModel) -> PreTrainedModel:
    """A float64 copy whose norms compute in float64, too; Llama's own compute in float32."""
    twin = copy.deepcopy(model).double()
    for module in twin.modules():
        if isinstance(module, LlamaRMSNorm):
            norm = partial(_rms_norm, module.weight, module.variance_epsilon)
            module.forward = norm
    return twin


def _rms_norm(weight: Tensor, epsilon: float, stream: Tensor) -> Tensor:
    return weight * functional.rms_norm(stream, weight.shape, eps=epsilon)


def _moved(plan: Plan, mover: Mover) -> float:
    """Length of what a head finds in the stream where the entity stands."""
    found = [lookup.strength for lookup in plan.lookups if set(lookup.writes) & set(mover.reads)]
    return found[0] if found else 1.0


def _empty(shape: Shape, vocabulary: int, tokens: dict[str, int]) -> PreTrainedModel:
    common = {"vocab_size": vocabulary, "tie_word_embeddings": False, **tokens}
    if shape == "gpt2":
        return GPT2LMHeadModel(
            GPT2Config(
                n_layer=LAYERS,
                n_embd=WIDTH,
                n_head=HEADS,
                n_inner=NEURONS,
                n_positions=CONTEXT,
                resid_pdrop=0.0,
                embd_pdrop=0.0,
                attn_pdrop=0.0,
                **common,
            )
        )
    return LlamaForCausalLM(
        LlamaConfig(
            num_hidden_layers=LAYERS,
            hidden_size=WIDTH,
            num_attention_heads=HEADS,
            num_key_value_heads=HEADS,
            intermediate_size=NEURONS,
            max_position_embeddings=CONTEXT,
            # So slow that the last pair of dimensions does not turn within the context.
            rope_parameters={"rope_type": "default", "rope_theta": 1e20},
            **common,
        )
    )


def _rotation(draw: torch.Generator, *, without_mean: bool) -> Matrix:
    """Rows are the directions of the dimensions; with `without_mean` all but the last two have
    none along the ones vector, which LayerNorm removes."""
    columns = torch.randn(WIDTH, WIDTH, generator=draw, dtype=torch.float64)
    if without_mean:
        columns[:, 0] = 1.0
    basis = torch.linalg.qr(columns).Q.T
    return basis.roll(-1, 0) if without_mean else basis


def _write_lookup(
    model: PreTrainedModel,
    shape: Shape,
    lookup: Lookup,
    scale: float,
    turn: Matrix,
    draw: torch.Generator,
) -> list[int]:
    """Gives the neuron of each fact."""
    reads = torch.stack([turn[list(dims)].sum(0) for dims in lookup.reads])
    writes = turn[lookup.writes]
    mlp = (model.transformer.h if shape == "gpt2" else model.model.layers)[lookup.layer].mlp
    # Two look-ups in one layer take neurons that are still free.
    used = (mlp.c_fc.weight.T if shape == "gpt2" else mlp.gate_proj.weight).abs().sum(1) > 0
    free = torch.nonzero(~used)[:, 0]
    neurons = free[torch.randperm(len(free), generator=draw)[: len(reads)]]
    seen = torch.tensor(scale, dtype=torch.float64)
    if shape == "gpt2":
        answer = functional.gelu(seen, approximate="tanh")
        mlp.c_fc.weight[:, neurons] = reads.T
        mlp.c_proj.weight[neurons] = writes * lookup.strength / answer
    else:
        answer = functional.silu(seen) * seen
        mlp.gate_proj.weight[neurons] = reads
        mlp.up_proj.weight[neurons] = reads
        mlp.down_proj.weight[:, neurons] = (writes * lookup.strength / answer).T
    return [int(neuron) for neuron in neurons]


def _write_head(
    model: PreTrainedModel,
    shape: Shape,
    mover: Mover,
    scale: float,
    last_scale: float,
    size: float,
    turn: Matrix,
    draw: torch.Generator,
) -> None:
    """Every token asks for the entity; what the entity holds goes through the head's values."""
    rank = len(mover.reads)
    mixed = torch.randn(HEAD_WIDTH, HEAD_WIDTH, generator=draw, dtype=torch.float64)
    values = torch.linalg.qr(mixed).Q[:, :rank]
    into = values @ turn[mover.reads]  # head width x width
    out = turn[mover.writes].T @ values.T * mover.strength / (size * scale)
    slow = HEAD_WIDTH // 2 - 1
    sharp = math.sqrt(ATTENTION * math.sqrt(HEAD_WIDTH) / (scale * last_scale))
    query = torch.zeros(HEAD_WIDTH, WIDTH, dtype=torch.float64)
    key = query.clone()
    query[slow] = turn[CONST] * sharp
    key[slow] = turn[ENTITY] * sharp
    own = slice(mover.head * HEAD_WIDTH, (mover.head + 1) * HEAD_WIDTH)
    if shape == "gpt2":
        attention = model.transformer.h[mover.layer].attn
        for part, matrix in enumerate((query, key, into)):
            first = part * WIDTH + own.start
            attention.c_attn.weight[:, first : first + HEAD_WIDTH] = matrix.T
        attention.c_proj.weight[own] = out.T
    else:
        attention = model.model.layers[mover.layer].self_attn
        attention.q_proj.weight[own] = query
        attention.k_proj.weight[own] = key
        attention.v_proj.weight[own] = into
        attention.o_proj.weight[:, own] = out
