"""Images: what they say about themselves, and pulling the ones that are absent."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from docker import errors as docker_errors

from mtls_runner.errors import EngineError

if TYPE_CHECKING:
    from docker.api.client import APIClient

__all__ = ["Image", "PullProgress", "find_image", "user_id"]

PullProgress = Callable[[str, int, int], None]
"""Called with what is being done, and bytes done of bytes in total, as far as they are known."""


@dataclass(frozen=True, slots=True)
class Image:
    """What an image says about itself; ``user`` is whom its command runs as, ``""`` for root."""

    reference: str
    id: str
    entrypoint: tuple[str, ...]
    command: tuple[str, ...]
    user: str


def find_image(client: APIClient, reference: str, progress: PullProgress | None = None) -> Image:
    """The image of that name; it is pulled when it isn't here.

    Raises:
        EngineError: it is not here and can't be pulled.
    """
    try:
        return _inspect(client, reference)
    except docker_errors.ImageNotFound:
        _pull(client, reference, progress)
        return _inspect(client, reference)


def _inspect(client: APIClient, reference: str) -> Image:
    found = client.inspect_image(reference)  # type: ignore[no-untyped-call]
    config = found["Config"] or {}
    return Image(
        reference=reference,
        id=found["Id"],
        entrypoint=tuple(config.get("Entrypoint") or ()),
        command=tuple(config.get("Cmd") or ()),
        user=config.get("User") or "",
    )


def _pull(client: APIClient, reference: str, progress: PullProgress | None) -> None:
    layers: dict[str, tuple[int, int]] = {}
    try:
        for message in client.pull(reference, stream=True, decode=True):
            if "error" in message:
                raise EngineError(_absent(reference, str(message["error"])))
            detail = message.get("progressDetail") or {}
            if message.get("status") == "Downloading" and detail.get("total"):
                layers[message["id"]] = (detail["current"], detail["total"])
            if progress is not None:
                done, total = sum(now for now, _ in layers.values()), sum(all_ for _, all_ in layers.values())
                progress(f"pulling {reference}", done, total)
    except docker_errors.APIError as error:
        raise EngineError(_absent(reference, str(error.explanation))) from error


def _absent(reference: str, message: str) -> str:
    return (
        f"image {reference} is not here and can't be pulled: {message.strip()}. "
        f"Next: `docker pull {reference}`, or name another image with --image or MTLS_RUN_IMAGE"
    )


def user_id(client: APIClient, container: str, user: str) -> int:
    """The number of an image's ``USER``, which may be a name that only the image's own ``passwd(5)`` knows.

    Args:
        client: of the engine.
        container: by name; it need not run.
        user: number or name, perhaps with a group behind a colon; ``""`` is root. So is a name that nobody knows: the engine
            itself refuses to start such an image, and says why.
    """
    name = user.partition(":")[0]
    if name.isdecimal() or name in ("", "root"):
        return int(name) if name.isdecimal() else 0
    try:
        chunks, _ = client.get_archive(container, "/etc/passwd")
        with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as tar:
            file = tar.extractfile(tar.next() or "")
            lines = file.read().decode("utf-8", "replace").splitlines() if file is not None else []
    except (docker_errors.NotFound, KeyError, tarfile.TarError):
        return 0
    entries = (line.split(":") for line in lines)
    return next((int(entry[2]) for entry in entries if entry[0] == name and entry[2:] and entry[2].isdecimal()), 0)
