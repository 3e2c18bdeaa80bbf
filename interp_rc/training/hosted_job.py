"""One finetuning job at an API that speaks OpenAI's protocol, whatever happens on the way."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import openai

from interp_rc.models.endpoint import Endpoint, key_of, refused, without_key
from interp_rc.models.reply import NoAnswerError, WholeTransport, count_of, text_of
from interp_rc.records.errors import ModelError
from interp_rc.records.files import write_json
from interp_rc.training.options import HostedFinetuning
from interp_rc.training.train import Report

AGAIN = 3  # times what did not get through is tried
LOOKS = 5  # at the job, one after the other, may fail
PROCESSING = 30  # looks at an uploaded file that the API has not read yet
# JSON may end too early or be nested too deeply, and parts of it be of another type.
UNREAD = (
    openai.OpenAIError,
    NoAnswerError,
    ValueError,
    RecursionError,
    AttributeError,
    TypeError,
)
ENDED = ("failed", "cancelled")
Say = Callable[[str], object]


@dataclass(frozen=True, slots=True)
class State:
    """What has been done, written after each step. `name` is the file's at the API, and no other
    file's; `digest` is of what is learnt and how. `unclear`: a call has begun whose answer is not
    here, so that its effect may be there."""

    name: str
    digest: str
    unclear: bool = False
    file: str | None = None
    job: str | None = None
    model: str | None = None
    tokens: int | None = None


class HostedJob:
    """Upload, job and wait, each skipped where the state says that it is done."""

    def __init__(
        self,
        endpoint: Endpoint,
        options: HostedFinetuning,
        seed: int,
        state: State,
        file: Path,
        say: Say,
    ) -> None:
        self.endpoint, self.options, self.seed, self.say = endpoint, options, seed, say
        self.state, self.file = state, file
        self.key = key_of(endpoint)
        self.client = openai.OpenAI(
            api_key=self.key,
            base_url=endpoint.url,
            timeout=endpoint.timeout,
            max_retries=endpoint.retries,
            http_client=openai.DefaultHttpxClient(transport=WholeTransport(endpoint.timeout)),
        )
        # A call that makes something is not repeated by the client, which cannot know whether it
        # got through: `once` looks first.
        self.careful = self.client.with_options(max_retries=0)

    def to_the_end(self, content: bytes, report: Report) -> State:
        with self.plainly():
            self.upload(content)
            self.create()
            self.wait(report)
        return self.state

    def keep(self, **changes: Any) -> None:
        self.state = replace(self.state, **changes)
        write_json(self.file, asdict(self.state))

    def upload(self, content: bytes) -> None:
        if self.state.file is not None:
            return
        name, files = self.state.name, self.client.files

        def sent() -> Any:
            return next((f for f in files.list(purpose="fine-tune") if f.filename == name), None)

        def send() -> Any:
            return self.careful.files.create(file=(name, content), purpose="fine-tune")

        self.keep(file=self.once(sent, send, "upload the documents"), unclear=False)
        self.say(f"{len(content):,} bytes uploaded as {self.state.file}")

    def create(self) -> None:
        if self.state.job is not None:
            return
        if not self.state.unclear:
            self.processed()
        options, jobs = self.options, self.client.fine_tuning.jobs
        given = {
            "n_epochs": options.epochs,
            "batch_size": options.batch_size,
            "learning_rate_multiplier": options.learning_rate_multiplier,
        }
        hyperparameters = {key: value for key, value in given.items() if value is not None}
        method: Any = {"type": "supervised", "supervised": {"hyperparameters": hyperparameters}}
        file = self.state.file
        assert file is not None

        def begun() -> Any:
            return next((job for job in jobs.list() if job.training_file == file), None)

        def begin() -> Any:
            return self.careful.fine_tuning.jobs.create(
                model=self.endpoint.model,
                training_file=file,
                suffix=options.suffix,
                seed=self.seed,
                method=method,
            )

        self.keep(job=self.once(begun, begin, "create the job"), unclear=False)

    def processed(self) -> None:
        """Wait while the API reads the file; if it takes long, the job's validation will tell."""
        for _ in range(PROCESSING):
            found = self.client.files.retrieve(str(self.state.file))
            if found.status == "error":
                raise ModelError(
                    f"{self.endpoint.url} cannot use the documents: {found.status_details}; see "
                    f"file {self.state.file} there"
                )
            if found.status != "uploaded":
                return
            time.sleep(self.options.poll)

    def once(self, look: Callable[[], Any], make: Callable[[], Any], what: str) -> str:
        """The id of what `make` makes at the API: where an earlier call may have got through,
        `look` for its effect before another."""
        why = ""
        for _ in range(AGAIN):
            if self.state.unclear:
                found = look()
                if found is None:  # a list may lag behind
                    time.sleep(self.options.poll)
                    found = look()
                if found is not None:
                    return str(found.id)
            self.keep(unclear=True)
            try:
                made = make()
                if isinstance(getattr(made, "id", None), str):
                    return str(made.id)
                why = "a response without an id"
            except UNREAD as error:
                if refused(error):
                    self.keep(unclear=False)
                    raise
                why = without_key(error, self.key)
            time.sleep(self.options.poll)
        raise ModelError(
            f"{self.endpoint.url} did not {what} ({why}); start again with --resume, which looks "
            "first whether it did"
        )

    def wait(self, report: Report) -> None:
        """Look at the job until it ends."""
        began, failed, status = time.monotonic(), 0, None
        while self.state.model is None:
            try:
                job = self.client.fine_tuning.jobs.retrieve(str(self.state.job))
                if job.status is None:
                    raise NoAnswerError("no status")
                texts = (job.status, job.fine_tuned_model)
                _ = [text_of(text, "job") for text in texts], count_of(job.trained_tokens, "tokens")
                failed = 0
            except UNREAD as error:
                failed += 1
                if refused(error) or failed == LOOKS:
                    raise ModelError(
                        f"job {self.state.job} cannot be looked at "
                        f"({without_key(error, self.key)}); it goes on by itself: start again with "
                        "--resume"
                    ) from None
                time.sleep(self.options.poll)
                continue
            if job.status != status:
                self.say(f"job {job.id}: {job.status}")
                status = job.status
            if job.status in ENDED:
                raise ModelError(self.ended(job))
            if job.status == "succeeded":
                if not job.fine_tuned_model:
                    raise ModelError(f"job {job.id} succeeded and names no model; see it there")
                self.keep(model=job.fine_tuned_model, tokens=job.trained_tokens)
                return
            if job.status == "running":
                self.progress(report)
            elif time.monotonic() - began > 3600 * self.options.patience:
                raise ModelError(
                    f"job {job.id} is still {job.status} after {self.options.patience:g} h and was "
                    "left there: start again with --resume to wait on, or cancel it at the API"
                )
            time.sleep(self.options.poll)

    def ended(self, job: Any) -> str:
        why = str(getattr(job.error, "message", None) or "no reason said")
        param = getattr(job.error, "param", None)
        param = f" ({param})" if param else ""
        return (
            f"job {job.id} {job.status}: {without_key(ValueError(why), self.key)}{param}; no other "
            "job was begun: mend it and choose another --out"
        )

    def progress(self, report: Report) -> None:
        """Steps, if the API tells of them in the job's events."""
        try:
            events = self.client.fine_tuning.jobs.list_events(str(self.state.job), limit=20).data
        except UNREAD:
            return
        for event in events:  # the newest is first
            data = getattr(event, "data", None)
            data = data if isinstance(data, dict) else {}
            step, steps, loss = (data.get(key) for key in ("step", "total_steps", "train_loss"))
            if isinstance(step, int) and isinstance(steps, int):
                report(step, steps, loss if isinstance(loss, float) else None)
                return

    @contextmanager
    def plainly(self) -> Iterator[None]:
        try:
            with self.client:
                yield
        except UNREAD as error:
            raise ModelError(
                f"{self.endpoint.url} does not finetune {self.endpoint.model}: "
                f"{without_key(error, self.key)}; check the URL, the model's name and "
                f"{self.endpoint.key_from}, and continue with --resume"
            ) from None
