"""Trained models by name: those that the package contains, and those of the Hugging Face hub."""

from pathlib import Path

from equipoise import hub, zoo
from equipoise.errors import InputError, cut, nearest
from equipoise.export.folder import CONFIG, unchanged
from equipoise.hub import HUB

_FILES = ("config.json", "model.safetensors", "README.md", "pictures/*.png")  # that are downloaded


def find(source: str | Path) -> Path:
    """Return the folder of a model, which need not exist if `source` is a path of several parts.

    Args:
        source: a folder; the name of a model of the package; or hf:owner/name, a repository of the Hugging Face hub,
            which is downloaded once and then read from its cache.

    Raises:
        InputError: for a name that is neither, or if a package is missing.
        RunError: if the download fails.

    Example:
        >>> find("dsprites").name
        'dsprites'
    """
    name = str(source)
    if name.startswith(HUB):
        return _download(name.removeprefix(HUB))
    if Path(source).exists() or Path(source).parent != Path("."):
        return Path(source)
    if isinstance(source, str) and (zoo.folder() / name / CONFIG).is_file():
        return zoo.folder() / name
    kinds = f"expected a folder, {HUB}owner/name or a name"
    raise InputError(f"{cut(name)}: no such folder or model; {kinds}; {nearest(name, zoo.models())}")


def push(folder: str | Path, repository: str, private: bool = False) -> str:
    """Upload an exported model to a repository of the Hugging Face hub, which is created if it does not exist.

    Args:
        folder: the folder of an export to safetensors or hub-folder, unchanged but for README.md.
        repository: owner/name.
        private: whether a new repository is private.

    Returns:
        The address of the upload.

    Raises:
        InputError: if the folder is no such export, or the package huggingface_hub is missing.
        RunError: if the upload fails.
    """
    folder = Path(folder)
    about = unchanged(folder, but=("README.md",))
    if about["kind"] == "onnx":
        raise InputError(f"{folder} holds ONNX graphs; export the run to hub-folder to upload it")
    api = hub.package().HfApi()
    with hub.connecting(f"{folder} could not be uploaded to {repository}"):
        api.create_repo(repository, private=private, exist_ok=True)
        return str(api.upload_folder(repo_id=repository, folder_path=str(folder), commit_message=about["name"]))


def _download(repository: str) -> Path:
    """Return the folder of a repository in the cache of the hub."""
    api = hub.package()
    with hub.connecting(f"{HUB}{repository} could not be downloaded"):
        return Path(api.snapshot_download(repository, allow_patterns=list(_FILES)))
