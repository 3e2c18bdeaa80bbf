"""One training, pretraining and finetuning alike, through Transformers' Trainer."""

import contextlib
import shutil
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from transformers import (
    PreTrainedModel,
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)

from interp_rc.models.causality import prove_causal
from interp_rc.models.finite import check_finite
from interp_rc.models.load import Loaded, quiet
from interp_rc.models.machine import Machine, threads_for
from interp_rc.models.soft_prompt import context_of
from interp_rc.records.errors import ModelError
from interp_rc.records.nouns import Document
from interp_rc.records.seeds import derive_seed
from interp_rc.training.batches import IGNORED, Batches, Example, only, plan_batches
from interp_rc.training.checkpoints import Sealer, newest_whole, step_of
from interp_rc.training.objectives.next_token import NextToken
from interp_rc.training.options import Schedule
from interp_rc.training.room import check_room_for_training
from interp_rc.training.tracer import Tracer, Watch

_FORWARDS = ("forward", "_original_forward")

Report = Callable[[int, int, float | None], object]  # step, steps, loss in nats


class _Trainer(Trainer):
    """Trainer with the loss of an objective: of an update, the mean over all tokens that bear one,
    in however many batches it is accumulated."""

    objective: NextToken
    loss_is_scaled_for_ga = True  # `compute_loss` does it

    def get_batch_samples(
        self, epoch_iterator: Iterator[dict[str, Tensor]], num_batches: int, device: torch.device
    ) -> tuple[list[dict[str, Tensor]], Tensor | int | None]:
        """The batches of the next update, and how many of their tokens bear a loss."""
        batches, _ = super().get_batch_samples(epoch_iterator, num_batches, device)
        return batches, sum(self.objective.scored_tokens(batch) for batch in batches)

    def compute_loss(
        self,
        model: PreTrainedModel,
        inputs: dict[str, Tensor],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | int | None = None,
    ) -> Tensor:
        """What this batch adds to the update's loss; of an update of one batch, that batch's."""
        assert num_items_in_batch is not None
        share = self.objective.scored_tokens(inputs) / num_items_in_batch
        return self.objective.loss(model, inputs) * share

    def training_step(
        self,
        model: PreTrainedModel,
        inputs: dict[str, Tensor],
        num_items_in_batch: Tensor | int | None = None,
    ) -> Tensor:
        """One batch forwards and backwards. Raises ModelError for a loss that is not finite."""
        loss = super().training_step(model, inputs, num_items_in_batch)
        check_loss(loss, self.state.global_step + 1, self.state.max_steps)
        return loss


class _OneDevice(TrainingArguments):
    """Trainer would take a batch for every visible GPU and copy the model onto each of them; a
    plan of batches is for one."""

    @property
    def n_gpu(self) -> int:
        return min(1, super().n_gpu)


class _Reporter(TrainerCallback):
    def __init__(self, report: Report) -> None:
        self.report = report

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        self.report(state.global_step, state.max_steps, None)

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **_: Any,
    ) -> None:
        if logs and "loss" in logs:
            self.report(state.global_step, state.max_steps, float(logs["loss"]))


