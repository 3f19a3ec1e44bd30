"""The type of a secret never gives the text away by accident."""

import copy
import json
import logging
import pickle

import pytest
from pydantic import BaseModel, ValidationError

from provisioner.secret import Secret

TEXT = "hunter2-hunter2"


class Holder(BaseModel):
    secret: Secret


def test_no_way_of_printing_shows_the_text(caplog: pytest.LogCaptureFixture) -> None:
    secret = Secret(TEXT)
    logging.getLogger("test").warning("%s %r", secret, {"secret": secret})
    shown = [
        str(secret), repr(secret), f"{secret}", f"{secret!r:>20}", str([secret]), caplog.text,
        ascii(secret), str(vars(Holder(secret=secret))),
    ]  # fmt: skip
    assert all("***" in text and TEXT not in text for text in shown)


def test_only_reveal_gives_the_text() -> None:
    assert Secret(TEXT).reveal() == TEXT


def test_secrets_of_the_same_text_are_equal_and_hash_alike() -> None:
    assert Secret(TEXT) == Secret(TEXT)
    assert hash(Secret(TEXT)) == hash(Secret(TEXT))
    assert Secret(TEXT) != Secret("other")
    assert Secret(TEXT) != TEXT
    assert Secret("\ud800") == Secret("\ud800")


def test_a_secret_cannot_be_pickled_or_written_as_json() -> None:
    with pytest.raises(TypeError):
        pickle.dumps(Secret(TEXT))
    with pytest.raises(TypeError):
        json.dumps(Secret(TEXT))


def test_a_secret_cannot_be_changed_and_is_its_own_copy() -> None:
    secret = Secret(TEXT)
    with pytest.raises(AttributeError):
        secret.other = 1
    assert copy.deepcopy(secret) is secret
    assert copy.copy(secret) is secret


def test_a_model_takes_a_text_and_writes_asterisks() -> None:
    holder = Holder.model_validate({"secret": TEXT})
    assert holder.secret.reveal() == TEXT
    assert Holder.model_validate_json(json.dumps({"secret": TEXT})) == holder
    assert TEXT not in holder.model_dump_json() + str(holder.model_dump()) + repr(holder)


def test_a_model_refuses_anything_but_a_text() -> None:
    with pytest.raises(ValidationError):
        Holder.model_validate({"secret": 12345})
    with pytest.raises(TypeError):
        Secret(12345)  # type: ignore[arg-type]


def test_an_empty_secret_is_still_a_secret_and_not_nothing() -> None:
    assert bool(Secret(""))
