"""Where the templates of pages are, and how they are filled: everything is escaped."""

from jinja2 import BaseLoader, ChoiceLoader, Environment, PackageLoader, StrictUndefined

from interp_rc.display.wording import tied


def page_environment(*own: BaseLoader) -> Environment:
    """The package's templates; `own` ones come first."""
    environment = Environment(
        loader=ChoiceLoader([*own, PackageLoader("interp_rc.report", "")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["tied"] = tied
    return environment
