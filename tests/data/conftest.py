import pytest

import corner


@pytest.fixture
def photos(images_and_labels, tmp_path):
    dataset = corner.image_folder(*images_and_labels, tmp_path / "data")
    dataset.transform = dataset.target_transform = None
    return type(dataset)(tmp_path / "data")
