"""A challenge is answered as the RFCs' own examples are."""

from provisioner.lab.digest import Challenge, read_challenge
from provisioner.secret import Secret

SECRET = Secret("Circle of Life")
NONCE = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v"
CLIENT = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"


def test_md5_and_sha_256_answer_as_in_rfc_7616() -> None:
    answers = {
        algorithm: Challenge("http-auth@example.org", NONCE, algorithm, qop=True).answer(
            "Mufasa", SECRET, "GET", "/dir/index.html", client_nonce=CLIENT
        )
        for algorithm in ("MD5", "SHA-256")
    }
    assert 'response="8ca523f5e9506fed4657c9700eebdbec"' in answers["MD5"]
    response = "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"
    assert f'response="{response}"' in answers["SHA-256"]
    assert "qop=auth, nc=00000001, cnonce=" in answers["MD5"]


def test_without_qop_the_answer_is_that_of_rfc_2069() -> None:
    # The example of RFC 2069 with the response of its erratum 749.
    challenge = Challenge("testrealm@host.com", "dcd98b7102dd2f0e8b11d0f600bfb0c093")
    answer = challenge.answer("Mufasa", Secret("CircleOfLife"), "GET", "/dir/index.html")
    assert 'response="1949323746fe6a43ef61f9606e7febea"' in answer
    assert "qop" not in answer
    assert "cnonce" not in answer


def test_of_several_challenges_the_first_that_we_know_is_answered() -> None:
    headers = [
        'Digest realm="pbx", nonce="1", algorithm=SHA-512-256, qop="auth"',
        'Digest realm="pbx", nonce="2", algorithm=SHA-256, qop="auth,auth-int", opaque="o"',
        'Digest realm="pbx", nonce="3", algorithm=MD5, qop="auth"',
    ]
    assert read_challenge(headers) == Challenge("pbx", "2", "SHA-256", qop=True, opaque="o")


def test_what_is_no_challenge_of_ours_is_none() -> None:
    assert read_challenge([]) is None
    assert read_challenge(['Basic realm="pbx"', 'Digest realm="pbx"']) is None
    assert read_challenge(['Digest realm="pbx", nonce="1", qop="auth-int"']) is None


def test_stale_is_read_and_commas_in_quotes_are_part_of_the_value() -> None:
    found = read_challenge(['Digest  realm="a, b" ,nonce="1",stale=TRUE,algorithm=md5'])
    assert found == Challenge("a, b", "1", stale=True)
