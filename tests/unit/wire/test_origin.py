from __future__ import annotations

import pytest

from argosy.errors import InputError
from argosy.wire.origin import Origin, proxy_for, split_url


@pytest.mark.parametrize(
    ("url", "origin", "path"),
    [
        ("http://127.0.0.1:9001/v1", Origin("http", "127.0.0.1", 9001), "/v1"),
        ("https://api.example.com", Origin("https", "api.example.com", 443), ""),
        ("http://Example.COM/v1?a=b", Origin("http", "example.com", 80), "/v1?a=b"),
        ("http://[::1]:8000/", Origin("http", "::1", 8000), "/"),
        ("http://bücher.example/v1", Origin("http", "xn--bcher-kva.example", 80), "/v1"),
        ("http://a/模 型/v1%2F", Origin("http", "a", 80), "/%E6%A8%A1%20%E5%9E%8B/v1%2F"),
    ],
)
def test_a_url_is_an_origin_and_a_path_as_the_wire_wants_them(url: str, origin: Origin, path: str) -> None:
    assert split_url(url) == (origin, path)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost:8000",
        "ftp://a/",
        "http://",
        "http://a:port/",
        "http://a:99999",
        "http://a..b",
        "http://" + "a" * 64,
    ],
)
def test_what_is_no_url_is_named(url: str) -> None:
    with pytest.raises(InputError) as told:
        split_url(url)
    assert repr(url) in str(told.value)


@pytest.mark.parametrize(
    ("origin", "authority"),
    [
        (Origin("http", "a", 80), "a"),
        (Origin("https", "a", 443), "a"),
        (Origin("http", "a", 443), "a:443"),
        (Origin("https", "::1", 8443), "[::1]:8443"),
        (Origin("http", "::1", 80), "[::1]"),
    ],
)
def test_the_authority_is_what_the_host_header_wants(origin: Origin, authority: str) -> None:
    assert origin.authority == authority


HTTP, HTTPS = Origin("http", "api.example.com", 80), Origin("https", "api.example.com", 443)
PROXY = Origin("http", "proxy", 3128)


@pytest.mark.parametrize(
    ("origin", "variables", "proxy"),
    [
        (HTTP, {}, None),
        (HTTP, {"http_proxy": "http://proxy:3128"}, PROXY),
        (HTTP, {"http_proxy": "proxy:3128"}, PROXY),
        (HTTP, {"https_proxy": "http://proxy:3128"}, None),
        (HTTP, {"HTTP_PROXY": "http://proxy:3128"}, None),  # httpoxy
        (HTTPS, {"HTTPS_PROXY": "http://proxy:3128/"}, PROXY),
        (HTTPS, {"https_proxy": "http://proxy:3128", "HTTPS_PROXY": "http://other:1"}, PROXY),
        (HTTPS, {"http_proxy": "http://proxy:3128"}, None),
        (HTTP, {"all_proxy": "http://proxy:3128"}, PROXY),
        (HTTPS, {"ALL_PROXY": "http://proxy:3128"}, PROXY),
        (HTTPS, {"all_proxy": "http://other:1", "https_proxy": "http://proxy:3128"}, PROXY),
        (HTTP, {"all_proxy": "http://proxy:3128", "no_proxy": "*"}, None),
        (HTTP, {"all_proxy": "http://proxy:3128", "no_proxy": "localhost, example.com"}, None),
        (HTTP, {"all_proxy": "http://proxy:3128", "NO_PROXY": ".example.com"}, None),
        (HTTP, {"all_proxy": "http://proxy:3128", "no_proxy": "API.example.com"}, None),
        (HTTP, {"all_proxy": "http://proxy:3128", "no_proxy": "ample.com"}, PROXY),
        (HTTP, {"all_proxy": "http://proxy:3128", "no_proxy": ""}, PROXY),
    ],
)
def test_the_proxy_is_the_one_that_curl_would_take(
    origin: Origin, variables: dict[str, str], proxy: Origin | None
) -> None:
    assert proxy_for(origin, variables) == proxy


@pytest.mark.parametrize("url", ["socks5://127.0.0.1:1080", "https://proxy:3128"])
def test_a_proxy_of_another_kind_is_refused_in_a_sentence(url: str) -> None:
    with pytest.raises(InputError, match="only http:// is supported"):
        proxy_for(HTTP, {"all_proxy": url})
