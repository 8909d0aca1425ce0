"""Two folders of files against each other, without a study: scores of predictions, fidelity of synthetic images."""
