import sys

from stream.allocator import keep_freed_memory


def test_freed_memory_is_kept_where_the_c_library_can(monkeypatch):
    assert keep_freed_memory() in (True, False)
    monkeypatch.setattr(sys, "platform", "win32")
    assert keep_freed_memory() is False


def test_a_c_library_without_mallopt_is_no_error(monkeypatch):
    monkeypatch.setattr("stream.allocator.ctypes.CDLL", lambda _: object())
    assert keep_freed_memory() is False
