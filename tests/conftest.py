"""What all tests share: scenarios for nginx need a container engine."""

from __future__ import annotations

import fcntl
import gc
import os
import signal
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mtls_runner.pki.keys import KeyPool

    from .once import Answers


def pytest_configure(config: pytest.Config) -> None:
    """Signals, and what pytest need not do.

    In the background of a shell, or under nohup, signals are ignored, and would be in every process that tests start.

    What is caught, a new program does not ignore (signal(7)).

    Of an editable install pytest rewrites the whole package for its assertions, which has none, in every worker (pytest's
    issue 11783). So nothing of it is imported here before that is undone.
    """
    hook = config.pluginmanager.rewrite_hook
    getattr(hook, "_must_rewrite", set()).discard("mtls_runner")
    for number in (signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, lambda *_: None)


def pytest_xdist_auto_num_workers() -> int:
    """Three a processor with ``-n auto``: most of a test's time it waits for containers, clocks and other processes."""
    return 3 * len(os.sched_getaffinity(0))


#: What takes longest, by the beginning of its path. What shares what is measured once a session stands together.
SLOW = (
    ("tests/conformance/",),
    ("tests/outcomes/", "tests/export/", "tests/own_material/", "tests/plugin/", "tests/init/"),
    ("tests/implementations/", "tests/nginx/"),
    ("tests/revocation/", "tests/cli/test_s", "tests/hostile/", "tests/html/"),
    ("tests/servers/", "tests/registry/", "tests/rehearse/", "tests/diagnosis/", "tests/record/", "tests/sessions/"),
)


@contextmanager
def _one_worker(path: Path) -> Iterator[None]:
    """Only one worker is in here: what it leaves on the disk, the next one only reads."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """In a fresh checkout each module is compiled by one worker, not by each of them."""
    if isinstance(collector, pytest.Module):
        with _one_worker(collector.path):
            return (yield)
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> Iterator[None]:
    """Each worker begins with slow tests, and has quick ones at the end of its queue, where others take from (worksteal)."""
    with _one_worker(Path(__file__)):
        yield  # Hypothesis takes constants from every module, and keeps them
    workers = int(getattr(config, "workerinput", {}).get("workercount", 1))
    begun: list[list[pytest.Item]] = [[] for _ in range(workers)]
    quick: list[pytest.Item] = []
    for item in items:
        slow = next((number for number, paths in enumerate(SLOW) if item.nodeid.startswith(paths)), None)
        (quick if slow is None else begun[slow % workers]).append(item)
    ordered: list[pytest.Item] = []
    for worker, slowly in enumerate(begun):
        # As it deals them out: the same number to each, but for what is left over.
        share = (len(items) - len(ordered)) // (workers - worker)
        wanted = max(0, share - len(slowly))
        ordered += [*slowly, *quick[:wanted]]
        del quick[:wanted]
    items[:] = [*ordered, *quick]


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What comes now stays: three thousand tests, which the collector of garbage need not look at again and again."""
    gc.disable()
    done = yield
    gc.collect()
    gc.freeze()
    gc.enable()
    return done


@pytest.fixture(scope="session")
def nginx_engine() -> None:
    """An engine and an image, or a skip that says so; a failure in CI."""
    from .container_engine import absent, not_here

    reason = absent()
    if reason is not None:
        not_here(reason)


@pytest.fixture(scope="session")
def nginx_program() -> None:
    """An nginx of this machine, to be run as a process; otherwise as :func:`nginx_engine`."""
    from mtls_runner.runtimes.process import find_program

    from .container_engine import not_here

    if find_program("nginx") is None:
        not_here("there is no nginx on this machine to be run as a process")


@pytest.fixture(scope="session")
def pool(tmp_path_factory: pytest.TempPathFactory) -> KeyPool:
    """RSA keys are made once a session, whoever needs them; the user's own pool stays untouched."""
    from mtls_runner.pki.keys import KeyPool

    from .once import shared

    return KeyPool(shared(tmp_path_factory) / "keys")


@pytest.fixture(scope="session")
def answers(tmp_path_factory: pytest.TempPathFactory) -> Answers:
    """What a scenario file's cases end in, measured once a session."""
    from .once import answers

    return partial(answers, tmp_path_factory)
