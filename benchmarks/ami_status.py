"""Reading the status of 10,000 contacts: our client against a bare asyncio AMI parser, over the loopback.

Both get the same bytes, in the format that Asterisk 22.10.1 was recorded to send, from the same server, and
turn them into what a status table needs. Asterisk's own time for the list is not in it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from multiprocessing import Pipe, get_context
from multiprocessing.connection import Connection

from benchmarks.measure import Row, Run
from provisioner.ami import Client, Contacts
from provisioner.secret import Secret
from provisioner.settings import NodeSettings

CONTACTS = 10_000
ROUNDS = 9

CONTACT = """Event: ContactList\r
ActionID: @ID@\r
ObjectType: contact\r
ObjectName: {number};@57544f93de70a5d912caae5994ecc220\r
ViaAddr: 127.0.0.1\r
QualifyTimeout: 3.000000\r
Qualify2xxOnly: false\r
CallId: e567ae120dd6\r
RegServer: \r
PruneOnBoot: no\r
Path: \r
Endpoint: {number}\r
ViaPort: 23524\r
AuthenticateQualify: no\r
Uri: sip:{number}@127.0.0.1:23524\r
QualifyFrequency: 60\r
UserAgent: {agent}\r
ExpirationTime: 1795328058\r
OutboundProxy: \r
Status: Reachable\r
RoundtripUsec: 1097\r
\r
"""
START = "Response: Success\r\nActionID: @ID@\r\nEventList: start\r\nMessage: Contacts follow\r\n\r\n"
END = f"Event: ContactListComplete\r\nActionID: @ID@\r\nEventList: Complete\r\nListItems: {CONTACTS}\r\n\r\n"


class BareParser(asyncio.Protocol):
    """The rival: the least code that logs in, asks, and splits the answer into mappings."""

    def __init__(self) -> None:
        self.rest = b""
        self.contacts: list[dict[str, str]] = []
        self.done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        transport.write(b"Action: Login\r\nActionID: 1\r\nUsername: u\r\nSecret: s\r\nEvents: off\r\n\r\n")
        transport.write(b"Action: PJSIPShowContacts\r\nActionID: 2\r\n\r\n")

    def data_received(self, data: bytes) -> None:
        *frames, self.rest = (self.rest + data).split(b"\r\n\r\n")
        for frame in frames:
            message = {}
            for line in frame.decode().split("\r\n"):
                name, _, value = line.partition(": ")
                message[name] = value
            event = message.get("Event")
            if event == "ContactList":
                self.contacts.append(message)
            elif event == "ContactListComplete":
                self.done.set_result(None)


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, body: bytes) -> None:
    writer.write(b"Asterisk Call Manager/11.0.0\r\n")
    try:
        while True:
            frame = (await reader.readuntil(b"\r\n\r\n")).decode()
            headers = dict(line.split(": ", 1) for line in frame.strip().split("\r\n"))
            id = headers["ActionID"].encode()
            if headers["Action"] == "Login":
                writer.write(b"Response: Success\r\nActionID: " + id + b"\r\n\r\n")
            else:
                writer.write(body.replace(b"@ID@", id))
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def _rival(port: int) -> int:
    transport, parser = await asyncio.get_running_loop().create_connection(BareParser, "127.0.0.1", port)
    await parser.done
    transport.close()
    return len(parser.contacts)


async def _ours(port: int) -> int:
    node = NodeSettings(name="bench", port=port, secret=Secret("s"))
    async with Client(node) as client:
        return len(await client.call(Contacts()))


async def _timed(work: Callable[[int], Awaitable[int]], port: int) -> float:
    start = time.perf_counter()
    count = await work(port)
    if count != CONTACTS:
        raise RuntimeError(f"{count} contacts instead of {CONTACTS}")
    return time.perf_counter() - start


async def _serve_all(pipe: Connection) -> None:
    agents = ["Yealink SIP-T46U 108.86.0.20"] * 99 + ["Żółw 📞/1"]
    contacts = [CONTACT.format(number=7000 + index, agent=agents[index % 100]) for index in range(CONTACTS)]
    body = (START + "".join(contacts) + END).encode()
    server = await asyncio.start_server(lambda reader, writer: _serve(reader, writer, body), "127.0.0.1", 0)
    pipe.send(server.sockets[0].getsockname()[1])
    await server.serve_forever()


def _node(pipe: Connection) -> None:
    asyncio.run(_serve_all(pipe))


async def _measure(port: int) -> tuple[float, float]:
    ours, rival = [], []
    for _ in range(
        ROUNDS
    ):  # in turn, so that both see the same machine; the best of each, so that it is quiet
        rival.append(await _timed(_rival, port))
        ours.append(await _timed(_ours, port))
    return min(ours), min(rival)


def run() -> list[Row]:
    """Measure once, a few seconds; the node is a process of its own."""
    mine, its = Pipe()
    node = get_context("spawn").Process(target=_node, args=(its,), daemon=True)
    node.start()
    try:
        ours, rival = asyncio.run(_measure(mine.recv()))
    finally:
        node.terminate()
        node.join()
    name = f"status of {CONTACTS:,} contacts"
    return [Row(name, Run(ours), "a bare asyncio AMI parser", Run(rival), target=2.0)]
