"""Blocks: shared, sealed, inherited, and gone with their last process."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys

import pytest

from runtime.block import Block
from runtime.errors import LocalError


def in_child(source: str, *arguments: str, fds: tuple[int, ...] = ()) -> str:
    """What a process prints that inherits the descriptors."""
    command = [sys.executable, "-c", source, *arguments]
    done = subprocess.run(
        command, pass_fds=fds, check=True, capture_output=True, text=True, timeout=30
    )
    return done.stdout


def test_a_block_is_zeroed_and_has_its_size() -> None:
    block = Block.create("fresh", 5000)
    assert bytes(block.buffer) == bytes(5000)
    assert block.size == 5000


def test_a_child_that_inherits_the_descriptor_sees_the_same_bytes_and_writes_them() -> None:
    block = Block.create("shared", 4096)
    block.buffer[:5] = b"hello"
    source = """if True:
        import pickle, sys
        block = pickle.loads(bytes.fromhex(sys.argv[1]))
        print(bytes(block.buffer[:5]), block.name)
        block.buffer[5:10] = b"world"
    """
    printed = in_child(source, pickle.dumps(block).hex(), fds=block.fds)
    assert printed == "b'hello' shared\n"
    assert bytes(block.buffer[:10]) == b"helloworld"


def test_a_child_that_did_not_inherit_it_is_told_so() -> None:
    block = Block.create("alone", 4096)
    source = """if True:
        import pickle, sys
        from runtime.errors import LocalError
        try:
            pickle.loads(bytes.fromhex(sys.argv[1]))
        except LocalError as error:
            print(error)
    """
    assert "was not inherited" in in_child(source, pickle.dumps(block).hex())


def test_another_descriptor_under_the_number_is_noticed_by_its_size() -> None:
    small, large = Block.create("small", 64), Block.create("large", 4096)
    attach, (name, size, _) = small.__reduce__()
    with pytest.raises(LocalError, match="4096 bytes instead of 64"):
        attach(name, size, *large.fds)


def test_nobody_can_shrink_a_block_under_its_readers() -> None:
    block = Block.create("sealed", 4096)
    with pytest.raises(PermissionError):
        os.ftruncate(block.fds[0], 0)


def test_a_block_has_no_name_in_any_file_system() -> None:
    block = Block.create("nameless", 4096)
    assert os.fstat(block.fds[0]).st_nlink == 0


def test_a_child_that_was_not_given_the_block_does_not_inherit_it() -> None:
    block = Block.create("private", 4096)
    assert not os.get_inheritable(block.fds[0])


def test_closing_gives_the_descriptors_back() -> None:
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - a count, no paths
    block = Block.create("short", 4096)
    block.close()
    block.close()
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


def test_a_forgotten_block_gives_its_descriptors_back() -> None:
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    block = Block.create("forgotten", 4096)
    del block
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


def test_a_block_in_use_refuses_to_close() -> None:
    block = Block.create("used", 4096)
    view = block.buffer[:10]
    with pytest.raises(BufferError):
        block.close()
    view[0] = 1  # still there


def test_attaching_twice_in_one_process_leaves_the_descriptor_to_its_creator() -> None:
    block = Block.create("twice", 4096)
    copy = pickle.loads(pickle.dumps(block))
    copy.buffer[0] = 7
    copy.close()
    assert block.buffer[0] == 7
    assert pickle.loads(pickle.dumps(block)).buffer[0] == 7
