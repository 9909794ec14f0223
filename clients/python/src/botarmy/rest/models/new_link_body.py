from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, cast
from uuid import UUID

from attrs import define as _attrs_define

from ..types import UNSET, Unset

T = TypeVar("T", bound="NewLinkBody")


@_attrs_define
class NewLinkBody:
    """Sign-in link to create.

    Attributes:
        principal_id (None | Unset | UUID): Person who signs in with it; the caller when absent.
    """

    principal_id: None | Unset | UUID = UNSET

    def to_dict(self) -> dict[str, Any]:
        principal_id: None | str | Unset
        if isinstance(self.principal_id, Unset):
            principal_id = UNSET
        elif isinstance(self.principal_id, UUID):
            principal_id = str(self.principal_id)
        else:
            principal_id = self.principal_id

        field_dict: dict[str, Any] = {}

        field_dict.update({})
        if principal_id is not UNSET:
            field_dict["principal_id"] = principal_id

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)

        def _parse_principal_id(data: object) -> None | Unset | UUID:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                principal_id_type_0 = UUID(data)

                return principal_id_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(None | Unset | UUID, data)

        principal_id = _parse_principal_id(d.pop("principal_id", UNSET))

        new_link_body = cls(
            principal_id=principal_id,
        )

        return new_link_body
