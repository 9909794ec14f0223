from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

T = TypeVar("T", bound="FileView")


@_attrs_define
class FileView:
    """File of a package.

    Attributes:
        created_at (datetime.datetime):
        digest (str): SHA-256 of the bytes, in hexadecimal.
        file_type (str): Extension, such as `md`.
        name (str): Path in the package.
        size (int): Size in bytes.
    """

    created_at: datetime.datetime
    digest: str
    file_type: str
    name: str
    size: int
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        created_at = self.created_at.isoformat()

        digest = self.digest

        file_type = self.file_type

        name = self.name

        size = self.size

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "created_at": created_at,
                "digest": digest,
                "file_type": file_type,
                "name": name,
                "size": size,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        created_at = datetime.datetime.fromisoformat(d.pop("created_at").replace("Z", "+00:00"))

        digest = d.pop("digest")

        file_type = d.pop("file_type")

        name = d.pop("name")

        size = d.pop("size")

        file_view = cls(
            created_at=created_at,
            digest=digest,
            file_type=file_type,
            name=name,
            size=size,
        )

        file_view.additional_properties = d
        return file_view

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
