"""How long a user takes from the command line to being loadable on a real Asterisk."""

from __future__ import annotations

import statistics
import subprocess
import time

from benchmarks.measure import Row, Run
from provisioner.lab import Lab

ROUNDS = 9

BY_HAND = """\
BEGIN;
INSERT INTO ps_auths (id, auth_type, username, password) VALUES ('{id}', 'userpass', '{id}', 'x1y2z3x1y2z3');
INSERT INTO ps_aors (id, max_contacts) VALUES ('{id}', 1);
INSERT INTO ps_endpoints (id, aors, auth, context, disallow, allow)
VALUES ('{id}', '{id}', '{id}', 'users', 'all', 'alaw');
COMMIT;
"""


def run() -> list[Row]:
    """From the start of the process to the endpoint read back, records, audit and digests included.

    The rival is what an engineer does by hand: three INSERTs in psql, then `asterisk -rx`.
    """
    with Lab() as lab:
        url = lab.must("db", "url").strip()
        ours, hand = [], []
        for turn in range(ROUNDS):
            began = time.perf_counter()
            lab.must("user", "add", f"user{turn}", "--name", f"User {turn}")
            ours.append(time.perf_counter() - began)
            began = time.perf_counter()
            id = f"hand{turn}"
            subprocess.run(
                ["psql", "-q", "-v", "ON_ERROR_STOP=1", url],
                input=BY_HAND.format(id=id),
                text=True,
                check=True,
                capture_output=True,
            )
            assert f"Endpoint:  {id}" in lab.asterisk.rx(f"pjsip show endpoint {id}")
            hand.append(time.perf_counter() - began)
    return [
        Row(
            "user add, start to proof",
            Run(statistics.median(ours)),
            "psql INSERTs + asterisk -rx",
            Run(statistics.median(hand)),
        )
    ]
