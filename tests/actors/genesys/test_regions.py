"""Regions: what people write for one means its domain, or is refused with what is near."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.genesys.cloud import hosts
from actors.genesys.regions import (
    DOMAINS,
    domain_of,
    doubt_about,
    environment_of,
    region_domain_in,
)

FRANKFURT, DUBLIN, VIRGINIA = "mypurecloud.de", "mypurecloud.ie", "mypurecloud.com"


@pytest.mark.parametrize(("region", "domain"), DOMAINS.items())
def test_a_region_may_be_spelt_in_many_ways(region: str, domain: str) -> None:
    spellings = (
        region,
        region.upper(),
        region.replace("-", "_"),
        region.replace("-", " "),
        f" {region}\t",
        f"\ufeff{region}",
        f'"{region}"',
        region.replace("-", "\u2013"),
        f"PureCloudRegionHosts.{region.replace('-', '_')}",
        f"Somewhere ({region})",
    )
    assert {domain_of(each) for each in spellings} == {domain}


@pytest.mark.parametrize("domain", DOMAINS.values())
def test_and_so_may_the_hosts_of_its_domain(domain: str) -> None:
    spellings = (
        domain,
        domain.upper(),
        f"{domain}.",
        f"{domain}/",
        f"api.{domain}",
        f"login.{domain}",
        f"apps.{domain}",
        f"https://api.{domain}",
        f"https://api.{domain}/",
        f"https://apps.{domain}/directory/#/person?x=1",
        f"wss://streaming.{domain}/channels/x",
        f"api.{domain}:443",
        f"api.api.{domain}",
    )
    assert {domain_of(each) for each in spellings} == {domain}


@pytest.mark.parametrize(
    ("text", "domain"),
    [
        ("Frankfurt", FRANKFURT),
        ("frankfurt am main", FRANKFURT),
        ("Germany", FRANKFURT),
        ("EMEA (Frankfurt)", FRANKFURT),
        ("Dublin", DUBLIN),
        ("Ireland", DUBLIN),
        ("Europe (Ireland) eu-west-1", DUBLIN),
        ("Sydney", "mypurecloud.com.au"),
        ("Tokyo", "mypurecloud.jp"),
        ("London", "euw2.pure.cloud"),
        ("Mumbai", "aps1.pure.cloud"),
        ("Seoul", "apne2.pure.cloud"),
        ("Montreal", "cac1.pure.cloud"),
        ("Montréal", "cac1.pure.cloud"),
        ("Canada", "cac1.pure.cloud"),
        ("Sao Paulo", "sae1.pure.cloud"),
        ("São Paulo", "sae1.pure.cloud"),
        ("Oregon", "usw2.pure.cloud"),
        ("US West (Oregon)", "usw2.pure.cloud"),
        ("Virginia", VIRGINIA),
        ("US East (N. Virginia)", VIRGINIA),
        ("Ohio", "use2.us-gov-pure.cloud"),
        ("Osaka", "apne3.pure.cloud"),
        ("Zürich", "euc2.pure.cloud"),
        ("Zurich", "euc2.pure.cloud"),
        ("Dubai", "mec1.pure.cloud"),
        ("UAE", "mec1.pure.cloud"),
        ("Mexico", "mxc1.pure.cloud"),
        ("Querétaro", "mxc1.pure.cloud"),
        ("Singapore", "apse1.pure.cloud"),
        ("euw2", "euw2.pure.cloud"),
        ("EUC1", FRANKFURT),
        ("usw2", "usw2.pure.cloud"),
        ("use1", VIRGINIA),
        ("apse2", "mypurecloud.com.au"),
        ("cac1", "cac1.pure.cloud"),
        ("edee1", "edee1.eusc-pure.cloud"),
        ("prod", VIRGINIA),
        ("prod-euw1", DUBLIN),
        ("fedramp-use2-core", "use2.us-gov-pure.cloud"),
        ("dca", "inindca.com"),
        ("new1.pure.cloud", "new1.pure.cloud"),
        ("gw.example", "gw.example"),
        ("api.gw.example", "gw.example"),
    ],
)
def test_places_codes_and_domains_of_their_own_are_understood(text: str, domain: str) -> None:
    assert domain_of(text) == domain


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("eu-centrl-1", "did you mean eu-central-1"),
        ("Franfurt", "did you mean eu-central-1?"),
        ("Sidney", "did you mean ap-southeast-2?"),
        ("us", "us-east-1 or us-west-2"),
        ("Japan", "ap-northeast-1 or ap-northeast-3"),
        ("mypurecloud", "did you mean us-east-1"),
        ("pure.cloud", "did you mean us-west-2"),
        ("foo", "expected one of ap-northeast-1"),
        ("api.de", "must be a region"),
        ("a..b", "must be a region"),
        ("-a.b", "must be a region"),
        ("", "must be a region"),
        ("ftp://mypurecloud.de", "must be a region"),
        ("x" * 501, "must be a region"),
        ("localhost", "base_url"),
        ("api.localhost", "base_url"),
        ("10.0.0.5", "base_url"),
        ("127.0.0.1:8080", "base_url"),
        ("http://[::1]:80/", "base_url"),
        ("api.mypurecloud.de:8443", "without a port"),
        ("me:x@mypurecloud.de", "without a user"),
    ],
)
def test_what_is_no_region_is_refused_with_what_is_near(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        domain_of(text)
    assert said in str(caught.value)


@given(st.text(max_size=60) | st.from_regex(r"(https://)?(api|login)?[a-z0-9_.-]{1,30}/?"))
def test_no_text_makes_a_host_without_a_dot_or_a_service_twice(text: str) -> None:
    try:
        domain = domain_of(text)
    except ValueError:
        return
    assert "." in domain
    assert not domain.startswith(("api.", "login.", "streaming."))
    assert domain.isascii()
    assert domain_of(domain) == domain


def test_a_domain_that_looks_misspelt_is_doubted() -> None:
    assert "did you mean" in doubt_about("mypurecloud.dee")
    assert "not a known domain" in doubt_about("gw.example")
    assert doubt_about("new1.pure.cloud") == doubt_about("Frankfurt") == ""


@pytest.mark.parametrize(
    ("text", "environment"),
    [
        ("", ""),
        ("acme", "acme"),
        ("ACME", "acme"),
        ("euw2.test", "euw2.test"),
        (" acme ", "acme"),
        ("acme.mypurecloud.com", "acme"),
        ("https://api.acme.mypurecloud.com/", "acme"),
        ("api.mypurecloud.com", ""),
        ("mypurecloud.com", ""),
        ("https://apps.mypurecloud.com/", ""),
    ],
)
def test_an_environment_is_found_in_the_host_that_was_pasted(text: str, environment: str) -> None:
    assert environment_of(text) == environment


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("evil.com/", "must be the part"),
        ("a b", "must be the part"),
        ("-x", "must be the part"),
        ("mypurecloud.de", "region = 'mypurecloud.de'"),
        ("eu-central-1", "region = 'eu-central-1'"),
        ("api.euw2.pure.cloud", "set region"),
        ("localhost", "base_url"),
    ],
)
def test_what_cannot_be_an_environment_is_refused(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        environment_of(text)
    assert said in str(caught.value)


def test_the_domain_of_a_platform_s_host_is_known_and_no_other() -> None:
    assert region_domain_in("API.mypurecloud.com.au.") == "mypurecloud.com.au"
    assert region_domain_in("mypurecloud.de") == FRANKFURT
    assert region_domain_in("api.notmypurecloud.de") is None
    assert region_domain_in("gw.example") is None


def test_a_base_url_of_the_platform_stands_for_its_region() -> None:
    assert hosts("", "https://api.mypurecloud.de") == hosts("eu-central-1")
    assert hosts("", "https://gw.example").token_url == "https://gw.example/oauth/token"
