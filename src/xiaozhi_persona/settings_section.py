"""What every part of the settings is."""

from __future__ import annotations

from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationInfo, field_validator
from pydantic.fields import FieldInfo
from pydantic_core import PydanticKnownError


class Section(BaseModel):
    """A part of config.yaml: frozen, strict about types, no unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    @field_validator("*", mode="before")
    @classmethod
    def _true_is_not_1(cls, value: Any, info: ValidationInfo) -> Any:
        """Refuse what only equals one of the choices, as True does 1."""
        annotation = cls.model_fields[str(info.field_name)].annotation
        if get_origin(annotation) is Literal and isinstance(value, (bool, float)):
            choices = ", ".join(map(repr, get_args(annotation)))
            raise PydanticKnownError("literal_error", {"expected": choices})
        return value


def own_first(section: type[BaseModel]) -> dict[str, FieldInfo]:
    """Return the fields of a section by their keys, those that it shares with other sections last."""
    fields = section.model_fields.items()
    return dict(sorted(fields, key=lambda item: item[0] not in section.__annotations__))
