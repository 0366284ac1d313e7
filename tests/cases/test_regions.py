"""A region as people write it: each means its domain, or is refused with what may have been meant.

Through the settings, as a start does it.
"""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from actors.settings.gateway_addresses import gateway_addresses
from actors.settings.layers import load
from runtime.errors import ConfigurationError

GERMANY, USA = "mypurecloud.de", "mypurecloud.com"


@pytest.fixture(autouse=True)
def a_client(bare_environment: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRESENCE_DIALECT", "cloud")
    monkeypatch.setenv("PRESENCE_CLIENT_ID", "a")
    monkeypatch.setenv("PRESENCE_CLIENT_SECRET", "b")


def domain_or_refusal(monkeypatch: pytest.MonkeyPatch, region: str) -> tuple[str, str]:
    """One of the two is empty."""
    monkeypatch.setenv("PRESENCE_REGION", region)
    try:
        effective = load()
    except ConfigurationError as error:
        return "", str(error)
    address = gateway_addresses(effective.settings)[0]
    api, token = urlsplit(address.api_url), urlsplit(address.token_url or "")
    domain = (api.hostname or "").removeprefix("api.")
    assert (api.scheme, api.netloc, api.path) == ("https", f"api.{domain}", "")
    assert (token.scheme, token.netloc) == ("https", f"login.{domain}")
    assert token.path == "/oauth/token"
    return domain, ""


MEANT = [
    pytest.param(GERMANY, GERMANY, id="domain"),
    pytest.param("eu-central-1", GERMANY, id="name"),
    pytest.param("EU-CENTRAL-1", GERMANY, id="capitals"),
    pytest.param("eu_central_1", GERMANY, id="underscores"),
    pytest.param("api.mypurecloud.de", GERMANY, id="host of the API"),
    pytest.param("https://api.mypurecloud.de", GERMANY, id="URL of the API"),
    pytest.param("login.mypurecloud.de", GERMANY, id="host of the login"),
    pytest.param("apps.mypurecloud.de", GERMANY, id="host of the pages"),
    pytest.param("mypurecloud.de.", GERMANY, id="trailing dot"),
    pytest.param("mypurecloud.de/", GERMANY, id="trailing slash"),
    pytest.param(" eu-central-1 ", GERMANY, id="blanks around"),
    pytest.param("us-east-1 ", USA, id="blank after"),
    pytest.param("me-central-1", "mec1.pure.cloud", id="name of a small region"),
    pytest.param("edee1.eusc-pure.cloud", "edee1.eusc-pure.cloud", id="sovereign domain"),
    pytest.param("aws-eu-central-1", GERMANY, id="with its cloud"),
    pytest.param("GENESYS_REGION=eu-central-1", GERMANY, id="a line of an env file"),
    pytest.param("eu.central.1", GERMANY, id="dots"),
    pytest.param("N.Virginia", USA, id="a place with a dot"),
    pytest.param("admin.mypurecloud.de", GERMANY, id="a host that we do not know"),
    pytest.param("https://x.y.euw2.pure.cloud/z", "euw2.pure.cloud", id="a host deep below it"),
]


@pytest.mark.parametrize(("region", "domain"), MEANT)
def test_a_spelling_of_a_region_means_its_domain(
    monkeypatch: pytest.MonkeyPatch, region: str, domain: str
) -> None:
    assert domain_or_refusal(monkeypatch, region) == (domain, "")


GUESSED = [
    pytest.param("Frankfurt", GERMANY, "eu-central-1", id="city"),
    pytest.param("euw2", "euw2.pure.cloud", "eu-west-2", id="euw2"),
    pytest.param("euc1", GERMANY, "eu-central-1", id="euc1"),
    pytest.param("eu-centrl-1", GERMANY, "eu-central-1", id="misspelt"),
    pytest.param("dca", "inindca.com", "inindca.com", id="the maker's own"),
    pytest.param("fedramp-use2-core", "use2.us-gov-pure.cloud", "us-east-2", id="FedRAMP"),
]


@pytest.mark.parametrize(("region", "domain", "name"), GUESSED)
def test_another_name_of_a_region_means_its_domain_or_is_refused_with_the_name_that_we_know(
    monkeypatch: pytest.MonkeyPatch, region: str, domain: str, name: str
) -> None:
    meant, refusal = domain_or_refusal(monkeypatch, region)
    assert meant == domain or name in refusal, (meant, refusal)


def test_a_name_without_a_dot_that_is_no_region_is_refused_in_words(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _, refusal = domain_or_refusal(monkeypatch, "localhost")
    assert "localhost" in refusal
    assert "pattern" not in refusal
