"""`rlvr push`: a state of a run as a repository of the hub, with a model card that says what was measured."""

from pathlib import Path
from tempfile import TemporaryDirectory

from huggingface_hub import CommitOperationAdd, HfApi, get_token
from huggingface_hub.errors import HfHubHTTPError, HFValidationError
from huggingface_hub.utils import validate_repo_id

from rlvr.commands.card import RECIPE, card_of
from rlvr.commands.export import export
from rlvr.config.file import RUN_CONFIG
from rlvr.errors import ConfigError
from rlvr.runfolder.files import whole_file
from rlvr.runfolder.saved import find_saved

CARD = "card.md"


def push(
    run: Path,
    repo: str,
    private: bool = False,
    step: int | None = None,
    best: bool = False,
    adapter: bool = False,
    dry_run: bool = False,
) -> str:
    """Upload a state of the run to the hub repository `repo`, which is made if it does not exist.

    With `dry_run` only the card is written, to `card.md` in the run folder. Returns where the result is. Raises
    `ConfigError` if there is no such state, nobody is logged in, or the hub refuses.
    """
    try:
        validate_repo_id(repo)
    except HFValidationError as error:
        raise ConfigError(f"{repo!r} is no name for a repository: {error}; expected USER/NAME") from error
    saved = find_saved(run, step, best)
    card = card_of(saved, repo.rpartition("/")[2], adapter)
    if dry_run:
        with whole_file(saved.run / CARD) as partial:
            partial.write_text(card, encoding="utf-8")
        return f"nothing was uploaded; the card is in {saved.run / CARD}"
    if get_token() is None:
        raise ConfigError(
            "nobody is logged in to the hub; run hf auth login, or set HF_TOKEN, with a token that may write"
        )
    with TemporaryDirectory(dir=saved.run, prefix="push-") as temporary:
        folder = Path(temporary) / "export"
        export(saved.checkpoint or saved.run, folder, adapter=adapter)
        recipe = (saved.run / RUN_CONFIG).read_bytes()
        operations = [
            CommitOperationAdd("README.md", card.encode()),
            CommitOperationAdd(RECIPE, recipe),
            *(CommitOperationAdd(path.relative_to(folder).as_posix(), path) for path in _files(folder)),
        ]
        return _upload(repo, private, operations, f"Step {saved.step} of a run of rlvr")


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and path.name != "README.md")


def _upload(repo: str, private: bool, operations: list[CommitOperationAdd], message: str) -> str:
    api = HfApi()
    try:
        made = api.create_repo(repo, private=private or None, exist_ok=True)
        api.create_commit(made.repo_id, operations, commit_message=message)
    except HfHubHTTPError as error:
        code = error.response.status_code if error.response is not None else None
        refused = {401: "the token is not valid", 403: f"the token may not write to {repo!r}"}
        reason = refused.get(code or 0, " ".join(str(error).split()))
        raise ConfigError(f"the hub refused the upload to {repo!r}: {reason}; log in with hf auth login") from error
    except Exception as error:  # the hub client's HTTP library may raise anything
        raise ConfigError(
            f"the upload to {repo!r} failed: {' '.join(str(error).split())}; start the same command again when the hub "
            "can be reached"
        ) from error
    return f"{'the private' if private else 'the'} repository is {made}"
