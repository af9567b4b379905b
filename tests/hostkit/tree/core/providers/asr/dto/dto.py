import enum


class InterfaceType(enum.Enum):
    STREAM = "STREAM"
    NON_STREAM = "NON_STREAM"
    LOCAL = "LOCAL"
