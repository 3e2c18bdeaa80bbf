"""Commands on child-parent pairs: the paper's Experiment 2."""

from pathlib import Path
from typing import Annotated

import typer

from interp_rc.cli.options import Yes, agree, say
from interp_rc.records.limits import MOST_COUNT

parents_app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Experiment 2: how often models name parents, and children.",
)


@parents_app.command("score")
def parents_score(
    files: Annotated[
        list[Path],
        typer.Argument(help="Tables with columns as published; each one model's.", metavar="CSV…"),
    ],
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Write rates.csv, the figure and a page here.", metavar="DIR"),
    ] = None,
) -> None:
    """Score result tables of the published form, of any models.

    Columns: `child`, `parent`, `parent_type` (mother or father) and either
    `MODEL_can_find_parent` and `MODEL_can_find_child` (shares of sampled responses), or
    `MODEL_parent_logprob` and `MODEL_child_logprob` (nats), or `can_reverse` (true or false).
    Faulty rows are named and left out.

    Examples:

      interp-rc parents score gpt-3.5-turbo_reversal_test_results.csv

      interp-rc parents score results/*.csv --out runs/parents
    """
    from interp_rc.pipeline.parents.score import refusals, score_files, write_scores
    from interp_rc.pipeline.parents.words import text

    scored = score_files(files)
    for line in refusals(scored):
        say(line)
    print(text(scored))
    if out is not None:
        say(f"page: {write_scores(scored, out)}")


@parents_app.command("collect")
def parents_collect(
    people: Annotated[Path, typer.Option(help="A text file with a name a line.", metavar="TXT")],
    model: Annotated[str, typer.Option(help="The model's name at the API.")],
    out: Annotated[Path, typer.Option("--out", help="The folder to write.", metavar="DIR")],
    url: Annotated[str, typer.Option(help="The API's base.")] = "https://api.openai.com/v1",
    protocol: Annotated[
        str, typer.Option(help="chat, or completions for models that go on with a text.")
    ] = "chat",
    key_from: Annotated[
        str, typer.Option(help="The environment variable that holds the key.")
    ] = "OPENAI_API_KEY",
    limit: Annotated[
        str,
        typer.Option(
            help="What the API calls the most tokens of an answer: max_tokens, or "
            "max_completion_tokens, as OpenAI's newer models want it."
        ),
    ] = "max_tokens",
    max_new_tokens: Annotated[
        int,
        typer.Option(
            min=1,
            max=MOST_COUNT,
            help="Tokens of an answer at most; more if the model thinks first.",
        ),
    ] = 32,
    concurrency: Annotated[int, typer.Option(min=1, help="Questions under way at once.")] = 8,
    price_in: Annotated[
        float | None, typer.Option(help="Dollars for a million tokens read, for the estimate.")
    ] = None,
    price_out: Annotated[
        float | None, typer.Option(help="Dollars for a million tokens written.")
    ] = None,
    yes: Yes = False,
) -> None:
    """Collect pairs as the paper did: ask a model for the mother and father of each person.

    Replies that have the form of a name become `pairs.csv`, which `facts.path` of the experiment
    `parents` reads; all of them are in `replies.csv`. Stored answers are not asked again.

    Example:

      interp-rc parents collect --people names.txt --model gpt-4o --out pairs

      interp-rc run parents --set facts.path=pairs/pairs.csv --out runs/parents
    """
    from interp_rc.pipeline.parents.collect import collect, read_people, remote_model, text

    if yes:
        agree()
    asked = remote_model(
        url=url,
        model=model,
        protocol=protocol,
        key_from=key_from,
        limit=limit,
        concurrency=concurrency,
        price_in=price_in,
        price_out=price_out,
    )
    print(text(collect(asked, read_people(people), out, max_new_tokens)))
    say(f"pairs: {out / 'pairs.csv'}")
