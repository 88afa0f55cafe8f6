"""File names need not be text: bytes that are no UTF-8 are lone surrogates in Python, which no file or screen takes."""


def printable(text: str) -> str:
    r"""Text as it can be written: the byte 0xff of a file's name becomes \udcff, as it is in JSON and in Python."""
    return text.encode("utf-8", "backslashreplace").decode()
