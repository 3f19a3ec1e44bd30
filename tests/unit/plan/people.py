"""Changes of users as hypothesis makes them, and by hand."""

from collections.abc import Iterator
from dataclasses import replace

from hypothesis import strategies as st

from provisioner.plan import NodeOrder, UserChange, UserPlan, Verb, effects_of
from provisioner.records import Extension, IssuedSecret, Kind, User, endpoint_id
from provisioner.secret import Secret
from tests.unit.realtime.people import COLUMNS, Options, credentials

SECRETS = ("first-s3cret", "second-s3cret", "third-s3cret")

Orders = tuple[NodeOrder, ...]


def part(
    number: str = "7001",
    lines: int = 1,
    label: str | None = None,
    secret: str = SECRETS[0],
    kind: Kind = Kind.ADDITIONAL,
    plain: bool = False,
) -> Extension:
    """An extension; one with a label is an alias."""
    held = credentials(endpoint_id(number, label), secret, plain=plain)
    return Extension(number, Kind.ALIAS if label else kind, lines, held, label)


def person(
    login: str = "anna",
    *parts: Extension,
    name: str = "Anna Kowalska",
    active: bool = True,
    source: str | None = "office",
) -> User:
    """A user with these extensions, the first of them primary, or with number 7001."""
    first, *others = parts or (part(),)
    return User(login, name, None, active, (replace(first, kind=Kind.PRIMARY), *others), source)


def created(user: User) -> UserChange:
    """The user is new."""
    return UserChange(Verb.CREATE, None, user, None, issued(user))


def changed(before: User, after: User) -> UserChange:
    """The user becomes another."""
    return UserChange(Verb.UPDATE, before, after, 1)


def deleted(user: User) -> UserChange:
    """The user goes."""
    return UserChange(Verb.DELETE, user, None, 1)


def restored(before: User, after: User | None = None) -> UserChange:
    """The user comes back."""
    return UserChange(Verb.RESTORE, before, after or before, 1)


def issued(user: User) -> tuple[IssuedSecret, ...]:
    """Secrets that the user was given."""
    return tuple(IssuedSecret(id, Secret(SECRETS[0]), True) for id in user.endpoint_ids)


def told(plan: UserPlan) -> tuple[Orders, ...]:
    """What each change of a plan means on a node."""
    return tuple(effects_of(plan, Options(), COLUMNS))


def secrets_of(plan: UserPlan) -> Iterator[str]:
    """Every secret and digest that a plan holds."""
    yield from SECRETS
    for change in plan:
        for user in (change.before, change.after):
            for each in user.extensions if user else ():
                yield from (each.credentials.md5, each.credentials.sha256)


_HOSTILE = "\x1b[31m\r\n\u202e\u2028'\\\"<7001>Ж😀 "
_names = st.one_of(
    st.sampled_from(["Anna", "Иван", "x" * 300]), st.text(st.sampled_from(_HOSTILE), max_size=9)
)
_ids = st.sampled_from([("7001", None), ("7002", None), ("7001", "support"), ("7002", "door")])
_parts = st.lists(_ids, min_size=1, max_size=3, unique=True).flatmap(
    lambda ids: st.tuples(
        *(
            st.builds(
                part,
                st.just(number),
                st.integers(1, 3),
                st.just(label),
                st.sampled_from(SECRETS),
                plain=st.booleans(),
            )
            for number, label in ids
        )
    )
)


def users(login: str) -> st.SearchStrategy[User]:
    """Users of one login that differ in everything else."""
    return st.builds(
        lambda parts, name, email, active, source, webrtc: replace(
            person(login, *parts, name=name, active=active, source=source), email=email, webrtc=webrtc
        ),
        _parts,
        _names,
        st.sampled_from([None, "a@example.net", "b@example.net"]),
        st.booleans(),
        st.sampled_from([None, "office", "shop"]),
        st.booleans(),
    )


def _changes(login: str) -> st.SearchStrategy[UserChange]:
    return st.one_of(
        st.builds(created, users(login)),
        st.builds(changed, users(login), users(login)),
        st.builds(deleted, users(login)),
        st.builds(restored, users(login), users(login)),
    )


changes = _changes("anna")
plans = st.builds(
    lambda found, unchanged: UserPlan(tuple(found), "office", unchanged, len(found) + unchanged),
    st.lists(st.sampled_from(["anna", "żaneta", "Ольга"]), unique=True).flatmap(
        lambda logins: st.tuples(*map(_changes, logins))
    ),
    st.integers(0, 5),
)
