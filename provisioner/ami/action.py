"""What a typed action is: headers to send, and what the answer means."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import ClassVar, Generic, TypeVar

from provisioner.ami.wire import Frame, Reply

T_co = TypeVar("T_co", covariant=True)


class Refused(Exception):
    """The node said no; the client makes an error of it that names the node."""


class Action(ABC, Generic[T_co]):
    """One AMI action as a frozen value: ``headers`` builds it, ``parse`` reads its answer."""

    name: ClassVar[str]
    ami_class: ClassVar[str] = "system"
    """The class of manager.conf's ``write=`` that it needs, as PermissionMissing names it (22.10.1)."""
    patience: ClassVar[float] = 1.0
    """How many times the node's action timeout it may take."""

    def headers(self) -> Mapping[str, str]:
        """The headers besides Action and ActionID."""
        return {}

    def event_reader(self) -> Callable[[Frame], object] | None:
        """For lists of thousands: what makes a value of each event as it comes; frames are not kept."""
        return None

    @abstractmethod
    def parse(self, reply: Reply) -> T_co:
        """What the answer means; raises Refused for an error that it does not expect."""

    def __str__(self) -> str:
        subject = " ".join(self.headers().values())
        return f"{self.name} {subject[:80]}".rstrip()


def expect_success(reply: Reply) -> Reply:
    """The same reply; raises Refused with the node's own message where it is an error."""
    if not reply.ok:
        raise Refused(reply.message or "no reason given")
    return reply
