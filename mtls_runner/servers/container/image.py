"""Images: what they say about themselves, and pulling the ones that are absent."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from msgspec import Struct

from mtls_runner.errors import EngineError
from mtls_runner.servers.container.api import EngineApi, Refused, is_missing

if TYPE_CHECKING:
    from mtls_runner.model.port import Report
    from mtls_runner.servers.container.connection import EngineConnection

__all__ = ["Image", "find_image", "user_id"]


class Image(Struct, frozen=True):
    """What an image says about itself; ``user`` is whom its command runs as, ``""`` for root."""

    reference: str
    id: str
    entrypoint: tuple[str, ...]
    command: tuple[str, ...]
    user: str

    @property
    def runs_as_root(self) -> bool:
        """Whether its command does."""
        return self.user.partition(":")[0] in ("", "0", "root")


def find_image(connection: EngineConnection, reference: str, progress: Report | None, *, pull: bool) -> Image:
    """The image of that name; it is pulled when it isn't here, unless ``pull`` forbids it.

    Raises:
        EngineError: it is not here and can't be pulled.
    """
    api = connection.api()
    try:
        return _inspect(api, reference)
    except Refused as refused:
        if not pull or not is_missing(refused):
            raise
    _pull(connection, reference, progress)
    return _inspect(api, reference)


def _inspect(api: EngineApi, reference: str) -> Image:
    found = api.call("GET", f"/images/{reference}/json")
    config = found["Config"] or {}
    return Image(
        reference=reference,
        id=found["Id"],
        entrypoint=tuple(config.get("Entrypoint") or ()),
        command=tuple(config.get("Cmd") or ()),
        user=config.get("User") or "",
    )


def _pull(connection: EngineConnection, reference: str, progress: Report | None) -> None:
    """Pull an image with the docker package, which knows how people log in to registries."""
    from docker import APIClient
    from docker.errors import DockerException

    layers: dict[str, tuple[int, int]] = {}
    client = APIClient(connection.base_url, version=connection.api_version, tls=connection.tls or False)
    try:
        for message in client.pull(reference, stream=True, decode=True):
            if "error" in message:
                raise _absent(reference, str(message["error"]))
            detail = message.get("progressDetail") or {}
            if message.get("status") == "Downloading" and detail.get("total"):
                layers[message["id"]] = (detail["current"], detail["total"])
            if progress is not None:
                done, total = sum(now for now, _ in layers.values()), sum(all_ for _, all_ in layers.values())
                progress(f"pulling {reference}", done, total)
    except DockerException as error:
        raise _absent(reference, str(getattr(error, "explanation", error))) from error
    finally:
        client.close()


def _absent(reference: str, message: str) -> EngineError:
    return EngineError(
        f"image {reference} is not here and can't be pulled: {message.strip()}. "
        f"Next: `docker pull {reference}`, or name another image: --image, pytest's --mtls-image, or "
        "MTLS_RUN_IMAGE (of HAProxy MTLS_RUN_IMAGE_HAPROXY, and so on)",
        image=reference,
    )


def user_id(api: EngineApi, container: str, user: str) -> int:
    """The number of an image's ``USER``, which may be a name that only the image's own ``passwd(5)`` knows.

    Args:
        api: of the engine.
        container: by name; it need not run.
        user: number or name, perhaps with a group behind a colon; ``""`` is root. So is a name that nobody knows: the engine
            itself refuses to start such an image, and says why.
    """
    name = user.partition(":")[0]
    if name.isdecimal() or name in ("", "root"):
        return int(name) if name.isdecimal() else 0
    import tarfile  # most images run as root

    try:
        archive = api.call("GET", f"/containers/{container}/archive", path="/etc/passwd")
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            file = tar.extractfile(tar.next() or "")
            lines = file.read().decode("utf-8", "replace").splitlines() if file is not None else []
    except (KeyError, tarfile.TarError):
        return 0
    except Refused as refused:
        if not is_missing(refused):
            raise
        return 0
    entries = (line.split(":") for line in lines)
    return next((int(entry[2]) for entry in entries if entry[0] == name and entry[2:] and entry[2].isdecimal()), 0)
