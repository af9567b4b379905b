from __future__ import annotations
from pathlib import Path
class OwnFiles:
    def __init__(self, folder: Path | None) -> None:
        self.tables = None
    def refresh(self) -> list[str]:
        return []
