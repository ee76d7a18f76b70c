"""Addresses."""

from __future__ import annotations

import pytest

from kapok.errors import InvalidInput
from kapok.wire.address import Address


@pytest.mark.parametrize(
    ("text", "host", "port", "loopback"),
    [
        ("127.0.0.1:0", "127.0.0.1", 0, True),
        ("127.8.0.1:7", "127.8.0.1", 7, True),
        ("localhost:65535", "localhost", 65535, True),
        ("broker.example.org:7443", "broker.example.org", 7443, False),
        ("0.0.0.0:7443", "0.0.0.0", 7443, False),
        ("[::1]:7443", "::1", 7443, True),
        ("[2001:db8::7]:7443", "2001:db8::7", 7443, False),
    ],
)
def test_an_address_is_read_and_written(text, host, port, loopback):
    address = Address.parse(text)
    assert (address.host, address.port, address.is_loopback) == (host, port, loopback)
    assert str(address) == text


BAD = ["", "host", "host:", ":7", "host:65536", "host:-1", "host:7 ", "host:7\n", "::1:7", "[::x]:7", "[::1]"]
WORSE = ["a/b:7", "https://host:7", "unix:/tmp/x", "host:\u0966", None]


@pytest.mark.parametrize("text", [*BAD, *WORSE])
def test_what_is_no_address_is_refused(text):
    with pytest.raises(InvalidInput) as caught:
        Address.parse(text)
    assert caught.value.code == "bad_address"