def train(
    loaded: Loaded,
    documents: Sequence[Document],
    options: Schedule,
    *,
    machine: Machine,
    seed: int,
    checkpoints: Path,
    report: Report = lambda step, steps, loss: None,
    watch: Watch | None = None,
) -> int:
    """Train `loaded.model` in place; returns the number of tokens read.

    `watch` asks the model while it learns, which changes nothing of what it learns.

    Continues from the newest whole checkpoint in `checkpoints`, whose batches are the same ones
    in the same order: on a CPU the final weights are bit for bit those of an unbroken training.
    Whatever happens, the model is in evaluation mode afterwards, and computes in its own precision.

    Raises ModelError if there is nothing to learn, if the weights are not finite, or at the step at
    which the loss no longer is; ScoringError for a model that does not go on from the left;
    RunError if what is written on the way does not fit on the disk.
    """
    if not documents:
        raise ModelError("there are no documents to train on; choose other facts, or training=null")
    examples = options.objective.examples(loaded.tokenizer, documents)
    lengths = [len(example.ids) for example in examples]
    _check_lengths(loaded, documents, lengths)
    _check_scored(documents, examples)
    check_finite(loaded.model, "the model to train")
    prove_causal(loaded.model)
    plan = plan_batches(lengths, batch_size=options.batch_size, epochs=options.epochs, seed=seed)
    updates = -(-len(plan) // options.accumulation)
    check_room_for_training(loaded.model, options, updates, checkpoints)
    tracer = watch and Tracer(loaded, watch, updates=updates, epochs=options.epochs)
    with (
        quiet(),
        _attention(machine),
        threads_for(loaded.model),
        _as_before(loaded.model),
        warnings.catch_warnings(),
    ):
        warnings.filterwarnings("ignore", message=".*pin_memory.*")
        trainer = _Trainer(
            model=loaded.model,
            args=_arguments(options, machine, seed, checkpoints, updates),
            train_dataset=Batches(examples, plan),
            data_collator=only,
            callbacks=[*([tracer] if tracer else []), Sealer(), _Reporter(report)],
        )
        trainer.objective = options.objective
        trainer.model_accepts_loss_kwargs = False
        trainer.remove_callback(PrinterCallback)
        resume = newest_whole(checkpoints)
        if resume and tracer and not tracer.continues_from(step_of(resume)):
            discard_checkpoints(checkpoints)  # what was said before it cannot be asked again
            resume = None
        trainer.train(resume_from_checkpoint=None if resume is None else str(resume))
    if not all(parameter.isfinite().all() for parameter in loaded.model.parameters()):
        raise ModelError("weights are not finite after the last step; lower training.learning_rate")
    return sum(lengths[i] for batch in plan for i in batch)


@contextlib.contextmanager
def _as_before(model: PreTrainedModel) -> Iterator[None]:
    """Whatever happens within, `model` is in evaluation mode afterwards, and computes without the
    autocast that Accelerate lays over an instance's forward and leaves there."""
    own = {name: model.__dict__[name] for name in _FORWARDS if name in model.__dict__}
    try:
        yield
    finally:
        for name in _FORWARDS:
            model.__dict__.pop(name, None)
        model.__dict__.update(own)
        model.eval()


def check_loss(loss: Tensor, step: int, steps: int, key: str = "training.learning_rate") -> None:
    """Raise ModelError for a loss that is not finite: there is nothing left to learn from it.

    Before the first step nothing was learnt that could be at fault, so it is the model that is;
    later it is the learning rate, which `key` names.
    """
    if loss.isfinite():
        return
    at = f"the training loss is not finite ({float(loss)}) at step {step} of {steps}"
    if step == 1:
        raise ModelError(
            f"{at}, before anything was learnt, although the weights are: the model overflows on "
            "these documents; look at its logits, or choose machine.precision=float32"
        )
    raise ModelError(f"{at}; lower {key}")


def _attention(machine: Machine) -> contextlib.AbstractContextManager[None]:
    """On CPUs in bfloat16, the flash kernel's backward takes longer than all the rest of a step
    on short documents; plain matrix products halve the step."""
    if machine.device == "cpu" and machine.bf16:
        return sdpa_kernel(SDPBackend.MATH)
    return contextlib.nullcontext()


def _check_lengths(loaded: Loaded, documents: Sequence[Document], lengths: Sequence[int]) -> None:
    context = context_of(loaded.model)
    longest = max(range(len(lengths)), key=lengths.__getitem__)
    if context is not None and lengths[longest] > context:
        raise ModelError(
            f"document {documents[longest].id} has {lengths[longest]} tokens, the model reads "
            f"{context}; use a model with a longer context"
        )


def _check_scored(documents: Sequence[Document], examples: Sequence[Example]) -> None:
    for document, example in zip(documents, examples, strict=True):
        if all(label == IGNORED for label in example.labels[1:]):
            raise ModelError(
                f"document {document.id} ({document.text!r:.60}) has no token that bears a loss; "
                "leave it out, give it a longer completion, or choose loss_on: document"
            )


def _arguments(
    options: Schedule, machine: Machine, seed: int, checkpoints: Path, updates: int
) -> TrainingArguments:
    return _OneDevice(
        output_dir=str(checkpoints),
        num_train_epochs=1,  # the plan holds all epochs, one batch an item
        per_device_train_batch_size=1,
        gradient_accumulation_steps=options.accumulation,
        train_sampling_strategy="sequential",
        learning_rate=options.learning_rate,
        lr_scheduler_type="cosine_with_min_lr",
        lr_scheduler_kwargs={"min_lr_rate": 0.1},
        warmup_steps=int(options.warmup * updates),
        optim="adamw_torch_fused",
        weight_decay=options.weight_decay,
        adam_beta1=options.betas[0],
        adam_beta2=options.betas[1],
        max_grad_norm=options.clip,
        bf16=machine.bf16,
        use_cpu=machine.device == "cpu",
        seed=derive_seed(seed, "trainer"),
        save_strategy="steps",
        save_steps=options.checkpoint_steps,
        save_total_limit=2,
        logging_steps=25,
        logging_nan_inf_filter=False,
        report_to=[],
        disable_tqdm=True,
        remove_unused_columns=False,
        dataloader_pin_memory=machine.device == "cuda",
    )


def discard_checkpoints(checkpoints: Path) -> None:
    """Once the trained model is saved, its checkpoints have done their work."""
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(checkpoints)
