"""What each node answered; ``error`` is one sentence that names the node, None where all went well."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from provisioner.ami.delivery import Delivery
from provisioner.ami.registrations import Contact, DeviceState, EndpointState


@dataclass(frozen=True, slots=True)
class NodeResult:
    """What became of a node's orders; ``details`` is None after an error."""

    node: str
    error: str | None = None
    details: Delivery | None = None

    @property
    def ok(self) -> bool:
        """Whether every order was carried out."""
        return self.error is None


@dataclass(frozen=True, slots=True)
class ReloadResult:
    """``did`` says what was done and why, in words; ``expired`` counts objects, where they were named."""

    node: str
    did: str = ""
    expired: int = 0
    error: str | None = None

    @property
    def ok(self) -> bool:
        """Whether the node reads the rows again from now on."""
        return self.error is None


@dataclass(frozen=True, slots=True)
class ReadBack:
    """Endpoints as the node holds them, by id; None for one that it does not have or cannot load."""

    node: str
    endpoints: Mapping[str, EndpointState | None] = field(default_factory=dict)
    error: str | None = None

    @property
    def ok(self) -> bool:
        """Whether the node answered."""
        return self.error is None


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """Who is registered on a node; ``states`` has each endpoint that was asked for, or that has a state."""

    node: str
    contacts: tuple[Contact, ...] = ()
    states: Mapping[str, DeviceState] = field(default_factory=dict)
    error: str | None = None

    @property
    def ok(self) -> bool:
        """Whether the node answered."""
        return self.error is None

    def state(self, endpoint_id: str) -> DeviceState:
        """Its device state; one that never registered since the node started is unavailable."""
        return self.states.get(endpoint_id, DeviceState.UNAVAILABLE)


@dataclass(frozen=True, slots=True)
class Right:
    """Whether an action may be used; ``problem`` says what is missing, None where nothing is."""

    action: str
    ami_class: str
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class NodeCheck:
    """What a node is: ``caches`` are the object types that it caches, ``modules`` those asked about."""

    node: str
    version: str = ""
    started: str = ""
    caches: frozenset[str] = frozenset()
    rights: tuple[Right, ...] = ()
    modules: Mapping[str, bool] = field(default_factory=dict)
    error: str | None = None

    @property
    def ok(self) -> bool:
        """Whether the node answered; what it lacks is in ``rights`` and ``modules``."""
        return self.error is None

    @property
    def missing_rights(self) -> tuple[Right, ...]:
        """The rights with a problem."""
        return tuple(right for right in self.rights if right.problem)
