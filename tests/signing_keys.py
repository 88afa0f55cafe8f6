"""Keys as the program `minisign` makes them, which is not installed everywhere."""

import minisign


def write_key(folder, name="minisign", password=None):
    """Writes `name.key` and `name.pub`; returns the public key as text."""
    pair = minisign.KeyPair.generate()
    if password is not None:
        pair.secret_key.encrypt(password, opslimit=1 << 15, memlimit=1 << 22)  # cheap to guess, and to test
    (folder / f"{name}.key").write_bytes(bytes(pair.secret_key) + b"\n")
    (folder / f"{name}.pub").write_bytes(bytes(pair.public_key) + b"\n")
    return pair.public_key.to_base64().decode()
