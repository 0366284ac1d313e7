"""The sender's settings: tables with open keys, tables given in part, and a secret of its own."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import ValidationError

from actors.genesys.presences import PRESENCE_OF_STATE
from actors.settings.layers import Effective, load
from actors.settings.sender import (
    DEFAULT_TRANSITIONS,
    CapacitySettings,
    QueueLimits,
    SenderSettings,
    WebhookSettings,
)
from runtime.errors import ConfigurationError
from runtime.log import MASK
from tests.actors.settings.test_model import _bare_environment, _credentials, doubts, refusal, shown

__all__ = ["_bare_environment", "_credentials"]  # fixtures

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
pytestmark = pytest.mark.usefixtures("_credentials")


@pytest.fixture
def loaded(tmp_path: Path) -> Callable[[str], Effective]:
    def loaded(toml: str) -> Effective:
        config = tmp_path / "presence-runtime.toml"
        config.write_text(toml)
        config.chmod(0o600)
        return load()

    return loaded


Loaded = Callable[[str], Effective]


def test_transitions_given_in_part_change_only_that_part(loaded: Loaded) -> None:
    effective = loaded('[sender.transitions]\nbusy = ["available"]\noffline = []\n')
    assert effective.settings.sender.transitions == {
        **DEFAULT_TRANSITIONS,
        "busy": ("available",),
        "offline": (),
    }
    rows = shown(effective)
    assert rows["sender.transitions.busy"] == ("available", "file presence-runtime.toml")
    assert rows["sender.transitions.break"] == ("available, busy, offline", "default")


def test_in_the_cloud_transitions_are_named_as_the_organisation_names_presences(
    loaded: Loaded,
) -> None:
    table = '[sender.cloud_transitions]\n"On Queue" = ["Pause", "Meal"]\nMeeting = []\n'
    effective = loaded(table)
    assert effective.settings.sender.cloud_transitions == {
        "On Queue": ("Pause", "Meal"),
        "Meeting": (),
    }
    rows = shown(effective)
    assert rows['sender.cloud_transitions."On Queue"'] == (
        "Pause, Meal",
        "file presence-runtime.toml",
    )


def test_states_mapped_in_part_leave_the_others_mapped(loaded: Loaded) -> None:
    effective = loaded('[sender.presence_of_state]\n"Wrapped Up" = "break"\nAsleep = "offline"\n')
    assert effective.settings.sender.presence_of_state == {
        **PRESENCE_OF_STATE,
        "Wrapped Up": "break",
        "Asleep": "offline",
    }
    rows = shown(effective)
    assert rows['sender.presence_of_state."Wrapped Up"'] == ("break", "file presence-runtime.toml")
    assert rows['sender.presence_of_state."Not Available"'] == ("break", "default")


def test_a_queue_is_named_as_the_gateway_names_it_and_inherits_what_it_does_not_say(
    loaded: Loaded,
) -> None:
    effective = loaded(
        "[sender.capacity.default]\nmaximum_utilisation = 0.8\n"
        '[sender.capacity.queues."Sales. West"]\nminimum_available = 3\n'
        "[sender.capacity.queues.11111111-0000]\nmaximum_utilisation = 0.5\n"
    )
    assert effective.settings.sender.capacity == CapacitySettings(
        default=QueueLimits(maximum_utilisation=0.8),
        queues={
            "Sales. West": QueueLimits(minimum_available=3, maximum_utilisation=0.8),
            "11111111-0000": QueueLimits(minimum_available=0, maximum_utilisation=0.5),
        },
    )
    rows = shown(effective)
    from_file = "file presence-runtime.toml"
    table = 'sender.capacity.queues."Sales. West"'
    assert rows[f"{table}.minimum_available"] == ("3", from_file)
    assert rows[f"{table}.maximum_utilisation"] == ("0.8", from_file)
    assert rows["sender.capacity.queues.11111111-0000.minimum_available"] == ("0", "default")


def test_a_queue_of_a_strange_name_is_shown_in_one_clean_line(loaded: Loaded) -> None:
    effective = loaded('[sender.capacity.queues."a\\u001b[31m\\n"]\nminimum_available = 3\n')
    assert 'sender.capacity.queues."a\\u001b[31m\\n".minimum_available' in shown(effective)


def test_variables_reach_into_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRESENCE_SENDER__UPDATES_PER_S", "2.5")
    monkeypatch.setenv("PRESENCE_SENDER__CAPACITY__DEFAULT__MINIMUM_AVAILABLE", "4")
    monkeypatch.setenv("PRESENCE_SENDER__CAPACITY__QUEUES", '{"Sales": {"minimum_available": 3}}')
    monkeypatch.setenv("PRESENCE_SENDER__TRANSITIONS__BUSY", '["available"]')
    effective = load()
    sender = effective.settings.sender
    assert sender.updates_per_s == 2.5
    assert sender.capacity.default.minimum_available == 4
    assert sender.capacity.queues == {"Sales": QueueLimits(minimum_available=3)}
    assert sender.transitions["busy"] == ("available",)
    assert doubts(effective) == []
    assert shown(effective)["sender.updates_per_s"] == ("2.5", "PRESENCE_SENDER__UPDATES_PER_S")


def test_a_name_that_loses_its_case_in_a_variable_is_warned_of(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PRESENCE_SENDER__CAPACITY__QUEUES__Sales__MINIMUM_AVAILABLE", "3")
    (warning,) = doubts(load())
    assert warning.startswith("PRESENCE_SENDER__CAPACITY__QUEUES__Sales__MINIMUM_AVAILABLE: ")
    assert warning.endswith("set PRESENCE_SENDER__CAPACITY__QUEUES as JSON")


@pytest.mark.parametrize(
    ("toml", "said"),
    [
        ("[sender]\nupdate_per_s = 3", "sender.update_per_s (from file presence-runtime.toml): "),
        ("[sender]\nupdate_per_s = 3", "did you mean sender.updates_per_s"),
        ("updates_per_s = 3", "did you mean sender.updates_per_s"),
        ('[sender.webhook]\n"§" = 3', "expected one of backoff_max_s, give_up_after_s, secret, "),
        ("[sender]\nupdates_per_s = 0", "sender.updates_per_s = 0 (from file"),
        ('[sender.transitions]\nasleep = ["busy"]', "sender.transitions.asleep"),
        ('[sender.transitions]\nbusy = ["asleep"]', "sender.transitions.busy.0 = 'asleep' (from f"),
        ('[sender.presence_of_state]\n"On Break" = "away"',
         "sender.presence_of_state.\"On Break\" = 'away' (from file"),
        ('[sender.capacity.queues."A. B"]\nminimum = 3',
         'sender.capacity.queues."A. B".minimum (from file'),
        ('[sender.capacity]\nqueues = 3', "sender.capacity.queues = 3"),
        ('sender = "on"', "sender = 'on'"),
        ('[sender.webhook]\nurl = "http://wfm.example"', "must be https"),
        ('[sender.webhook]\nurl = "http://127.0.0.1.evil.example"', "must be https"),
        ('[sender.webhook]\nurl = "https://me:pw@wfm.example"', "must not contain a user"),
        ('[sender.webhook]\nurl = "https://[wfm"', "invalid webhook URL"),
        ('[sender.webhook]\nsecret = "whsec_###"', f"sender.webhook.secret = {MASK} (from file"),
        (f'[sender.webhook]\nsecret = ["{SECRET}"]', f"sender.webhook.secret = {MASK}"),
        (f'[sender.webhook]\nsecret = "{SECRET}"\nsecret_file = "s"',
         "sender.webhook.secret and sender.webhook.secret_file are both set"),
        ('[sender.webhook]\nsecret_file = "s"',
         "sender.webhook.secret_file = s: No such file or directory"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_as_it_was_written(toml: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "presence-runtime.toml").write_text(toml)
    text = refusal()
    assert said in text
    assert SECRET not in text


def test_no_refusal_of_a_table_shows_what_is_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRESENCE_SENDER__WEBHOOK__URL", f"ftp://wfm.example/?token={SECRET}")
    assert SECRET not in refusal()
    assert SECRET not in refusal(flags={"sender.enabled": {"secret": SECRET}})


# -- the webhook's secret ----------------------------------------------------------------------


def test_the_secret_is_masked_wherever_it_is_shown(loaded: Loaded) -> None:
    effective = loaded(
        f'[sender.webhook]\nurl = "https://wfm.example/in?token={SECRET}"\nsecret = "{SECRET}"\n'
    )
    rows = shown(effective)
    assert rows["sender.webhook.secret"] == (MASK, "file presence-runtime.toml")
    assert rows["sender.webhook.url"][0] == f"https://wfm.example/in?{MASK}"
    webhook = effective.settings.sender.webhook
    assert SECRET not in str(rows) + repr(webhook.secret)
    assert webhook.signing_secret() == SECRET
    assert pickle.loads(pickle.dumps(webhook)).signing_secret() == SECRET


def test_a_secret_that_others_may_read_is_a_warning(loaded: Loaded, tmp_path: Path) -> None:
    assert doubts(loaded(f'[sender.webhook]\nsecret = "{SECRET}"\n')) == []
    (tmp_path / "presence-runtime.toml").chmod(0o644)
    assert "contains sender.webhook.secret and is readable by other users" in load().warnings[0]


def test_the_secrets_file_is_meant_from_the_settings_file_and_read_again_at_every_call(
    tmp_path: Path,
) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "our.toml").write_text('[sender.webhook]\nsecret_file = "signing"\n')
    (tmp_path / "etc" / "signing").write_text(f"{SECRET}\n")
    webhook = load(config=Path("etc/our.toml")).settings.sender.webhook
    assert webhook.signing_secret() == SECRET
    (tmp_path / "etc" / "signing").write_text("cm90YXRlZA==")
    assert webhook.signing_secret() == "cm90YXRlZA=="
    (tmp_path / "etc" / "signing").write_text("no base64")
    with pytest.raises(ConfigurationError, match=r"secret_file = etc/signing: must be whsec_"):
        webhook.signing_secret()


def test_without_a_secret_nothing_is_signed() -> None:
    assert WebhookSettings().signing_secret() == ""


def test_the_secrets_file_in_a_variable_silences_the_secret_in_the_file(
    loaded: Loaded, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "signing").write_text("cm90YXRlZA==")
    monkeypatch.setenv("PRESENCE_SENDER__WEBHOOK__SECRET_FILE", "signing")
    effective = loaded(f'[sender.webhook]\nsecret = "{SECRET}"\n')
    assert effective.settings.sender.webhook.signing_secret() == "cm90YXRlZA=="


def test_settings_made_in_code_are_checked_alike() -> None:
    assert SenderSettings(transitions={"busy": ()}).transitions["available"]
    limits = QueueLimits(minimum_available=2)
    assert CapacitySettings(queues={"q": limits}).queues == {"q": limits}
    with pytest.raises(ValidationError):
        SenderSettings(transitions="busy")  # type: ignore[arg-type]
    with pytest.raises(ValidationError):
        CapacitySettings(queues={"q": 3})  # type: ignore[dict-item]
