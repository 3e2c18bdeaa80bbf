"""Whether the hub has a model: asked once, with a bound on the wait."""

from huggingface_hub import HfApi
from huggingface_hub.errors import (
    GatedRepoError,
    HFValidationError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from interp_rc.records.errors import ModelError

PATIENCE = 10.0  # seconds


def only_in_cache(source: str, revision: str | None) -> bool:
    """Whether the hub cannot be asked for `source`, so that only its cache can have it.

    What a library does not get it asks for again and again, file by file, for a minute in all.

    Raises ModelError if the hub says that there is no such model or revision.
    """
    try:
        HfApi().model_info(source, revision=revision, timeout=PATIENCE)
    except RevisionNotFoundError:
        raise ModelError(
            f"{source} has no revision {revision!r} on the hub; check its branches, tags and "
            "commits there"
        ) from None
    except GatedRepoError:  # what was fetched with a token before is still there
        return True
    except (RepositoryNotFoundError, HFValidationError):
        raise ModelError(
            f"{source} is not a folder, and the hub shows no model of that name; check the name "
            "(and the token, if it is private), or download it elsewhere and give its folder"
        ) from None
    except Exception:  # offline mode, no network, no answer: each client has its own
        return True
    return False
