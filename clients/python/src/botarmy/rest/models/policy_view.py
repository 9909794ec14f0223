from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

T = TypeVar("T", bound="PolicyView")


@_attrs_define
class PolicyView:
    """Policy by which a request is decided, as it was when the request was opened.

    Attributes:
        approvals (int): Number of people who have to approve.
        digest (str): SHA-256 of the canonical JSON of `rules`.
        name (str): Name in the workflow; empty for that of steps which name none.
        rules (Any): All of its rules, with the names that they have in a workflow file. The settings of the server
            are merged into them.
    """

    approvals: int
    digest: str
    name: str
    rules: Any
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        approvals = self.approvals

        digest = self.digest

        name = self.name

        rules = self.rules

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "approvals": approvals,
                "digest": digest,
                "name": name,
                "rules": rules,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        approvals = d.pop("approvals")

        digest = d.pop("digest")

        name = d.pop("name")

        rules = d.pop("rules")

        policy_view = cls(
            approvals=approvals,
            digest=digest,
            name=name,
            rules=rules,
        )

        policy_view.additional_properties = d
        return policy_view

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
