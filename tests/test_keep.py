"""What says that something stays."""

from unpoison.keep import KEEP


def test_keep_survives_pickling():
    import pickle

    assert pickle.loads(pickle.dumps(KEEP)) is KEEP
