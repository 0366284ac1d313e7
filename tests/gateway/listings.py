"""Listings of the platform API, all their pages, as a reader without a retry asks for them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from actors.genesys.cloud_answers import ListingPage
from actors.genesys.cloud_rest import CloudRest, Collection, MemberKind, all_pages


def user_pages(rest: CloudRest, expand: Sequence[str] = ()) -> AsyncIterator[ListingPage]:
    return all_pages(lambda number, query: rest.user_page(number, expand, query))


def member_pages(rest: CloudRest, kind: MemberKind, collection: str) -> AsyncIterator[ListingPage]:
    return all_pages(lambda number, query: rest.member_page(kind, collection, number, query))


def named_pages(rest: CloudRest, kind: Collection) -> AsyncIterator[ListingPage]:
    return all_pages(lambda number, query: rest.named_page(kind, number, query))
