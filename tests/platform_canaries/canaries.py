"""Canaries: what is broken for each row of the platform's differences, and what a demo must say."""

from __future__ import annotations

from typing import Final, NamedTuple

SEED: Final = 1
JOURNAL: Final = "does not agree with the gateway's ledger"


class Canary(NamedTuple):
    """A cure that is off. `breaks`: `module:attribute=function of broken.py`; `more`: what the demo
    is asked besides; `seconds`: of load; `says`: a pattern in what it must say; `seed`: one with
    which that demo is verified while every cure is on."""

    row: str
    name: str
    breaks: str
    says: str = JOURNAL
    more: tuple[str, ...] = ()
    seconds: float = 15.0
    seed: int = SEED


LONG_LIVED: Final = ("--token-life", "600")
"""Else a channel's end with its token heals what is to be found."""
QUIET: Final = ("--rate", "5")
"""Else everybody's next event heals what a snapshot has left out."""
_CLOUD: Final = "actors.genesys.cloud"

CANARIES: Final = (
    Canary(
        "R1",
        "listings-must-have-totals",
        "actors.genesys.paging:pages_of=demands_totals",
        more=("--watch", "queues"),
        says="not finished|not ready",
    ),
    Canary(
        "R3",
        "what-is-left-out-is-not-asked-for",
        "actors.receiver.snapshots:lacking_parts=asks_for_nothing_again",
        more=QUIET,
        seed=2,
    ),
    Canary("R3", "absent-is-told", "actors.shard.cloud_decode:_Reading.of=absent_is_told"),
    Canary(
        "R4",
        "a-refused-call-costs-all-topics",
        "actors.receiver.topic_search:TopicSearch.refused=halves_nothing",
    ),
    Canary(
        "R5",
        "200-is-success",
        "actors.sender.presence_answer:meaning_of=takes_200_for_success,"
        "actors.messages.queries:is_shown_by=shown_by_its_time",
    ),
    Canary("R6", "strict-json", "actors.genesys.json_text:_patiently=refuses"),
    Canary("R7", "ties-are-lost", "actors.shard.cloud_order:later_holds=never"),
    Canary("R7", "timeless-values-are-ignored", "actors.shard.cloud_order:timeless_wins=never"),
    Canary(
        "R7",
        "a-time-ahead-decides",
        "actors.shard.held_time:decides_nothing=never",
        more=LONG_LIVED,
        seed=3,
        seconds=25.0,
    ),
    Canary(
        "R8",
        "labels-in-english",
        "actors.genesys.cloud_rest:ALL_LOCALES=only_english",
        says="although the platform knows their presence",
    ),
    Canary(
        "R9",
        "a-channel-outlives-its-token",
        "actors.receiver.channel_line:lives_for_s=never_ends",
        says="in use when their token expired",
    ),
    Canary(
        "R10",
        "the-roster-corrects-nobody",
        "actors.shard.correcting:CorrectingMerge.correct=nothing",
        more=LONG_LIVED,
        seed=3,
        seconds=20.0,
    ),
    Canary(
        "R11",
        "waits-as-asked",
        "actors.genesys.retry_after:wait_s=waits_as_asked",
        says="without a pause",
    ),
    Canary("R12", "an-odd-part-costs-all", "actors.shard.cloud_decode:told=odd_part_costs_all"),
    Canary(
        "R14",
        "lives-are-integers",
        "actors.genesys.tokens:life_of=believes_the_life",
        says="not finished|not ready",
    ),
    Canary("R16", "ids-as-they-are-spelt", f"{_CLOUD}:user_id_of=as_it_is"),
    Canary(
        "R19",
        "only-404-ends-a-channel",
        f"{_CLOUD}:_GONE_RESULTS=only_404",
        more=LONG_LIVED,
        seed=3,
        says=f"{JOURNAL}|not finished",
    ),
    Canary(
        "R19",
        "heartbeats-in-one-wording",
        f"{_CLOUD}:_HEARTBEAT=one_wording",
        says="frames were quarantined",
    ),
    Canary("queues", "the-first-queue-counts", "actors.messages.queues:queues_of=only_the_first"),
    Canary(
        "queues",
        "the-first-queue-counts-on-the-page",
        "actors.web.read_model:queues_of=only_the_first",
    ),
)


ALL_ROWS: Final = {f"R{number}" for number in range(1, 20)} - {"R13"} | {"queues"}
"""R13 is about speed; in each of its queues an agent counts."""
ELSEWHERE: Final = {
    "R2": "tests/actors/cli/test_preflight_odd_clouds.py"
    "::test_channels_of_other_tokens_count_and_none_is_made_from_nineteen_on",
    "R15": "tests/actors/cli/test_preflight_odd_clouds.py"
    "::test_a_socket_that_leads_elsewhere_is_told_and_no_definition_at_all_is_wrong",
    "R17": "tests/cases/test_regions.py::test_a_spelling_of_a_region_means_its_domain",
    "R18": "tests/actors/receiver/test_channel.py"
    "::test_changed_topics_replace_the_channel_unless_we_have_just_changed_them",
}
"""Rows that no demo can show, and the test that fails without their cure: only `check --online`
counts channels (R2), a gateway on loopback has neither foreign hosts nor regions, and R18 is what
the gateway itself does; of ours, only topics that somebody else changes can be missed."""
