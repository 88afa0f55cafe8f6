"""Spectral Signatures as the Adversarial Robustness Toolbox has them: a check of ours from outside."""

import numpy as np
import torch
from torch import nn

from unpoison.detectors.base import Detector, Features, Labels, Verdict, checked, classes


@checked
def detect(features: Features, labels: Labels, rate: float) -> Verdict:
    """Runs `art.defences.detector.poison.SpectralSignatureDefense`, told the rate.

    ART reads the last child of a model, which would be the logits, so it gets a model that hands the features through.
    It takes `expected_pp_poison` as a share of each class and flags 1.5 times as much of every class; its default, .33,
    flags half of everything. It projects uncentred features, so that its scores differ from ours.
    """
    from art.defences.detector.poison import SpectralSignatureDefense
    from art.estimators.classification import PyTorchClassifier

    _, numbers = np.unique(labels, return_inverse=True)
    model = nn.Sequential(nn.Identity())
    classifier = PyTorchClassifier(
        model,
        loss=nn.CrossEntropyLoss(),
        input_shape=features.shape[1:],
        nb_classes=int(numbers.max()) + 1,
        device_type="gpu" if torch.cuda.is_available() else "cpu",
    )
    suspects, _ = SpectralSignatureDefense(classifier, features, numbers, expected_pp_poison=rate).detect_poison()
    flagged = np.zeros(len(labels), bool)
    flagged[list(suspects)] = True
    score = np.empty(len(labels), np.float32)
    for members in classes(labels):
        score[members] = SpectralSignatureDefense.spectral_signature_scores(features[members])[:, 0]
    return Verdict(score, flagged)


DETECTOR = Detector(
    name="art", detect=detect, source="the Adversarial Robustness Toolbox, Tran et al., 2018", told=True
)
