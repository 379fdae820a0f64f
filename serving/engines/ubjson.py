"""Whether a UBJSON document is whole.

XGBoost reads a model's lengths without asking whether the file is as long: one that was cut ends
the process, by SIGSEGV or for want of memory (seen in 3.2 with every tenth place to cut a file at).
So a file is checked first. Arrays of numbers are skipped, not read, so that what counts is the
number of trees and not their size.
"""

_SIZES = {b"Z": 0, b"T": 0, b"F": 0, b"C": 1, b"i": 1, b"U": 1}
_SIZES |= {b"I": 2, b"l": 4, b"d": 4, b"L": 8, b"D": 8}

_OBJECT, _ARRAY = -1, -2
"""What is open and ends with a marker, in place of a number of values still to come."""


def check(content: bytes) -> None:
    """Walk through a document of the kind that XGBoost writes.

    Raises:
        ValueError: it ends early or is malformed; says at which byte.
    """
    reader = _Reader(content)
    opened = [1]
    while opened:
        if opened[-1] == 0 or (opened[-1] < 0 and reader.closes(opened[-1])):
            opened.pop()
            continue
        if opened[-1] == _OBJECT:
            reader.skip(reader.length())
        elif opened[-1] > 0:
            opened[-1] -= 1
        inner = reader.value()
        if inner is not None:
            opened.append(inner)


class _Reader:
    def __init__(self, content: bytes) -> None:
        self._content = content
        self._at = 0

    def value(self) -> int | None:
        """Skip a value, or, if it is an array or object of values, its beginning; then what it is.

        An array of numbers is one value: its length says where it ends.
        """
        marker = self._take(1)
        if marker == b"{":
            return _OBJECT
        if marker == b"[":
            return self._array()
        self.skip(self.length() if marker == b"S" else self._size(marker))
        return None

    def closes(self, kind: int) -> bool:
        """Whether what is open ends here; if so, skip its end."""
        ends = self._content.startswith(b"}" if kind == _OBJECT else b"]", self._at)
        self._at += ends
        return ends

    def length(self) -> int:
        """Read a length."""
        self._expect(b"L")
        length = int.from_bytes(self._take(8), "big", signed=True)
        if length < 0:
            raise ValueError(f"it has a negative length at byte {self._at - 8}")
        return length

    def skip(self, count: int) -> None:
        """Skip bytes, which must be there."""
        if count > len(self._content) - self._at:
            raise ValueError(f"it ends at byte {len(self._content)}, before it is complete")
        self._at += count

    def _array(self) -> int | None:
        following = self._content[self._at : self._at + 1]
        if following == b"$":
            self.skip(1)
            size = self._size(self._take(1))
            self._expect(b"#")
            self.skip(self.length() * size)
            return None
        if following == b"#":
            self.skip(1)
            return self.length()
        return _ARRAY

    def _size(self, marker: bytes) -> int:
        if marker not in _SIZES:
            raise ValueError(f"it has no value at byte {self._at - 1}, where one should be")
        return _SIZES[marker]

    def _expect(self, marker: bytes) -> None:
        if self._take(1) != marker:
            raise ValueError(f"it has no length at byte {self._at - 1}, where one should be")

    def _take(self, count: int) -> bytes:
        start = self._at
        self.skip(count)
        return self._content[start : self._at]
