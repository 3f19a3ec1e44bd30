"""The client against a scripted node: every fault ends in one error that names the node, and in time."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import pytest

from provisioner.ami.actions import Expired, ExpireObject, Ping, ReloadModule
from provisioner.ami.client import Backoff, Client
from provisioner.ami.registrations import Contacts, DeviceStates, ShowEndpoint
from provisioner.errors import (
    ActionRefused,
    ActionTimeout,
    ConnectionLost,
    LoginRefused,
    NodeError,
    NodeUnavailable,
    PermissionMissing,
    SettingsError,
    UnsupportedValue,
)
from provisioner.settings import NodeSettings
from tests.unit.ami.fake import (
    Drop,
    FakeNode,
    Headers,
    Pause,
    Step,
    answer,
    hangs_up,
    recorded,
    says,
    silent,
)

T = TypeVar("T")


def run(node: NodeSettings, work: Callable[[Client], Awaitable[T]], backoff: Backoff | None = None) -> T:
    async def main() -> T:
        async with Client(node, backoff) as client:
            return await work(client)

    return asyncio.run(main())


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def test_an_action_is_sent_after_a_login_without_events() -> None:
    with FakeNode({"PJSIPShowContacts": answer("contacts")}).running() as fake:
        contacts = run(fake.node(), lambda client: client.call(Contacts()))
    assert len(contacts) == 3
    assert fake.received[0]["Events"] == "off"
    assert fake.received[0]["Secret"] == "ami-secret"
    assert fake.actions() == ["PJSIPShowContacts"]


def test_a_wrong_secret_names_node_and_user_and_is_not_tried_again() -> None:
    refuse = says("Response: Error", "Message: Authentication failed")
    with FakeNode({"Login": refuse}).running() as fake:
        with pytest.raises(LoginRefused, match=r"node pbx1: refused the AMI user 'provisioner'") as refused:
            run(fake.node(), lambda client: client.call(Ping()))
        time.sleep(0.3)
    assert "ami-secret" not in str(refused.value)
    assert fake.connections == 1


def test_a_node_where_nothing_listens_is_named_with_its_address() -> None:
    node = FakeNode(port=free_port()).node()
    with pytest.raises(
        NodeUnavailable, match=rf"node pbx1: no AMI on 127.0.0.1:{node.port} \(connection refused\)"
    ):
        run(node, lambda client: client.call(Ping()))


def test_a_node_that_accepts_but_never_speaks_is_given_up_in_time() -> None:
    with FakeNode({"Login": silent}, banner=b"").running() as fake:
        start = time.monotonic()
        with pytest.raises(NodeUnavailable, match=r"within 0.3 s"):
            run(fake.node(connect_timeout=0.3), lambda client: client.call(Ping()))
    assert time.monotonic() - start < 1.5


def test_something_that_is_no_asterisk_is_told_as_such() -> None:
    with (
        FakeNode(banner=b"SSH-2.0-OpenSSH_9.2\r\n").running() as fake,
        pytest.raises(NodeUnavailable, match="not that of an Asterisk"),
    ):
        run(fake.node(), lambda client: client.call(Ping()), Backoff(attempts=1))


def test_a_connection_closed_during_login_is_tried_again_and_then_given_up() -> None:
    with FakeNode({"Login": hangs_up}).running() as fake, pytest.raises(NodeUnavailable):
        run(fake.node(), lambda client: client.call(Ping()), Backoff(attempts=3, first=0.01))
    assert fake.connections == 3


def test_a_node_that_comes_up_a_moment_later_is_reached() -> None:
    fake = FakeNode({"Ping": answer("ping")}, port=free_port())

    async def main() -> None:
        async def later() -> None:
            await asyncio.sleep(0.2)
            with fake.running():
                await asyncio.wait_for(up.wait(), 5)

        up = asyncio.Event()
        starting = asyncio.create_task(later())
        async with Client(fake.node(), Backoff(attempts=20, first=0.1, factor=1)) as client:
            await client.call(Ping())
        up.set()
        await starting

    asyncio.run(main())
    assert fake.actions() == ["Ping"]


def test_a_missing_secret_file_is_a_wrong_setting(tmp_path: object) -> None:
    node = FakeNode().node(secret=None, secret_file=f"{tmp_path}/none")
    with pytest.raises(SettingsError):
        run(node, lambda client: client.call(Ping()))


def test_an_action_without_answer_ends_at_its_deadline_and_the_next_one_works() -> None:
    async def work(client: Client) -> None:
        with pytest.raises(ActionTimeout, match=r"node pbx1: DeviceStateList was not answered within 0.2 s"):
            await client.call(DeviceStates())
        await client.call(Ping())

    with FakeNode({"DeviceStateList": silent, "Ping": answer("ping")}).running() as fake:
        run(fake.node(action_timeout=0.2), work)
    assert fake.connections == 1


def test_an_answer_that_comes_too_late_is_not_taken_for_the_next_one() -> None:
    def late(headers: Headers) -> Sequence[Step]:
        return [Pause(0.4), recorded("expire_expired").replace(b"@ID@", headers["ActionID"].encode())]

    async def work(client: Client) -> Expired:
        with pytest.raises(ActionTimeout):
            await client.call(ExpireObject("endpoint", "7001"))
        await asyncio.sleep(0.4)
        fake.answers["SorceryMemoryCacheExpireObject"] = answer("expire_not_cached")
        return await client.call(ExpireObject("endpoint", "7002"))

    with FakeNode({"SorceryMemoryCacheExpireObject": late}).running() as fake:
        assert run(fake.node(action_timeout=0.2), work) is Expired.NOT_CACHED


def test_a_long_list_may_take_longer_than_the_deadline_as_long_as_it_keeps_coming() -> None:
    def slowly(headers: Headers) -> Sequence[Step]:
        frames = recorded("contacts").replace(b"@ID@", headers["ActionID"].encode()).split(b"\r\n\r\n")[:-1]
        return [step for frame in frames for step in (Pause(0.15), frame + b"\r\n\r\n")]

    with FakeNode({"PJSIPShowContacts": slowly}).running() as fake:
        start = time.monotonic()
        contacts = run(fake.node(action_timeout=0.4), lambda client: client.call(Contacts()))
    assert len(contacts) == 3
    assert time.monotonic() - start > 0.4


def test_a_list_that_stops_coming_ends_at_the_deadline() -> None:
    def half(headers: Headers) -> Sequence[Step]:
        return [recorded("contacts").replace(b"@ID@", headers["ActionID"].encode())[:700]]

    with FakeNode({"PJSIPShowContacts": half}).running() as fake, pytest.raises(ActionTimeout):
        run(fake.node(action_timeout=0.2), lambda client: client.call(Contacts()))


def test_a_list_that_gets_an_error_ends_at_once() -> None:
    with FakeNode({"PJSIPShowContacts": answer("contacts_none")}).running() as fake:
        start = time.monotonic()
        assert run(fake.node(), lambda client: client.call(Contacts())) == ()
    assert time.monotonic() - start < 1


def test_a_cancelled_list_is_an_error_and_not_a_short_list() -> None:
    def cancelled(headers: Headers) -> Sequence[Step]:
        text = recorded("contacts").replace(b"@ID@", headers["ActionID"].encode())
        return [text.replace(b"EventList: Complete", b"EventList: cancelled")]

    with (
        FakeNode({"PJSIPShowContacts": cancelled}).running() as fake,
        pytest.raises(ActionRefused, match="cancelled"),
    ):
        run(fake.node(), lambda client: client.call(Contacts()))


def test_events_that_nobody_asked_for_are_ignored() -> None:
    def noisy(headers: Headers) -> Sequence[Step]:
        id = headers["ActionID"].encode()
        noise = b"Event: FullyBooted\r\nStatus: Fully Booted\r\n\r\nEvent: X\r\nActionID: other\r\n\r\n"
        return [noise + recorded("endpoint").replace(b"@ID@", id) + noise]

    with FakeNode({"PJSIPShowEndpoint": noisy}).running() as fake:
        endpoint = run(fake.node(), lambda client: client.call(ShowEndpoint("7001")))
    assert endpoint is not None


@pytest.mark.parametrize("sent", [0, 30, 700])
def test_a_connection_lost_in_an_answer_fails_the_call_and_nothing_is_sent_again(sent: int) -> None:
    def breaks(headers: Headers) -> Sequence[Step]:
        return [recorded("contacts").replace(b"@ID@", headers["ActionID"].encode())[:sent], Drop()]

    async def work(client: Client) -> None:
        with pytest.raises(ConnectionLost, match=r"node pbx1: .* not sent again"):
            await client.call(Contacts())
        fake.answers["Ping"] = answer("ping")
        await client.call(Ping())
        await asyncio.sleep(0.1)

    with FakeNode({"PJSIPShowContacts": breaks}).running() as fake:
        run(fake.node(), work)
    assert fake.actions() == ["PJSIPShowContacts", "Ping"]
    assert fake.connections == 2


def test_every_call_on_its_way_fails_when_the_connection_is_lost() -> None:
    async def work(client: Client) -> list[BaseException | None]:
        calls = [client.call(ShowEndpoint(str(number))) for number in range(20)]
        breaking = client.call(ReloadModule())
        return list(await asyncio.gather(*calls, breaking, return_exceptions=True))  # type: ignore[arg-type]

    with FakeNode({"PJSIPShowEndpoint": silent, "Reload": hangs_up}).running() as fake:
        results = run(fake.node(), work)
    assert len(results) == 21
    assert all(isinstance(result, ConnectionLost) for result in results)


def test_closing_is_final() -> None:
    async def work(client: Client) -> None:
        waiting = asyncio.create_task(client.call(ShowEndpoint("7001")))
        await asyncio.sleep(0.1)
        client.close()
        with pytest.raises(ConnectionLost):
            await waiting
        with pytest.raises(ConnectionLost, match="closed"):
            await client.call(Ping())

    with FakeNode({"PJSIPShowEndpoint": silent}).running() as fake:
        run(fake.node(), work)
        time.sleep(0.2)
    assert fake.connections == 1


def test_an_error_is_raised_with_the_words_of_the_node() -> None:
    with (
        FakeNode({"Reload": answer("reload_none")}).running() as fake,
        pytest.raises(ActionRefused, match=r"node pbx1: Reload res_pjsip.so was refused: No such module"),
    ):
        run(fake.node(), lambda client: client.call(ReloadModule()))


def test_a_missing_permission_names_the_class_and_the_line_to_change() -> None:
    with (
        FakeNode({"DeviceStateList": answer("denied_list")}).running() as fake,
        pytest.raises(PermissionMissing, match=r"DeviceStateList: add reporting to its write= line"),
    ):
        run(fake.node(), lambda client: client.call(DeviceStates()))


def test_a_hostile_id_is_refused_before_anything_is_sent() -> None:
    with FakeNode().running() as fake, pytest.raises(UnsupportedValue):
        run(fake.node(), lambda client: client.call(ShowEndpoint("7001\r\nAction: Reload")))
    assert fake.actions() == []


def test_many_actions_are_on_their_way_at_once_and_their_results_keep_their_order() -> None:
    def slow(headers: Headers) -> Sequence[Step]:
        found = "expire_expired" if int(headers["Object"]) % 2 else "expire_not_cached"
        return [recorded(found).replace(b"@ID@", headers["ActionID"].encode())]

    actions = [ExpireObject("endpoint", str(number)) for number in range(500)]
    with FakeNode({"SorceryMemoryCacheExpireObject": slow}).running() as fake:
        found = run(fake.node(), lambda client: client.call_all(actions))
    assert found == [Expired.EXPIRED if number % 2 else Expired.NOT_CACHED for number in range(500)]
    assert [headers["Object"] for headers in fake.received[1:]] == [str(number) for number in range(500)]


def test_after_the_first_error_of_many_actions_the_rest_is_not_sent() -> None:
    actions = [ExpireObject("auth", str(id)) for id in range(500)]
    denying = FakeNode({"SorceryMemoryCacheExpireObject": answer("denied")})
    with denying.running() as fake, pytest.raises(PermissionMissing):
        run(fake.node(), lambda client: client.call_all(actions, window=5))
    assert len(fake.actions()) < 50


def test_no_secret_reaches_logs_or_errors(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with FakeNode({"PJSIPShowEndpoint": answer("endpoint"), "Reload": hangs_up}).running() as fake:

        async def work(client: Client) -> None:
            await client.call(ShowEndpoint("7001"))
            with pytest.raises(NodeError) as lost:
                await client.call(ReloadModule())
            assert "ami-secret" not in repr(lost.value)
            assert "ami-secret" not in repr(vars(client))

        run(fake.node(), work)
    assert "ami-secret" not in caplog.text
    assert "s3cret" not in caplog.text


def test_waits_between_attempts_grow_and_are_cut_by_chance() -> None:
    backoff = Backoff(attempts=6, first=1, factor=2, longest=5)
    assert list(backoff.waits(lambda: 0.0)) == [1, 2, 4, 5, 5]
    assert list(backoff.waits(lambda: 1.0)) == [0.5, 1, 2, 2.5, 2.5]
