"""Every rule of tidiness, on every file; and on a small bad example, so that none of them passes
because it looks at nothing.
"""

from __future__ import annotations

import runpy
import tomllib

import pytest

from tests.floors import ARROWS_MAX, FLOORS, PURE_FILES_MIN, PURE_FOLDERS, ROOMS_MAX
from tests.queue_texts import each_queue_counts
from tests.retired_words import (
    CLEAN_TEXTS,
    NAMESAKES,
    names_are_not_retired,
    namesakes,
    texts_are_plain,
)
from tests.tidiness import (
    BANS,
    LONG_FILES,
    LONG_FUNCTIONS,
    ROOT,
    TEXT,
    Rule,
    Source,
    arrows,
    banned_calls_have_a_cure,
    circles,
    files_and_functions_are_short,
    files_have_a_name_of_their_own,
    files_say_what_they_own,
    imports_go_down_only,
    is_pure,
    lines_are_clean,
    pure_files_touch_nothing,
    sources,
)

SHIPPED = ("runtime/", "actors/", "tools/")
RULES: tuple[Rule, ...] = (
    imports_go_down_only,
    pure_files_touch_nothing,
    banned_calls_have_a_cure,
    files_have_a_name_of_their_own,
    files_say_what_they_own,
    files_and_functions_are_short,
    names_are_not_retired,
    texts_are_plain,
    each_queue_counts,
)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_in_every_source_file(rule: Rule) -> None:
    broken = [each for source in sources() for each in rule(source)]
    assert not broken, "\n".join(["", *broken])


def test_the_page_reads_every_queue_of_an_agent() -> None:
    scripts = [
        Source(path.relative_to(ROOT).as_posix(), path.read_text())
        for path in sorted((ROOT / "actors/web/static").glob("*.js"))
    ]
    assert len(scripts) > 20
    assert [each for script in scripts for each in each_queue_counts(script)] == []


def test_in_every_text_file_lines_are_clean() -> None:
    broken = [each for source in sources(TEXT) for each in lines_are_clean(source)]
    assert not broken, "\n".join(["", *broken])


def test_rooms_are_few_and_so_are_the_arrows_between_them() -> None:
    rooms = [room for floor in FLOORS for room in floor if room.startswith("actors.")]
    assert len(rooms) <= ROOMS_MAX
    drawn = arrows(sources())
    assert ("actors.main", "actors.cli") in drawn
    assert len(drawn) <= ARROWS_MAX


def test_no_module_imports_itself_by_way_of_others() -> None:
    assert circles(sources()) == []


def test_a_circle_is_found_with_those_on_it_alone() -> None:
    texts = {
        "a": "from actors.x import b",
        "b": "import actors.x.c",
        "c": "from actors.x.b import name\nfrom actors.x import end",
        "end": "",
    }
    files = [Source(f"actors/x/{name}.py", text) for name, text in texts.items()]
    assert circles(files) == ["actors.x.b", "actors.x.c"]
    assert arrows([Source("actors/web/a.py", "import actors.shard.b")]) == {
        ("actors.web", "actors.shard")
    }


def test_a_public_class_name_stands_in_one_module_of_a_program() -> None:
    assert list(namesakes(sources())) == []
    assert all(NAMESAKES.values()), "each with its reason"


def test_namesakes_are_found_but_not_in_vocabularies_and_not_across_the_wire() -> None:
    text = "class Connection: ...\nclass _Own: ...\n"
    shard = Source("actors/shard/a.py", text)
    assert len(list(namesakes([shard, Source("runtime/b.py", text)]))) == 1
    assert list(namesakes([shard, Source("actors/receiver/line_signals.py", text)])) == []
    assert list(namesakes([shard, Source("tools/fake_gateway/a.py", text)])) == []
    both = [Source(f"tools/fake_gateway/{name}.py", text) for name in "ab"]
    assert len(list(namesakes(both))) == 1


def test_rooms_folders_and_exceptions_name_what_exists() -> None:
    excepted = {path for ban in BANS for path in ban.except_in}
    rooms = {room.replace(".", "/") for floor in FLOORS for room in floor}
    folders = {path for path in (*excepted, *PURE_FOLDERS, *CLEAN_TEXTS) if path.endswith("/")}
    named = {*LONG_FILES, *(each.split(":")[0] for each in LONG_FUNCTIONS), *excepted} - folders
    named |= {path if (ROOT / path).is_dir() else f"{path}.py" for path in rooms}
    assert sorted(path for path in folders if not (ROOT / path).is_dir()) == []
    assert sorted(path for path in named if not (ROOT / path).exists()) == []
    assert sum(is_pure(source) for source in sources() if not source.in_tests) >= PURE_FILES_MIN


