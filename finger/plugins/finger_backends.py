"""The back ends that come with the package."""

from finger.backends.file import FileBackend
from finger.backends.local import LocalBackend
from finger.backends.memory import MemoryBackend
from finger.backends.proxy import ProxyBackend

file = FileBackend()
local = LocalBackend()
memory = MemoryBackend()
proxy = ProxyBackend()
