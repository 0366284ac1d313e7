"""Minutes: a successor's page shows the hour before it; no file is worth a failure."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from actors.web.minutes import FILE, Minutes
from actors.web.read_model import HISTORY_MINUTES, MINUTE_US, Minute, ReadModel

NOW_US = 30_000_000 * MINUTE_US


def kept(data_dir: Path, *minutes: Minute) -> None:
    model = ReadModel(1)
    model.history.extend(minutes)

    async def scene() -> None:
        Minutes(data_dir, model).keep([], None)

    with asyncio.Runner() as runner:  # which waits for its threads
        runner.run(scene())


def restored(data_dir: Path) -> list[Minute]:
    model = ReadModel(1)
    Minutes(data_dir, model).restore(NOW_US)
    return list(model.history)


def test_what_one_life_kept_the_next_one_shows(tmp_path: Path) -> None:
    minutes = [Minute(NOW_US - MINUTE_US, {"Talking": 3}), Minute(NOW_US, {"Talking": 2, "é": 1})]
    kept(tmp_path, *minutes)
    assert restored(tmp_path) == minutes
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600
    assert [each.name for each in tmp_path.iterdir()] == [FILE]


def test_only_the_last_hour_is_shown_and_nothing_from_the_future(tmp_path: Path) -> None:
    hour_us = HISTORY_MINUTES * MINUTE_US
    times = (NOW_US - hour_us - 1, NOW_US - hour_us, NOW_US, NOW_US + 1)
    kept(tmp_path, *(Minute(at_us, {}) for at_us in times))
    assert [each.at_us for each in restored(tmp_path)] == [NOW_US - hour_us, NOW_US]


@pytest.mark.parametrize(
    "content",
    ["", "{", "1", "null", "[1]", '[["1", {}]]', "[[1, []]]", '[[1, {"a": null}]]', "[[1]]"],
)
def test_an_odd_file_is_no_history(tmp_path: Path, content: str) -> None:
    (tmp_path / FILE).write_text(content)
    assert restored(tmp_path) == []


def test_no_file_is_no_history_and_where_none_can_be_written_there_is_none(tmp_path: Path) -> None:
    assert restored(tmp_path / "nowhere") == []
    kept(tmp_path / "nowhere", Minute(NOW_US, {}))
    assert not (tmp_path / "nowhere").exists()


def test_the_same_minute_is_written_once(tmp_path: Path) -> None:
    model = ReadModel(1)
    model.history.append(Minute(NOW_US, {}))
    minutes = Minutes(tmp_path, model)

    async def keep() -> None:
        minutes.keep()

    asyncio.run(keep())
    (tmp_path / FILE).unlink()
    asyncio.run(keep())
    assert not (tmp_path / FILE).exists()
    model.history.append(Minute(NOW_US + MINUTE_US, {}))
    asyncio.run(keep())
    assert (tmp_path / FILE).exists()
