"""Tests of service.api.representation."""

from __future__ import annotations

import gzip

from service.api.representation import Representation

ONE = Representation(b"one " * 100, "text/plain")


def test_the_gzip_form_unpacks_to_the_body() -> None:
    """Compression changes nothing, and carries no time of day."""
    assert ONE.body == gzip.decompress(ONE.gzipped)
    assert bytes(4) == ONE.gzipped[4:8]


def test_tags_tell_bodies_and_codings_apart() -> None:
    """The same body has the same strong tag, another one or its gzip form has another."""
    same, other = Representation(ONE.body, ONE.media_type), Representation(b"other", "text/plain")
    tags = [one.etag(gzipped=gzipped) for one in (ONE, other) for gzipped in (False, True)]

    assert ONE.etag(gzipped=False) == same.etag(gzipped=False)
    assert 4 == len(set(tags))
    assert all(tag.startswith('"') and tag.endswith('"') for tag in tags)
