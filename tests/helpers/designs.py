"""Plans of studies, reduced to what the estimate of detectable effects reads of them."""

from __future__ import annotations

from types import SimpleNamespace

from synthbench.study.plan import TrainingRun


def planned(
    folds: int = 1,
    generator_seeds: int = 1,
    seeds: int = 3,
    train: tuple[int, ...] = (40,),
    test: int = 20,
    wells: int = 0,
    group: str | None = None,
) -> SimpleNamespace:
    """Return a plan of `real` and one generator; the amounts of real data of each fold in turn.

    With `wells`, so many of each fold share its test images; `group` is what the split keeps together.
    """

    def tested(fold: int) -> SimpleNamespace:
        groups = [{"well": f"{fold}-{i % wells}", "split": "test"} if wells else {} for i in range(test)]
        return SimpleNamespace(entries=[SimpleNamespace(id=f"{fold}-{i}", groups=g) for i, g in enumerate(groups)])

    conditions = [
        SimpleNamespace(dataset="d", fold=fold, train=range(train[fold % len(train)]), test=tested(fold))
        for fold in range(folds)
    ]
    cells = []
    for condition, place in enumerate(conditions):
        amount = len(place.train)
        cells += [TrainingRun(condition, "real", "", 0, "unet", None, s, "", "") for s in range(seeds)]
        cells += [
            TrainingRun(condition, f"real + g × {amount}", "g", amount, "unet", g, s, "", "")
            for g in range(generator_seeds)
            for s in range(seeds)
        ]
    study = SimpleNamespace(
        datasets=[SimpleNamespace(name="d", split=SimpleNamespace(group=group))], test_on=[], decide=None, iou=0.5
    )
    resolved = SimpleNamespace(conditions=conditions, study=study, test_sets=())
    return SimpleNamespace(resolved=resolved, training_runs=cells)
