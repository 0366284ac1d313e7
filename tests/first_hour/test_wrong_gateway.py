"""The wrong region, the wrong dialect, a queue that there is not: told before the first event."""

from __future__ import annotations

import pytest

from actors.demo.gateway import BundledGateway
from runtime.errors import EXIT_CLEAN, EXIT_CONFIGURATION
from tests.first_hour.newcomer import CLIENT, Newcomer, given_to

CLOUD = {"PRESENCE_DIALECT": "cloud"}


@pytest.mark.parametrize(
    ("typed", "near"),
    [
        ("eu-centrl-1", "did you mean eu-central-1"),
        ("Francfurt", "did you mean eu-central-1"),
        ("mypurecloud", "did you mean us-east-1 or eu-west-1 or eu-central-1"),
        ("europe", "eu-central-1 or eu-west-1"),
        ("pure.cloud", "us-west-2"),
    ],
)
def test_a_region_that_there_is_not(newcomer: Newcomer, typed: str, near: str) -> None:
    newcomer.types("check", **CLIENT, **CLOUD, PRESENCE_REGION=typed).refuses(
        "region", typed, near, "PRESENCE_REGION"
    )


def test_a_domain_that_is_none_of_the_platform(newcomer: Newcomer) -> None:
    said = newcomer.types("check", **CLIENT, **CLOUD, PRESENCE_REGION="mypurecloud.dee")
    assert said.exit_code == EXIT_CLEAN
    assert "mypurecloud.dee is not a known domain of the platform" in said.err
    assert "did you mean mypurecloud.de" in said.err


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"PRESENCE_REGION": "eu-central-1"},
        {"PRESENCE_BASE_URL": "https://api.euw2.pure.cloud"},
    ],
)
def test_the_dialect_of_the_tutorials_against_the_platform(
    newcomer: Newcomer, given: dict[str, str]
) -> None:
    said = newcomer.types("check", **CLIENT, **given)
    assert said.exit_code == EXIT_CLEAN
    assert "dialect = wsp is used with a Genesys Cloud domain (api." in said.err
    assert 'requires dialect = "cloud"' in said.err
    assert "dialect" not in newcomer.types("check", **CLIENT, **CLOUD, **given).err


@pytest.mark.parametrize(
    ("dialect", "answer"), [("wsp", "refused with 401"), ("cloud", "answered with 404")]
)
def test_a_gateway_of_the_other_dialect(
    newcomer: Newcomer, gateway: BundledGateway, cloud: BundledGateway, dialect: str, answer: str
) -> None:
    other = gateway if dialect == "cloud" else cloud
    given = given_to(other, PRESENCE_DIALECT=dialect, PRESENCE_WEB__LISTEN="127.0.0.1:0")
    host = other.base_url.partition("//")[2]
    checked = newcomer.types("check", "--online", **given)
    assert checked.exit_code == EXIT_CONFIGURATION
    for said in (checked.out, newcomer.types("--log-format", "json", **given).err):
        assert f"{host}: the token request was {answer}" in said
        assert "check dialect: " in said
        assert "Traceback" not in said


@pytest.mark.parametrize(
    ("typed", "near"), [("Queeu 0000", "Queue 0000"), ("Queue 000", "Queue 0000")]
)
def test_a_misspelt_queue(newcomer: Newcomer, cloud: BundledGateway, typed: str, near: str) -> None:
    watched = {"PRESENCE_CLOUD__WATCH": "queues", "PRESENCE_CLOUD__WATCH_IDS": typed}
    said = newcomer.types("check", "--online", **given_to(cloud, **CLOUD, **watched))
    assert said.exit_code == EXIT_CONFIGURATION
    assert f"unknown queues {typed!r}" in said.out
    assert f"did you mean {near!r}" in said.out
    watched["PRESENCE_CLOUD__WATCH_IDS"] = near.lower()
    said = newcomer.types("check", "--online", **given_to(cloud, **CLOUD, **watched))
    assert said.exit_code == EXIT_CLEAN, said
