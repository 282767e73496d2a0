"""The methods of Table 1 that are no nets, with the paper's optimal settings (its Table 2).

Each takes scaled labels, and is counted with the bytes of the arrays that its predictions need.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Set = tuple[np.ndarray, np.ndarray]
"""Prepared spectra [n, pixels] and scaled labels [n, labels]."""

EARLY = 50
"""Trees without a smaller validation loss after which no more are grown."""


@dataclass
class Fitted:
    """A method that has seen the training set."""

    predict: Callable[[np.ndarray], np.ndarray]
    size: int
    settings: str


def knn(training: Set, _validation: Set) -> Fitted:
    """Nine neighbours by the largest difference of a pixel, weighted by the inverse of it."""
    from sklearn.neighbors import KNeighborsRegressor

    spectra, labels = training
    model = KNeighborsRegressor(9, weights="distance", algorithm="kd_tree", metric="chebyshev")
    model.fit(spectra, labels)
    settings = "9 neighbours, Chebyshev, weights by distance"
    return Fitted(model.predict, spectra.nbytes + labels.nbytes, settings)


def boosted_trees(training: Set, validation: Set, trees: int = 1500) -> Fitted:
    """XGBoost with the paper's trees, but fewer at ten times its rate."""
    import xgboost

    models = []
    for label in range(training[1].shape[1]):
        model = xgboost.XGBRegressor(
            n_estimators=trees,
            learning_rate=0.1,
            max_depth=7,
            min_child_weight=16,
            reg_alpha=2,
            reg_lambda=0.5,
            subsample=0.3,
            colsample_bytree=0.7,
            tree_method="hist",
            n_jobs=1,
            random_state=1,
            early_stopping_rounds=EARLY,
        )
        part = [(validation[0], validation[1][:, label])]
        model.fit(training[0], training[1][:, label], eval_set=part, verbose=False)
        models.append(model)
    grown = ", ".join(str(model.best_iteration + 1) for model in models)
    return Fitted(
        lambda spectra: np.stack([model.predict(spectra) for model in models], axis=1),
        sum(len(model.get_booster().save_raw("ubj")) for model in models),
        f"rate 0.1, trees until {EARLY} more gain nothing: {grown} by label",
    )


def support_vectors(training: Set, validation: Set, most: int, gammas: list[float]) -> Fitted:
    """Kernel regression on the first `most` training spectra, C = 10 and epsilon = 0.12.

    The width is the one of `gammas` that serves best on validation spectra, of the mean loss.
    """
    from sklearn.svm import SVR

    spectra, labels = (part[:most] for part in training)

    def fitted(gamma: float, rows: int) -> list:
        return [
            SVR(C=10, epsilon=0.12, gamma=gamma, cache_size=500).fit(spectra[:rows], column[:rows])
            for column in labels.T
        ]

    def predict(models: list, inputs: np.ndarray) -> np.ndarray:
        return np.stack([model.predict(inputs) for model in models], axis=1)

    few = most // 4
    losses = [
        np.mean((predict(fitted(gamma, few), validation[0][:few]) - validation[1][:few]) ** 2)
        for gamma in gammas
    ]
    gamma = gammas[int(np.argmin(losses))]
    models = fitted(gamma, most)
    size = sum(model.support_vectors_.nbytes + model.dual_coef_.nbytes for model in models)
    settings = f"C 10, epsilon 0.12, gamma {gamma} of {gammas}; {len(spectra)} training spectra"
    return Fitted(lambda inputs: predict(models, inputs), size, settings)
