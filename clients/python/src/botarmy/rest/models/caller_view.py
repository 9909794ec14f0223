from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast
from uuid import UUID

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..models.authentication import Authentication
from ..models.principal_kind import PrincipalKind

if TYPE_CHECKING:
    from ..models.grant import Grant
    from ..models.permission_view import PermissionView


T = TypeVar("T", bound="CallerView")


@_attrs_define
class CallerView:
    """The caller of this request.

    Attributes:
        auth (Authentication):
        credential_id (None | UUID): Key or session that the request came with; null without one.
        grants (list[Grant]): Grants of the principal, before its key narrows them.
        groups (list[str]): Groups that the principal is in.
        kind (PrincipalKind):
        name (str): Name, as the log records it.
        permissions (list[PermissionView]): Permissions of this caller.
        principal_id (None | UUID): Principal; null on an open server.
    """

    auth: Authentication
    credential_id: None | UUID
    grants: list[Grant]
    groups: list[str]
    kind: PrincipalKind
    name: str
    permissions: list[PermissionView]
    principal_id: None | UUID
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        auth = self.auth.value

        credential_id: None | str
        if isinstance(self.credential_id, UUID):
            credential_id = str(self.credential_id)
        else:
            credential_id = self.credential_id

        grants = []
        for grants_item_data in self.grants:
            grants_item = grants_item_data.to_dict()
            grants.append(grants_item)

        groups = self.groups

        kind = self.kind.value

        name = self.name

        permissions = []
        for permissions_item_data in self.permissions:
            permissions_item = permissions_item_data.to_dict()
            permissions.append(permissions_item)

        principal_id: None | str
        if isinstance(self.principal_id, UUID):
            principal_id = str(self.principal_id)
        else:
            principal_id = self.principal_id

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "auth": auth,
                "credential_id": credential_id,
                "grants": grants,
                "groups": groups,
                "kind": kind,
                "name": name,
                "permissions": permissions,
                "principal_id": principal_id,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.grant import Grant  # noqa: PLC0415
        from ..models.permission_view import PermissionView  # noqa: PLC0415

        d = dict(src_dict)
        auth = Authentication(d.pop("auth"))

        def _parse_credential_id(data: object) -> None | UUID:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                credential_id_type_0 = UUID(data)

                return credential_id_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(None | UUID, data)

        credential_id = _parse_credential_id(d.pop("credential_id"))

        grants = []
        _grants = d.pop("grants")
        for grants_item_data in _grants:
            grants_item = Grant.from_dict(grants_item_data)

            grants.append(grants_item)

        groups = cast(list[str], d.pop("groups"))

        kind = PrincipalKind(d.pop("kind"))

        name = d.pop("name")

        permissions = []
        _permissions = d.pop("permissions")
        for permissions_item_data in _permissions:
            permissions_item = PermissionView.from_dict(permissions_item_data)

            permissions.append(permissions_item)

        def _parse_principal_id(data: object) -> None | UUID:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                principal_id_type_0 = UUID(data)

                return principal_id_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(None | UUID, data)

        principal_id = _parse_principal_id(d.pop("principal_id"))

        caller_view = cls(
            auth=auth,
            credential_id=credential_id,
            grants=grants,
            groups=groups,
            kind=kind,
            name=name,
            permissions=permissions,
            principal_id=principal_id,
        )

        caller_view.additional_properties = d
        return caller_view

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