def test_every_package_is_declared_and_every_extension_is_found_and_has_a_stub() -> None:
    setuptools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    shipped = [source for source in sources() if source.path.startswith(SHIPPED)]
    packages = {source.module for source in shipped if source.path.endswith("__init__.py")}
    assert set(setuptools["packages"]) == packages
    extensions = {source.path for source in shipped if source.path.endswith(".pyx")}
    found = runpy.run_path(str(ROOT / "setup.py"))["extensions"](ROOT)
    built = {path: each.name for each in found for path in each.sources}
    assert {path for path in built if path.endswith(".pyx")} == extensions
    assert [
        path for path, name in built.items() if name != path.split(".")[0].replace("/", ".")
    ] == []
    compiled = built.keys() - extensions  # from Python, with its types beside it
    assert [path for path in compiled if not (ROOT / path).with_suffix(".pxd").exists()] == []
    makefile = (ROOT / "Makefile").read_text()
    assert [path for path in compiled if path not in makefile] == [], "is not built anew"
    assert [path for path in extensions if not (ROOT / path).with_suffix(".pyi").exists()] == []


BAD = (
    (imports_go_down_only, "runtime/ring_actor.py", "import actors.messages.control\n"),
    (imports_go_down_only, "actors/shard/merge.py", "from actors.receiver import session\n"),
    (imports_go_down_only, "actors/receiver/routing.pyx", "from actors.shard cimport merge\n"),
    (imports_go_down_only, "actors/settings/model.py", "import actors.app.topology\n"),
    (imports_go_down_only, "actors/novelty.py", ""),
    (imports_go_down_only, "tools/fake_gateway/wsp/verify.py", "from actors import events\n"),
    (imports_go_down_only, "actors/demo/main.py", "from tools.fake_gateway import verify\n"),
    (imports_go_down_only, "actors/novelty/__init__.py", ""),
    (imports_go_down_only, "actors/cli/send.py", "from actors.demo import plan\n"),
    (imports_go_down_only, "actors/shard/shard.py", "from actors.sender import words\n"),
    (pure_files_touch_nothing, "actors/messages/feed.py", "from time import monotonic\n"),
    (pure_files_touch_nothing, "actors/shard/x.py", '"""X. Pure."""\nfrom time import time\n'),
    (banned_calls_have_a_cure, "tests/test_x.py", "import time\ntime.sleep(1)\n"),
    (banned_calls_have_a_cure, "tests/test_x.py", "from time import sleep as nap\nnap(1)\n"),
    (banned_calls_have_a_cure, "actors/app/topology.py", "print('x')\n"),
    (banned_calls_have_a_cure, "runtime/child.py", "import os\nos.fork()\n"),
    (banned_calls_have_a_cure, "runtime/child.py", "from multiprocessing import Queue\n"),
    (banned_calls_have_a_cure, "runtime/block.py", "from struct import pack_into\n"),
    (banned_calls_have_a_cure, "tools/x.py", "import sqlite3\n"),
    (banned_calls_have_a_cure, "actors/main.py", "from datetime import datetime\ndatetime.now()\n"),
    (files_have_a_name_of_their_own, "actors/utils.py", ""),
    (files_have_a_name_of_their_own, "tests/test_helpers.py", ""),
    (files_say_what_they_own, "actors/x.py", "import os\n"),
    (files_say_what_they_own, "actors/x.py", '"""Short."""\n'),
    (files_say_what_they_own, "runtime/x.pyx", "# cython: x=1\ncimport cython\n"),
    (names_are_not_retired, "actors/web/x.py", "class Standing: ...\n"),
    (names_are_not_retired, "actors/web/x.py", "Told: TypeAlias = tuple[int]\n"),
    (names_are_not_retired, "actors/web/x.py", "def f(*, way): ...\n"),
    (names_are_not_retired, "runtime/holding.py", ""),
    (each_queue_counts, "actors/web/x.py", "queue = native.queues[0] if native.queues else None\n"),
    (each_queue_counts, "actors/web/x.py", "first = queues_of(row.queue)[0]\n"),
    (each_queue_counts, "actors/web/x.py", "first = next(iter(view.queues))\n"),
    (each_queue_counts, "actors/web/x.py", "first, *_ = view.queues\n"),
    (each_queue_counts, "actors/sinks/x.py", "return row.queue in self._queues\n"),
    (each_queue_counts, "actors/web/static/x.js", "if (agent.queue === queue) show();\n"),
    (each_queue_counts, "actors/sender/x.py", "counts = ask(former_queue(told.queue))\n"),
    (texts_are_plain, "runtime/x.py", 'raise ValueError(f"the URL of {x} is none")\n'),
    (texts_are_plain, "actors/demo/x.py", 'log("Nobody is called so")\n'),
    (lines_are_clean, "Makefile", "a\tb\n"),
    (lines_are_clean, "a.md", "a \n"),
    (lines_are_clean, "a.pyx", f"{'x' * 101}\n"),
    (lines_are_clean, "a.py", "# " + "TO" + "DO later\n"),
    (lines_are_clean, "a.py", "x = 1"),
    (files_and_functions_are_short, "a.py", "x = 1\n" * 421),
    (files_and_functions_are_short, "a.py", "def f():\n" + "    x = 1\n" * 61),
    (files_and_functions_are_short, "a.pyx", "cdef int f(int x) nogil:\n" + "    x = 1\n" * 61),
)  # fmt: skip


@pytest.mark.parametrize(("rule", "path", "text"), BAD)
def test_no_rule_passes_because_it_looks_at_nothing(rule: Rule, path: str, text: str) -> None:
    assert list(rule(Source(path, text))) != []
