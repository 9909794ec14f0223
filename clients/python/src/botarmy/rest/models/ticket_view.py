from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, cast

from attrs import define as _attrs_define
from attrs import field as _attrs_field

T = TypeVar("T", bound="TicketView")


@_attrs_define
class TicketView:
    """Ticket for one live connection.

    Attributes:
        expires_in_s (int): Seconds for which the ticket is good.
        protocols (list[str]): Protocols to offer when the WebSocket is opened, the second with the ticket. The server
            answers
            with the first.
        ticket (str): Secret that opens one WebSocket.
    """

    expires_in_s: int
    protocols: list[str]
    ticket: str
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        expires_in_s = self.expires_in_s

        protocols = self.protocols

        ticket = self.ticket

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "expires_in_s": expires_in_s,
                "protocols": protocols,
                "ticket": ticket,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        expires_in_s = d.pop("expires_in_s")

        protocols = cast(list[str], d.pop("protocols"))

        ticket = d.pop("ticket")

        ticket_view = cls(
            expires_in_s=expires_in_s,
            protocols=protocols,
            ticket=ticket,
        )

        ticket_view.additional_properties = d
        return ticket_view

    @property
    def additional_keys(self) -> list[str]:
        return list(self.additional_properties.keys())

    def __getitem__(self, key: str) -> Any:
        return self.additional_properties[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self.additional_properties[key] = value

    def __delitem__(self, key: str) -> None:
        del self.additional_properties[key]

    def __contains__(self, key: str) -> bool:
        return key in self.additional_properties
