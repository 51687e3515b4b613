from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from mtls_runner.model.certificate import KeyAlgorithm
from mtls_runner.pki.keys import KeyFiles, KeyPair, KeyPool

RSA = KeyAlgorithm.RSA_1024  # the fastest to make


def shape(pair: KeyPair) -> bytes:
    return pair.public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def take(pool: KeyPool, algorithm: KeyAlgorithm, count: int) -> list[bytes]:
    return [shape(pair) for pair in pool.take({algorithm: count})[algorithm]]


@pytest.mark.parametrize("algorithm", list(KeyAlgorithm))
def test_keys_of_one_call_differ(pool: KeyPool, algorithm: KeyAlgorithm) -> None:
    count = 1 if algorithm in {KeyAlgorithm.RSA_3072, KeyAlgorithm.RSA_4096} else 3
    assert len(set(take(pool, algorithm, count))) == count


def test_rsa_keys_are_kept_and_others_are_fresh() -> None:
    pool = KeyPool()
    first = take(pool, RSA, 2)
    assert take(pool, RSA, 3)[:2] == first
    assert not set(take(pool, KeyAlgorithm.EC_P256, 2)) & set(take(pool, KeyAlgorithm.EC_P256, 2))


def test_a_later_run_finds_the_same_keys(tmp_path: Path) -> None:
    first = take(KeyPool(tmp_path / "keys"), RSA, 2)
    assert take(KeyPool(tmp_path / "keys"), RSA, 2) == first
    assert take(KeyPool(tmp_path / "other"), RSA, 2) != first
    assert take(KeyPool(), RSA, 2) != first


def test_only_the_user_can_read_them(tmp_path: Path) -> None:
    directory = tmp_path / "cache" / "keys"
    take(KeyPool(directory), RSA, 1)
    assert directory.stat().st_mode & 0o777 == 0o700
    assert [file.stat().st_mode & 0o777 for file in directory.iterdir()] == [0o600]


def test_an_open_directory_gets_closed(tmp_path: Path) -> None:
    directory = tmp_path / "keys"
    directory.mkdir(mode=0o755)
    first = take(KeyPool(directory), RSA, 1)
    assert directory.stat().st_mode & 0o777 == 0o700
    assert take(KeyPool(directory), RSA, 1) == first


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def one_bit_flipped(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def readable_by_others(path: Path) -> None:
    path.chmod(0o640)


def a_link(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")


def a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def another_size(path: Path) -> None:
    files = KeyFiles(path.parent)
    files.save(2048, 9, rsa.generate_private_key(65537, 2048))
    files.path(2048, 9).rename(path)


@pytest.mark.parametrize(
    "spoil", [truncated, emptied, one_bit_flipped, readable_by_others, a_link, a_pipe, another_size]
)
def test_a_file_that_cannot_be_trusted_is_replaced(tmp_path: Path, spoil: Callable[[Path], None]) -> None:
    files = KeyFiles(tmp_path / "keys")
    old = take(KeyPool(files.directory), RSA, 2)
    spoil(files.path(1024, 0))
    new = take(KeyPool(files.directory), RSA, 2)
    assert new[0] != old[0]
    assert new[1] == old[1]
    assert take(KeyPool(files.directory), RSA, 2) == new
    assert files.path(1024, 0).lstat().st_mode & 0o777 == 0o600


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory to someone else")
def test_somebody_elses_directory_is_not_used(tmp_path: Path) -> None:
    directory = tmp_path / "keys"
    directory.mkdir(mode=0o700)
    os.chown(directory, 12345, 12345)
    take(KeyPool(directory), RSA, 1)
    assert list(directory.iterdir()) == []


def test_a_directory_that_cannot_be_made_means_memory_only(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    pool = KeyPool(tmp_path / "file" / "keys")
    assert take(pool, RSA, 1) == take(pool, RSA, 1)


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"XDG_CACHE_HOME": "{}/cache", "HOME": "{}/me"}, "cache/mtls-run/keys"),
        ({"XDG_CACHE_HOME": "", "HOME": "{}/me"}, "me/.cache/mtls-run/keys"),
    ],
)
def test_the_pool_of_a_user_lies_in_the_users_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], expected: str
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value.format(tmp_path))
    take(KeyPool.of_user(), KeyAlgorithm.RSA_1024, 1)
    assert [path.name for path in (tmp_path / expected).iterdir()] == ["rsa-1024-0000.key"]


def test_progress_is_told_from_nothing_to_everything() -> None:
    pool, told = KeyPool(), []
    pool.take({RSA: 3, KeyAlgorithm.EC_P256: 5}, lambda *words: told.append(words))
    assert told == [("making RSA keys", done, 3) for done in range(4)]
    pool.take({RSA: 3}, lambda *words: told.append(words))
    assert len(told) == 4


def test_threads_get_the_same_keys() -> None:
    pool, barrier, taken = KeyPool(), threading.Barrier(6), []

    def work() -> None:
        barrier.wait(timeout=30)
        taken.append(take(pool, RSA, 2))

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert len(taken) == 6
    assert all(keys == taken[0] for keys in taken)


def test_several_runs_at_once_leave_whole_keys_and_nothing_else(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from mtls_runner.pki.keys import KeyPool;"
        "from mtls_runner.model.certificate import KeyAlgorithm as A; sys.stdin.readline();"
        "print(len(KeyPool(Path(sys.argv[1])).take({A.RSA_1024: 6})[A.RSA_1024]))"
    )
    directory = tmp_path / "keys"
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", program, directory], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(4)
    ]
    for run in runs:
        assert run.stdin is not None
        run.stdin.write("go\n")
        run.stdin.flush()
    assert [run.communicate(timeout=100)[0] for run in runs] == ["6\n"] * 4
    files = KeyFiles(directory)
    assert sorted(directory.iterdir()) == [files.path(1024, number) for number in range(6)]
    assert None not in [files.load(1024, number) for number in range(6)]


def test_a_reader_never_meets_half_a_key(tmp_path: Path) -> None:
    files, keys = KeyFiles(tmp_path), [rsa.generate_private_key(65537, 2048) for _ in range(2)]
    files.save(2048, 0, keys[0])
    done = threading.Event()

    def write() -> None:
        for number in range(300):
            files.save(2048, 0, keys[number % 2])
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        read = 0
        while not done.is_set() or read == 0:
            assert files.load(2048, 0) is not None
            read += 1
    finally:
        writer.join(timeout=60)


def test_what_a_killed_run_left_is_swept(tmp_path: Path) -> None:
    killed = subprocess.Popen([sys.executable, "-c", ""])
    killed.wait(timeout=30)
    directory = tmp_path / "keys"
    directory.mkdir(mode=0o700)
    dead, alive = directory / f".{killed.pid}-00.tmp", directory / f".{os.getpid()}-00.tmp"
    dead.write_bytes(b"half")
    alive.write_bytes(b"half")
    take(KeyPool(directory), RSA, 1)
    assert sorted(directory.iterdir()) == sorted([alive, KeyFiles(directory).path(1024, 0)])
