"""A plain loop that shares nothing with the package."""

import torch

from interp_rc.engine.sites import Site


def sites_of(components, layers=2):
    places = [("source", "first"), ("source", "last"), ("source", "all"), ("prompt", "last")]
    return [
        Site(component, layer, span, token)
        for component in components
        for layer in range(layers)
        for span, token in places
    ]


def blocks(model):
    kind = model.config.model_type
    if kind == "gpt2":
        return [(b, b.attn, b.mlp, b.ln_2) for b in model.transformer.h]
    if kind == "gpt_neox":
        return [(b, b.attention, b.mlp, None) for b in model.gpt_neox.layers]
    return [(b, b.self_attn, b.mlp, b.post_attention_layernorm) for b in model.model.layers]


def first(out):
    return out[0] if isinstance(out, tuple) else out


class Loop:
    """One prompt at a time, one site at a time, with hooks of its own."""

    def __init__(self, loaded):
        self.model, self.tokenizer = loaded

    def ids(self, prompt, target):
        encoded = self.tokenizer(prompt + target, return_offsets_mapping=True)
        offsets = encoded.offset_mapping
        start = min(i for i, (_, end) in enumerate(offsets) if end > len(prompt))
        return encoded.input_ids, start, offsets

    def positions(self, prompt, target, span, token):
        _, start, offsets = self.ids(prompt, target)
        covered = [
            i for i in range(start) if offsets[i][0] < span.end and offsets[i][1] > span.start
        ]
        return {"first": covered[:1], "last": covered[-1:], "all": covered}[token]

    def log_prob(self, prompt, target, hooks=(), copies=1, longer=0):
        ids, start, _ = self.ids(prompt, target)
        batch = torch.tensor([ids + [0] * longer] * copies)
        handles = [put() for put in hooks]
        try:
            with torch.no_grad():
                logits = self.model(input_ids=batch, use_cache=False).logits[0, : len(ids)]
        finally:
            for handle in handles:
                handle.remove()
        log_probs = torch.log_softmax(logits.double(), -1)
        return sum(log_probs[i - 1, ids[i]].item() for i in range(start, len(ids)))

    def activation(self, site, prompt, target, copies=1, longer=0):
        """Of the whole text, at the site's place."""
        kept = {}
        whole, attention, mlp, norm = blocks(self.model)[site.layer]
        reading = {
            "resid_pre": lambda: whole.register_forward_pre_hook(
                lambda m, args, kw: kept.update(x=args[0] if args else kw["hidden_states"]),
                with_kwargs=True,
            ),
            "attn_out": lambda: attention.register_forward_hook(
                lambda m, a, out: kept.update(x=first(out))
            ),
            "resid_mid": lambda: norm.register_forward_pre_hook(
                lambda m, args: kept.update(x=args[0])
            ),
            "mlp_out": lambda: mlp.register_forward_hook(lambda m, a, out: kept.update(x=out)),
            "resid_post": lambda: whole.register_forward_hook(
                lambda m, a, out: kept.update(x=first(out))
            ),
        }
        self.log_prob(prompt, target, [reading[site.component]], copies, longer)
        return kept["x"][0]

    def writing(self, site, positions, values):
        """Hooks that replace the activation at one place."""
        whole, attention, mlp, norm = blocks(self.model)[site.layer]
        kept = {}

        def replace(value):
            value = value.clone()
            value[:, positions] = values
            return value

        def swap_input(module, args, kwargs):
            if args:
                return (replace(args[0]), *args[1:]), kwargs
            return args, kwargs | {"hidden_states": replace(kwargs["hidden_states"])}

        def swap_output(module, args, out):
            return (replace(out[0]), *out[1:]) if isinstance(out, tuple) else replace(out)

        def swap_norm_input(module, args):
            kept["change"] = replace(args[0]) - args[0]
            return (replace(args[0]),)

        def swap_skip(module, args, out):  # the layer adds its MLP to the old stream
            return (
                (out[0] + kept["change"], *out[1:])
                if isinstance(out, tuple)
                else out + kept["change"]
            )

        return {
            "resid_pre": [lambda: whole.register_forward_pre_hook(swap_input, with_kwargs=True)],
            "attn_out": [lambda: attention.register_forward_hook(swap_output)],
            "resid_mid": [
                lambda: norm.register_forward_pre_hook(swap_norm_input),
                lambda: whole.register_forward_hook(swap_skip),
            ],
            "mlp_out": [lambda: mlp.register_forward_hook(swap_output)],
            "resid_post": [lambda: whole.register_forward_hook(swap_output)],
        }[site.component]

    def patched(self, contrast, site, copies=1, longer=0):
        """Log-probability of the target after the corrupted prompt, patched from the clean one."""
        spans = contrast.spans.get(site.span)
        where = []
        for which, prompt in enumerate((contrast.clean, contrast.corrupted)):
            span = spans[which] if spans else type("Whole", (), {"start": 0, "end": len(prompt)})
            where.append(self.positions(prompt, contrast.target, span, site.token))
        shared = min(map(len, where))
        giver, taker = (positions[-shared:] for positions in where)
        values = self.activation(site, contrast.clean, contrast.target, copies, longer)[giver]
        hooks = self.writing(site, taker, values)
        return self.log_prob(contrast.corrupted, contrast.target, hooks, copies, longer)
