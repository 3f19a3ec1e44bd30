"""What leaves for a node, without a network."""

from __future__ import annotations

import asyncio

import pytest

from provisioner.ami.protocol import Broken, Exchange, NodeProtocol


class Pipe(asyncio.Transport):
    """Keeps what is written to it."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.aborted = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written.append(bytes(data))

    def is_closing(self) -> bool:
        return self.aborted

    def abort(self) -> None:
        self.aborted = True


def test_what_is_asked_for_in_one_round_of_the_loop_leaves_in_one_piece() -> None:
    pipe = Pipe()

    async def main() -> None:
        protocol = NodeProtocol()
        protocol.connection_made(pipe)
        for _ in range(3):
            protocol.send(Exchange({"Action": "Ping"}))
        await asyncio.sleep(0)
        protocol.send(Exchange({"Action": "CoreStatus"}))
        await asyncio.sleep(0)

    asyncio.run(main())
    assert [data.count(b"Action: Ping\r\n") for data in pipe.written] == [3, 0]
    assert pipe.written[1].startswith(b"Action: CoreStatus\r\n")
    assert pipe.written[1].endswith(b"\r\n\r\n")


def test_nothing_leaves_on_a_connection_that_was_lost_meanwhile() -> None:
    pipe = Pipe()

    async def main() -> None:
        protocol = NodeProtocol()
        protocol.connection_made(pipe)
        future = protocol.send(Exchange({"Action": "Ping"}))
        protocol.fail("it broke")
        with pytest.raises(Broken, match="it broke"):
            await future

    asyncio.run(main())
    assert pipe.written == []
