"""Typed actions that show endpoints, device states and contacts: who is registered."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import ClassVar, NamedTuple

from provisioner.ami.action import Action, Refused, expect_success
from provisioner.ami.held import Held, held
from provisioner.ami.wire import Frame, Reply


class DeviceState(StrEnum):
    """The state that hints and queues see."""

    UNKNOWN = "unknown"
    NOT_INUSE = "not in use"
    INUSE = "in use"
    BUSY = "busy"
    INVALID = "invalid"
    UNAVAILABLE = "unavailable"
    RINGING = "ringing"
    RINGINUSE = "ring+in use"
    ONHOLD = "on hold"

    @property
    def usable(self) -> bool:
        """Whether a queue or hint would ring it, now or when it is free again."""
        return self not in (DeviceState.UNKNOWN, DeviceState.INVALID, DeviceState.UNAVAILABLE)

    @classmethod
    def read(cls, text: str) -> DeviceState:
        """From either spelling of AMI: ``NOT_INUSE`` of lists of states, ``Not in use`` of endpoints."""
        try:
            return cls[text] if text in cls.__members__ else cls(text.lower())
        except ValueError:
            return cls.UNKNOWN


class Contact(NamedTuple):
    """A registered device of an AOR. A tuple, because a node may hold 10,000 of them.

    ``status`` is Asterisk's word: Reachable, Unreachable, NonQualified, Unknown. ``roundtrip_us`` is in
    microseconds, None before the first answered OPTIONS; ``expires_at`` in seconds since 1970, None for a
    contact of a configuration file.
    """

    aor: str
    id: str
    uri: str
    user_agent: str
    status: str
    roundtrip_us: int | None
    expires_at: int | None


def _number(text: str) -> int | None:
    return int(text) if text.isdecimal() else None


def _listed(frame: Frame) -> Contact:
    id = frame.get("ObjectName", "")
    return Contact(
        id.partition(";@")[0],
        id,
        frame.get("Uri", ""),
        frame.get("UserAgent", ""),
        frame.get("Status", ""),
        _number(frame.get("RoundtripUsec", "")),
        _number(frame.get("ExpirationTime", "")),
    )


@dataclass(frozen=True, slots=True)
class Contacts(Action[tuple[Contact, ...]]):
    """All contacts of the node, also expired ones that the sweep has yet to remove.

    Takes 1.2 to 1.6 s of Asterisk's time for 10,000 in astdb (22.10.1).
    """

    name: ClassVar[str] = "PJSIPShowContacts"

    def event_reader(self) -> Callable[[Frame], Contact]:
        return _listed

    def parse(self, reply: Reply) -> tuple[Contact, ...]:
        if reply.message == "No Contacts found":
            return ()
        return tuple(expect_success(reply).events)


@dataclass(frozen=True, slots=True)
class DeviceStates(Action[Mapping[str, DeviceState]]):
    """The device state of each endpoint that ever had one.

    An endpoint that did not register since the node started, or that is ``Unavailable`` since, is not in it.
    """

    name: ClassVar[str] = "DeviceStateList"
    ami_class: ClassVar[str] = "reporting"

    def parse(self, reply: Reply) -> Mapping[str, DeviceState]:
        states = {}
        for event in expect_success(reply).events:
            technology, _, id = event.get("Device", "").partition("/")
            if technology == "PJSIP":
                states[id] = DeviceState.read(event.get("State", ""))
        return states


@dataclass(frozen=True, slots=True)
class EndpointState:
    """An endpoint as a node holds it now.

    ``held`` are the columns that we write, for comparing with rows; those of secrets and digests are Secrets.
    ``auths`` are the auth objects that it names and that could be loaded; an endpoint that names one which
    is missing answers every request with an error. ``aors`` likewise.
    """

    id: str
    device_state: DeviceState
    context: str
    transport: str
    callerid: str
    codecs: tuple[str, ...]
    active_channels: int
    named_auths: tuple[str, ...]
    auths: tuple[str, ...]
    named_aors: tuple[str, ...]
    aors: tuple[str, ...]
    max_contacts: int | None
    remove_existing: bool | None
    qualify_frequency: int | None
    contacts: tuple[Contact, ...]
    held: Held = field(default_factory=dict, repr=False)


def _words(text: str) -> tuple[str, ...]:
    return tuple(word for word in re.split(r"[,|]", text.strip("()")) if word and word != "nothing")


def _detailed(frame: Frame) -> Contact:
    return Contact(
        frame.get("AOR", ""),
        frame.get("ID", ""),
        frame.get("URI", ""),
        frame.get("UserAgent", ""),
        frame.get("Status", ""),
        _number(frame.get("RoundtripUsec", "")),
        _number(frame.get("RegExpire", "")),
    )


@dataclass(frozen=True, slots=True)
class ShowEndpoint(Action[EndpointState | None]):
    """One endpoint with its AORs and contacts; None where the node has none of that id, or cannot load it.

    A row with one bad value, such as an unknown codec, cannot be loaded. Expired contacts of the endpoint
    are removed by this very look (measured on 22.10.1: at once, with their events and the device state).
    """

    endpoint_id: str
    name: ClassVar[str] = "PJSIPShowEndpoint"

    def headers(self) -> Mapping[str, str]:
        return {"Endpoint": self.endpoint_id}

    def parse(self, reply: Reply) -> EndpointState | None:
        if not reply.ok and reply.message.startswith("Unable to retrieve endpoint"):
            return None
        expect_success(reply)
        parts: dict[str, list[Frame]] = {}
        for event in reply.events:
            parts.setdefault(event.get("Event", ""), []).append(event)
        if "EndpointDetail" not in parts:
            raise Refused("the answer has no EndpointDetail")
        return _endpoint(parts["EndpointDetail"][0], parts)


def _endpoint(detail: Frame, parts: Mapping[str, Sequence[Frame]]) -> EndpointState:
    aors = parts.get("AorDetail", ())
    aor: Frame = aors[0] if aors else {}
    existing = aor.get("RemoveExisting")
    return EndpointState(
        id=detail.get("ObjectName", ""),
        device_state=DeviceState.read(detail.get("DeviceState", "")),
        context=detail.get("Context", ""),
        transport=detail.get("Transport", ""),
        callerid=detail.get("Callerid", ""),
        codecs=_words(detail.get("Allow", "")),
        active_channels=_number(detail.get("ActiveChannels", "")) or 0,
        named_auths=_words(detail.get("Auth", "")),
        auths=tuple(auth.get("ObjectName", "") for auth in parts.get("AuthDetail", ())),
        named_aors=_words(detail.get("Aors", "")),
        aors=tuple(each.get("ObjectName", "") for each in aors),
        max_contacts=_number(aor.get("MaxContacts", "")),
        remove_existing=None if existing is None else existing in ("true", "yes"),
        qualify_frequency=_number(aor.get("QualifyFrequency", "")),
        contacts=tuple(_detailed(each) for each in parts.get("ContactStatusDetail", ())),
        held=held(detail.get("ObjectName", ""), parts),
    )
