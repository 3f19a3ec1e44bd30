"""The rival that most projects have written: a loop over the file, an object for each row, one commit.

``python -m benchmarks.orm URL FILE`` fills ps_endpoints, ps_auths and ps_aors as such a loop does:
``session.get`` of each object, a new one where there is none, its fields set, and ``session.commit`` when all
are done (a commit for each user would be slower still). It has no records, history or digests, and checks
nothing.
"""

from __future__ import annotations

import csv
import secrets
import sys
from pathlib import Path
from typing import TypeVar

from sqlalchemy import create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column


class _Base(DeclarativeBase):
    pass


class _Endpoint(_Base):
    __tablename__ = "ps_endpoints"

    id: Mapped[str] = mapped_column(primary_key=True)
    aors: Mapped[str | None]
    auth: Mapped[str | None]
    context: Mapped[str | None]
    disallow: Mapped[str | None]
    allow: Mapped[str | None]
    callerid: Mapped[str | None]
    language: Mapped[str | None]
    identify_by: Mapped[str | None]
    direct_media: Mapped[str | None]
    rewrite_contact: Mapped[str | None]
    force_rport: Mapped[str | None]
    rtp_symmetric: Mapped[str | None]
    dtmf_mode: Mapped[str | None]
    device_state_busy_at: Mapped[int | None]


class _Auth(_Base):
    __tablename__ = "ps_auths"

    id: Mapped[str] = mapped_column(primary_key=True)
    auth_type: Mapped[str | None]
    username: Mapped[str | None]
    password: Mapped[str | None]


class _Aor(_Base):
    __tablename__ = "ps_aors"

    id: Mapped[str] = mapped_column(primary_key=True)
    max_contacts: Mapped[int | None]
    remove_existing: Mapped[str | None]
    remove_unavailable: Mapped[str | None]
    qualify_frequency: Mapped[int | None]
    minimum_expiration: Mapped[int | None]
    default_expiration: Mapped[int | None]
    maximum_expiration: Mapped[int | None]


_T = TypeVar("_T", _Endpoint, _Auth, _Aor)


def _found(session: Session, kind: type[_T], id: str) -> _T:
    found = session.get(kind, id)
    if found is None:
        found = kind(id=id)
        session.add(found)
    return found


def load(session: Session, path: Path) -> None:
    """Every row of the file, one after the other."""
    with path.open(encoding="utf-8", newline="") as file:
        for person in csv.DictReader(file):
            id, lines = person["number"], int(person["lines"])
            auth = _found(session, _Auth, id)
            auth.auth_type, auth.username = "userpass", id
            auth.password = auth.password or secrets.token_urlsafe(18)
            aor = _found(session, _Aor, id)
            aor.max_contacts = lines
            aor.remove_existing = aor.remove_unavailable = "yes"
            aor.qualify_frequency = aor.minimum_expiration = 60
            aor.default_expiration, aor.maximum_expiration = 3600, 7200
            endpoint = _found(session, _Endpoint, id)
            endpoint.aors = endpoint.auth = id
            endpoint.context, endpoint.language = "users", "en"
            endpoint.disallow, endpoint.allow = "all", "alaw,ulaw,g722"
            endpoint.callerid = f'"{person["name"]}" <{id}>'
            endpoint.identify_by, endpoint.dtmf_mode, endpoint.direct_media = "username", "auto", "no"
            endpoint.rewrite_contact = endpoint.force_rport = endpoint.rtp_symmetric = "yes"
            endpoint.device_state_busy_at = lines
    session.commit()


if __name__ == "__main__":
    url, file = sys.argv[1:]
    with Session(create_engine(url.replace("postgresql:", "postgresql+psycopg:", 1))) as session:
        load(session, Path(file))
