"""Tests of service.api.representations. Conditional requests and gzip are tested in `routes.test_model`."""

from __future__ import annotations

import gzip

from service.api.representations import Representation

TEXT = Representation(b"text " * 100, "text/plain")


def test_gzip_form_decompresses_to_the_body() -> None:
    """Its header has no timestamp, so that every process computes the same bytes."""
    assert TEXT.body == gzip.decompress(TEXT.gzipped)
    assert bytes(4) == TEXT.gzipped[4:8]


def test_etags_distinguish_bodies_and_codings() -> None:
    """Equal bodies have equal strong ETags. Another body, or the gzip form, has another one."""
    equal, other = Representation(TEXT.body, TEXT.media_type), Representation(b"other", "text/plain")
    etags = [representation.etag(gzipped=gzipped) for representation in (TEXT, other) for gzipped in (False, True)]

    assert TEXT.etag(gzipped=False) == equal.etag(gzipped=False)
    assert 4 == len(set(etags))
    assert all(etag.startswith('"') and etag.endswith('"') for etag in etags)
