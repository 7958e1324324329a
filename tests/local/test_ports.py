"""Ports of a local cloud: free, each given once, and the same again."""

import socket

import pytest

from pointsman_local import ports as choosing
from pointsman_local.ports import END, FIRST, free_ports

NAMES = [f"service-{number}" for number in range(30)]


def listening(port: int) -> socket.socket:
    return socket.create_server(("127.0.0.1", port))


def test_every_name_has_a_port_of_its_own_that_no_system_gives_away() -> None:
    ports = free_ports(NAMES, {})
    assert list(ports) == NAMES
    assert len(set(ports.values())) == len(NAMES)
    assert all(FIRST <= port < END for port in ports.values())


def test_ports_are_those_of_before_where_they_are_free() -> None:
    before = free_ports(NAMES, {})
    with listening(before["service-7"]):
        again = free_ports([*NAMES, "new"], before)
    assert {name for name, port in again.items() if port != before.get(name)} == {"service-7", "new"}
    assert again["service-7"] not in before.values()


def test_who_has_to_move_takes_nobody_elses_port_of_before(monkeypatch: pytest.MonkeyPatch) -> None:
    before = free_ports(NAMES, {})
    first = before["service-0"]
    monkeypatch.setattr(choosing, "FIRST", first)  # the row begins where that of before did
    monkeypatch.setattr(choosing, "END", first + 1001)
    with listening(first):
        again = free_ports(NAMES, before)
    assert {name for name, port in again.items() if port != before[name]} == {"service-0"}
    assert len(set(again.values())) == len(NAMES)


def test_what_somebody_listens_at_is_given_to_nobody() -> None:
    with listening(free_ports(["mine"], {})["mine"]) as mine:
        taken = mine.getsockname()[1]
        assert free_ports(["other"], {"other": taken})["other"] != taken
