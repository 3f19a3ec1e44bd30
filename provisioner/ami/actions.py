"""Typed actions on a node: caches, modules, maintenance, versions; messages as in Asterisk 22.10.1."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from provisioner.ami.action import Action, Refused, expect_success
from provisioner.ami.wire import Reply

CACHED_TYPES = ("endpoint", "auth", "aor")
"""The object types of res_pjsip that provisioner writes, and that a node may cache."""


class Expired(StrEnum):
    """What became of an object in a node's cache."""

    EXPIRED = "expired"
    NOT_CACHED = "not cached"
    NO_CACHE = "no cache"


_NO_CACHE = ("The provided cache does not exist", "Invalid/unknown command")


def _expired(reply: Reply, not_cached: str | None = None) -> Expired:
    if reply.ok:
        return Expired.EXPIRED
    # Without res_sorcery_memory_cache.so the action itself is unknown, and nothing can be cached.
    if reply.message.startswith(_NO_CACHE):
        return Expired.NO_CACHE
    if reply.message == not_cached:
        return Expired.NOT_CACHED
    raise Refused(reply.message)


@dataclass(frozen=True, slots=True)
class ExpireObject(Action[Expired]):
    """Drop one object of type endpoint, auth or aor from its cache, so that its row is read again on use."""

    type: str
    id: str
    name: ClassVar[str] = "SorceryMemoryCacheExpireObject"

    def headers(self) -> Mapping[str, str]:
        return {"Cache": f"res_pjsip/{self.type}", "Object": self.id}

    def parse(self, reply: Reply) -> Expired:
        return _expired(reply, "The provided object could not be expired from the cache")


@dataclass(frozen=True, slots=True)
class ExpireCache(Action[Expired]):
    """Drop all objects of a type from its cache; SIP waits meanwhile, see :mod:`provisioner.ami.cost`."""

    type: str
    name: ClassVar[str] = "SorceryMemoryCacheExpire"
    patience: ClassVar[float] = 6.0

    def headers(self) -> Mapping[str, str]:
        return {"Cache": f"res_pjsip/{self.type}"}

    def parse(self, reply: Reply) -> Expired:
        return _expired(reply)


@dataclass(frozen=True, slots=True)
class MarkStale(Action[bool]):
    """Mark all cached objects of a type as stale; False where there is no such cache or action.

    The node walks over all of them, without keeping SIP waiting, so the time it takes tells how many there
    are, which AMI tells in no other way. Where sorcery.conf sets no object_lifetime_stale, as ours, it only
    makes their lifetime a second shorter; elsewhere each is read again behind its next use (22.10.1).
    """

    type: str
    name: ClassVar[str] = "SorceryMemoryCacheStale"

    def headers(self) -> Mapping[str, str]:
        return {"Cache": f"res_pjsip/{self.type}"}

    def parse(self, reply: Reply) -> bool:
        return _expired(reply) is Expired.EXPIRED


@dataclass(frozen=True, slots=True)
class ReloadModule(Action[None]):
    """Reload a module; of res_pjsip.so it takes seconds where there are thousands of endpoints."""

    module: str = "res_pjsip.so"
    name: ClassVar[str] = "Reload"
    ami_class: ClassVar[str] = "system (or config)"
    patience: ClassVar[float] = 6.0

    def headers(self) -> Mapping[str, str]:
        return {"Module": self.module}

    def parse(self, reply: Reply) -> None:
        expect_success(reply)


class Maintenance(StrEnum):
    """The answer to SetMaintenance."""

    SET = "set"
    NO_ENDPOINT = "no endpoint"
    UNSUPPORTED = "unsupported"


@dataclass(frozen=True, slots=True)
class SetMaintenance(Action[Maintenance]):
    """Refuse an endpoint's new requests with 503, or no more (Asterisk 20.20, 22.10, 23.4 and later).

    The flag is kept in memory by *name*: both on and off need an endpoint that exists, so one that is deleted
    while on cannot be switched off, and comes back as 503.
    """

    endpoint_id: str
    on: bool
    name: ClassVar[str] = "PJSIPSetMaintenance"

    def headers(self) -> Mapping[str, str]:
        return {"Endpoint": self.endpoint_id, "State": "on" if self.on else "off"}

    def parse(self, reply: Reply) -> Maintenance:
        if reply.ok:
            return Maintenance.SET
        if reply.message.startswith("Invalid/unknown command"):
            return Maintenance.UNSUPPORTED
        if reply.message.endswith("not found"):
            return Maintenance.NO_ENDPOINT
        raise Refused(reply.message)


@dataclass(frozen=True, slots=True)
class Qualify(Action[bool]):
    """Send OPTIONS to every contact of an endpoint now; False where the node knows no such endpoint."""

    endpoint_id: str
    name: ClassVar[str] = "PJSIPQualify"
    ami_class: ClassVar[str] = "system (or reporting)"

    def headers(self) -> Mapping[str, str]:
        return {"Endpoint": self.endpoint_id}

    def parse(self, reply: Reply) -> bool:
        if reply.message == "Unable to retrieve endpoint":
            return False
        return expect_success(reply).ok


@dataclass(frozen=True, slots=True)
class Ping(Action[None]):
    """Ask whether anybody is there; needs no class."""

    name: ClassVar[str] = "Ping"
    ami_class: ClassVar[str] = "no class"

    def parse(self, reply: Reply) -> None:
        if expect_success(reply).head.get("Ping") != "Pong":
            raise Refused("the answer was no Pong")


@dataclass(frozen=True, slots=True)
class CoreVersion(Action[str]):
    """The version of Asterisk, such as ``22.10.1``."""

    name: ClassVar[str] = "CoreSettings"
    ami_class: ClassVar[str] = "system (or reporting)"

    def parse(self, reply: Reply) -> str:
        return expect_success(reply).head.get("AsteriskVersion", "")


@dataclass(frozen=True, slots=True)
class StartTimes:
    """When a node started and was last reloaded, in its own local time: ``2026-11-22 05:37:39``."""

    started: str
    reloaded: str


@dataclass(frozen=True, slots=True)
class CoreStatus(Action[StartTimes]):
    """Start and reload times; a changed start means that all that was in memory is gone."""

    name: ClassVar[str] = "CoreStatus"
    ami_class: ClassVar[str] = "system (or reporting)"

    def parse(self, reply: Reply) -> StartTimes:
        head = expect_success(reply).head
        return StartTimes(
            *(
                f"{head.get(f'Core{what}Date', '')} {head.get(f'Core{what}Time', '')}"
                for what in ("Startup", "Reload")
            )
        )


@dataclass(frozen=True, slots=True)
class ModuleLoaded(Action[bool]):
    """Whether a module is loaded; its name with or without ``.so``."""

    module: str
    name: ClassVar[str] = "ModuleCheck"

    def headers(self) -> Mapping[str, str]:
        return {"Module": self.module}

    def parse(self, reply: Reply) -> bool:
        if reply.message == "Module not loaded":
            return False
        return expect_success(reply).ok


@dataclass(frozen=True, slots=True)
class AllowedActions(Action[frozenset[str]]):
    """The actions that this AMI user may use on this node: known there, and of a class that it has."""

    name: ClassVar[str] = "ListCommands"
    ami_class: ClassVar[str] = "no class"

    def parse(self, reply: Reply) -> frozenset[str]:
        return frozenset(expect_success(reply).head) - {"Response", "ActionID"}
