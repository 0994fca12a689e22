"""The finger protocol (RFC 1288)."""

from finger.adapters.finger.adapter import FingerAdapter
from finger.adapters.finger.factory import FingerFactory

__all__ = ["FingerAdapter", "FingerFactory"]
