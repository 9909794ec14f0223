from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

from attrs import define as _attrs_define
from attrs import field as _attrs_field

if TYPE_CHECKING:
    from ..models.version_view import VersionView


T = TypeVar("T", bound="DiffView")


@_attrs_define
class DiffView:
    """Difference of two versions of a document.

    Attributes:
        from_ (VersionView): Version of a document.
        patch (list[Any]): Operations that turn the first version into the second: a JSON Patch (RFC 6902).
        to (VersionView): Version of a document.
        unified (str): Unified difference of every text that changed, under its JSON Pointer.
    """

    from_: VersionView
    patch: list[Any]
    to: VersionView
    unified: str
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        from_ = self.from_.to_dict()

        patch = self.patch

        to = self.to.to_dict()

        unified = self.unified

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "from": from_,
                "patch": patch,
                "to": to,
                "unified": unified,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.version_view import VersionView  # noqa: PLC0415

        d = dict(src_dict)
        from_ = VersionView.from_dict(d.pop("from"))

        patch = cast(list[Any], d.pop("patch"))

        to = VersionView.from_dict(d.pop("to"))

        unified = d.pop("unified")

        diff_view = cls(
            from_=from_,
            patch=patch,
            to=to,
            unified=unified,
        )

        diff_view.additional_properties = d
        return diff_view

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
