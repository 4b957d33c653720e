from __future__ import annotations

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eurydice_core.api.metadata_headers import (
    metadata_from_headers,
    metadata_to_headers,
    name_in,
)
from eurydice_core.api.peer import joined_headers, peer_of
from eurydice_core.api.proxies import ProxyTrust
from eurydice_core.config import ApiSettings
from eurydice_core.errors import InvalidRequest


def test_metadata_names_are_in_title_case_and_nothing_else_counts():
    headers = [
        (b"metadata-foo-BAR", b"1"),
        (b"Metadata-Name", b"n"),
        (b"x-metadata-foo", b"no"),
        (b"content-type", b"no"),
    ]
    assert metadata_from_headers(headers) == {"Metadata-Foo-Bar": "1", "Metadata-Name": "n"}


def test_metadata_values_are_utf8_where_they_can_be():
    assert metadata_from_headers([(b"metadata-a", "é€".encode())]) == {"Metadata-A": "é€"}
    assert metadata_from_headers([(b"metadata-a", b"caf\xe9")]) == {"Metadata-A": "café"}


def test_metadata_that_comes_twice_is_joined():
    headers = [(b"metadata-a", b"1"), (b"METADATA-A", b"2")]
    assert metadata_from_headers(headers) == {"Metadata-A": "1, 2"}


def test_metadata_with_control_characters_is_refused():
    with pytest.raises(InvalidRequest, match="Metadata-A"):
        metadata_from_headers([(b"metadata-a", b"a\x00b")])


@given(st.dictionaries(st.text(), st.text()))
def test_metadata_never_writes_headers_of_our_own(metadata):
    for name, value in metadata_to_headers(metadata):
        assert name.startswith(b"metadata-")
        assert not set(name + value) & set(b"\r\n\0")
        assert b":" not in name
        assert b" " not in name


def test_metadata_from_the_link_cannot_smuggle_a_header():
    hostile = {
        "Metadata-A": "x\r\nSet-Cookie: a=b",
        "Metadata-B\r\nSet-Cookie": "c",
        "Set-Cookie": "d",
        "Metadata-Good": "é",
    }
    assert metadata_to_headers(hostile) == [(b"metadata-good", "é".encode())]


def test_headers_that_come_twice_are_joined():
    scope = {"headers": [(b"X-A", b"1"), (b"x-a", b"2")]}
    assert joined_headers(scope) == {"x-a": "1, 2"}


PROXY_SECRET = "p" * 32
SECRET_HEADER = (b"x-eurydice-proxy-secret", PROXY_SECRET.encode())
PROXIES = ProxyTrust(
    ApiSettings(trusted_proxies=["10.0.0.0/8", "fd00::/8"], proxy_secret=PROXY_SECRET)
)
SOCKET = ProxyTrust(ApiSettings(socket="/run/eurydice/api.sock"))


def scope_from(address, *headers, scheme="http", secret=SECRET_HEADER):
    sent = [*headers, secret] if secret else list(headers)
    return {"client": (address, 1), "scheme": scheme, "headers": sent}


FORWARDED = ((b"x-forwarded-for", b"6.6.6.6, 1.2.3.4, 10.0.0.9"), (b"x-forwarded-proto", b"https"))


def test_forwarded_headers_of_strangers_are_not_believed():
    peer = peer_of(scope_from("9.9.9.9", *FORWARDED), PROXIES)
    assert (peer.address, peer.user_address, peer.secure) == ("9.9.9.9", "9.9.9.9", False)


@pytest.mark.parametrize("proxy", ["10.1.2.3", "fd00::1", "::ffff:10.1.2.3"])
def test_trusted_proxies_tell_who_and_how(proxy):
    peer = peer_of(scope_from(proxy, *FORWARDED), PROXIES)
    assert (peer.address, peer.user_address, peer.secure) == (proxy, "1.2.3.4", True)


@pytest.mark.parametrize(
    "secret",
    [
        None,
        (b"x-eurydice-proxy-secret", b""),
        (b"x-eurydice-proxy-secret", b"p" * 31),
        (b"x-eurydice-proxy-secret", b"p" * 33),
        (b"x-eurydice-proxy-secret", b"P" * 32),
        (b"x-eurydice-proxy-secret", b"\xe9" * 32),
        (b"x_eurydice_proxy_secret", b"p" * 32),
    ],
    ids=repr,
)
def test_address_of_a_proxy_proves_nothing(secret):
    peer = peer_of(scope_from("10.1.2.3", *FORWARDED, secret=secret), PROXIES)
    assert (peer.from_proxy, peer.secure) == (False, False)
    assert peer.user_address == ""  # behind a location that forgot its headers is anybody


def test_secret_that_comes_twice_proves_nothing():
    scope = scope_from("10.1.2.3", SECRET_HEADER, *FORWARDED)
    assert not peer_of(scope, PROXIES).from_proxy


def test_secret_from_elsewhere_proves_nothing():
    assert not peer_of(scope_from("9.9.9.9", *FORWARDED), PROXIES).from_proxy
    assert not peer_of(scope_from("", *FORWARDED), PROXIES).from_proxy


def test_secret_is_taken_off_the_request():
    scope = scope_from("10.1.2.3", *FORWARDED)
    assert PROXIES.without_secret(scope)["headers"] == list(FORWARDED)


