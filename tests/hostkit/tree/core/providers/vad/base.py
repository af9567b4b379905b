from abc import ABC, abstractmethod


class VADProviderBase(ABC):
    @abstractmethod
    def is_vad(self, conn, data):
        """Tell whether somebody speaks."""
