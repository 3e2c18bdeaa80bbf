"""One training, pretraining and finetuning alike, through Transformers' Trainer."""

import contextlib
import shutil
import warnings
from collections.abc import Callable, Sequence
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
from interp_rc.models.load import Loaded, quiet
from interp_rc.models.machine import Machine, threads_for
from interp_rc.models.soft_prompt import context_of
from interp_rc.records.errors import ModelError
from interp_rc.records.nouns import Document
from interp_rc.records.seeds import derive_seed
from interp_rc.training.batches import Batches, only, plan_batches
from interp_rc.training.checkpoints import newest_whole, step_of
from interp_rc.training.objectives.next_token import NextToken
from interp_rc.training.options import Schedule
from interp_rc.training.tracer import Tracer, Watch

Report = Callable[[int, int, float | None], object]  # step, steps, loss in nats


class _Trainer(Trainer):
    """Trainer with the loss of an objective."""

    objective: NextToken

    def compute_loss(
        self,
        model: PreTrainedModel,
        inputs: dict[str, Tensor],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | int | None = None,
    ) -> Tensor:
        return self.objective.loss(model, inputs)


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
    Raises ModelError if there is nothing to learn or the loss is no longer finite, ScoringError
    for a model that does not go on from the left.
    """
    prove_causal(loaded.model)
    if not documents:
        raise ModelError("there are no documents to train on; choose other facts, or training=null")
    examples = options.objective.examples(loaded.tokenizer, documents)
    lengths = [len(example.ids) for example in examples]
    _check_lengths(loaded, documents, lengths)
    plan = plan_batches(lengths, batch_size=options.batch_size, epochs=options.epochs, seed=seed)
    updates = -(-len(plan) // options.accumulation)
    tracer = watch and Tracer(loaded, watch, updates=updates, epochs=options.epochs)
    with quiet(), _attention(machine), threads_for(loaded.model), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*pin_memory.*")
        trainer = _Trainer(
            model=loaded.model,
            args=_arguments(options, machine, seed, checkpoints, updates),
            train_dataset=Batches(examples, plan),
            data_collator=only,
            callbacks=[*([tracer] if tracer else []), _Reporter(report)],
        )
        trainer.objective = options.objective
        trainer.model_accepts_loss_kwargs = False
        trainer.remove_callback(PrinterCallback)
        resume = newest_whole(checkpoints)
        if resume and tracer and not tracer.continues_from(step_of(resume)):
            discard_checkpoints(checkpoints)  # what was said before it cannot be asked again
            resume = None
        result = trainer.train(resume_from_checkpoint=None if resume is None else str(resume))
    finite = torch.isfinite(torch.tensor(result.training_loss)) and all(
        parameter.isfinite().all() for parameter in loaded.model.parameters()
    )
    if not finite:
        raise ModelError("the training loss is not finite; lower training.learning_rate")
    loaded.model.eval()
    return sum(lengths[i] for batch in plan for i in batch)


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


def _arguments(
    options: Schedule, machine: Machine, seed: int, checkpoints: Path, updates: int
) -> TrainingArguments:
    return TrainingArguments(
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