@pytest.mark.parametrize("client", [None, ("", "0")])
def test_unix_socket_proves_the_proxy(client):
    scope = {"client": client, "headers": list(FORWARDED), "scheme": "http"}
    peer = peer_of(scope, SOCKET)
    assert (peer.from_proxy, peer.user_address, peer.secure) == (True, "10.0.0.9", True)
    assert not peer_of({**scope, "client": ("127.0.0.1", 1)}, SOCKET).from_proxy


def test_unix_socket_may_need_the_secret_too():
    trust = ProxyTrust(ApiSettings(socket="/run/eurydice/api.sock", proxy_secret=PROXY_SECRET))
    assert peer_of(scope_from("", *FORWARDED), trust).from_proxy
    assert not peer_of(scope_from("", *FORWARDED, secret=None), trust).from_proxy


def test_proxy_that_names_no_user_leaves_the_address_unknown():
    peer = peer_of(scope_from("10.1.2.3", scheme="https"), PROXIES)
    assert (peer.user_address, peer.secure) == ("", True)


def test_unix_socket_that_is_not_ours_proves_nothing():
    peer = peer_of({"client": None, "headers": [*FORWARDED], "scheme": "http"}, PROXIES)
    assert (peer.address, peer.from_proxy, peer.secure) == ("", False, False)


@pytest.mark.parametrize(
    ("forwarded", "user"),
    [
        ("1.2.3.4:5678", "1.2.3.4"),
        ("[2001:db8::1]:5678, 10.0.0.1", "2001:db8::1"),
        ("2001:db8::1", "2001:db8::1"),
        ("10.0.0.8, 10.0.0.9", "10.0.0.8"),  # a user within the proxies' own network
        ("1.2.3.4, unknown", ""),  # nothing before what is no address is believed
        ("1.2.3.4, <script>, 10.0.0.9", "10.0.0.9"),
        ("1.2.3.4, ", "1.2.3.4"),
        (", ,", ""),
    ],
)
def test_only_addresses_are_taken_for_a_users(forwarded, user):
    header = (b"x-forwarded-for", forwarded.encode())
    assert peer_of(scope_from("10.1.2.3", header), PROXIES).user_address == user


@given(st.text(alphabet=st.characters(max_codepoint=255), max_size=60))
def test_no_forwarded_header_is_more_than_an_address(forwarded):
    header = (b"x-forwarded-for", forwarded.encode("latin-1"))
    address = peer_of(scope_from("10.1.2.3", header), PROXIES).user_address
    assert not address or ip_address(address)


def test_the_host_is_what_the_user_calls_us():
    headers = ((b"host", b"inner:8080"), (b"x-forwarded-host", b"a.example, outer.example"))
    assert peer_of(scope_from("9.9.9.9", *headers), PROXIES).host == "inner:8080"
    assert peer_of(scope_from("10.1.2.3", *headers), PROXIES).host == "outer.example"
    assert peer_of(scope_from("10.1.2.3", headers[0]), PROXIES).host == "inner:8080"


@pytest.mark.parametrize(
    ("sent", "name"),
    [
        ("", ""),
        ("report.pdf", "report.pdf"),
        ("r%C3%A9sum%C3%A9%20%232.pdf", "résumé #2.pdf"),
        ("100%25.txt", "100%25.txt"),  # decoded once more by the pages of the existing system
        ("100%25%20sure.txt", "100%25%20sure.txt"),
        ("a%2520b", "a%2520b"),
        ("100%.txt", "100%.txt"),
        ("50%off.txt", "50%off.txt"),
        ("%41%42.txt", "%41%42.txt"),  # no encoder writes an A like that
        ("caf%E9.txt", "caf%E9.txt"),  # no UTF-8
        ("é%20.txt", "é%20.txt"),
        ("UTF-8''%e2%82%ac%20rates", "€ rates"),
        ("iso-8859-1'en'%A3%20rates", "£ rates"),
        ("it's", "it's"),
    ],
)
def test_a_name_is_read_as_its_sender_meant_it(sent, name):
    assert name_in({"Metadata-Name": sent}) == name


def test_a_file_without_a_name_has_an_empty_one():
    assert name_in({"Metadata-Foo": "x"}) == ""


@pytest.mark.parametrize("sent", ["a%00b", "a%0D%0Ab", "UTF-8''a%0Ab", "UTF-8''%ff"])
def test_a_name_that_hides_what_no_name_has_is_refused(sent):
    with pytest.raises(InvalidRequest, match="Metadata-"):
        name_in({"Metadata-Name": sent})


def test_an_extended_header_takes_the_place_of_the_plain_one():
    sent = [
        (b"metadata-name*", b"UTF-8''%e2%82%ac.txt"),
        (b"metadata-name", b"EUR.txt"),
        (b"metadata-note*", b"utf-8'fr'%C3%A9"),
    ]
    metadata = metadata_from_headers(sent)
    assert metadata == {"Metadata-Name": "€.txt", "Metadata-Note": "é"}


@pytest.mark.parametrize(
    "value", [b"euro", b"UTF-16''x", b"UTF-8''%zz", b"UTF-8''%ff", b"UTF-8''%00"]
)
def test_an_extended_header_that_is_none_is_refused(value):
    with pytest.raises(InvalidRequest, match="Metadata-"):
        metadata_from_headers([(b"metadata-name*", value)])


def test_more_metadata_than_a_packet_should_carry_is_refused():
    with pytest.raises(InvalidRequest, match="65536 is the most"):
        metadata_from_headers([(b"metadata-%d" % i, b"x" * 4096) for i in range(17)])
