"""Data and model: FLamby's Fed-Heart-Disease (du Terrail et al. 2022), without its libraries.

Of 14 columns three are left out, for few hospitals have measured them; rows with gaps are left out; kinds of
chest pain and of ECG become indicators, without their first. 13 features are left. A third of the rows, by
diagnosis, is for testing. As there, each hospital standardises what it trains with by its own training rows,
and what all are tested with by those of all hospitals: public numbers, such as `kapok query` gives.
"""

import numpy as np

FEATURES = 13
TEST_SHARE = 0.34
TINY = 1e-9
NUMBERS = ("age", "sex", "trestbps", "chol", "fbs", "thalach", "exang", "oldpeak")
KINDS = (("cp", (2, 3, 4)), ("restecg", (1, 2)))
MEAN = np.array(
    [52.95, 0.7572, 133.2, 219.8, 0.1502, 139.3, 0.3868, 0.9362, 0.1996, 0.216, 0.5247, 0.1481, 0.2407]
)
DEVIATION = np.array(
    [9.626, 0.4292, 19.19, 93.66, 0.3576, 26.09, 0.4875, 1.072, 0.4001, 0.412, 0.4999, 0.3556, 0.428]
)
COLUMNS = ("cp", "num", "restecg", *NUMBERS)


def prepare(columns):
    """Features and labels of one hospital: training rows, then test rows.

    Args:
        columns: Arrays by name, NaN for gaps.
    """
    table = np.column_stack([columns[name] for name in COLUMNS])
    table = table[~np.isnan(table).any(axis=1)]
    column = dict(zip(COLUMNS, table.T, strict=True))
    x = np.column_stack(
        [column[name] for name in NUMBERS] + [column[name] == kind for name, kinds in KINDS for kind in kinds]
    ).astype(float)
    y = (column["num"] > 0).astype(float)
    test = _test_rows(y)
    own = x[~test]
    trained = (own - own.mean(axis=0)) / (own.std(axis=0, ddof=1) + TINY)
    return (trained, y[~test]), ((x[test] - MEAN) / DEVIATION, y[test])


def _test_rows(y):
    """Which rows are for testing: FLamby's own choice, as scikit-learn's `train_test_split` draws it."""
    generator, chosen = np.random.RandomState(43), np.zeros(len(y), dtype=bool)
    wanted = int(np.ceil(TEST_SHARE * len(y)))
    counts = np.bincount(y.astype(int), minlength=2)
    if counts.min() <= 2:
        chosen[generator.permutation(len(y))[:wanted]] = True
        return chosen
    kept = _shares(counts, len(y) - wanted, generator)
    tested = _shares(counts - kept, wanted, generator)
    for label in (0, 1):
        rows = np.flatnonzero(y == label)[generator.permutation(counts[label])]
        chosen[rows[kept[label] : kept[label] + tested[label]]] = True
    return chosen


def _shares(counts, draws, generator):
    """So many draws, parted as the counts are; what is left over goes to the largest remainders."""
    exact = counts / counts.sum() * draws
    whole = np.floor(exact)
    left = int(draws - whole.sum())
    for remainder in sorted(set(exact - whole), reverse=True):
        (places,) = np.where(exact - whole == remainder)
        added = min(len(places), left)
        if added:
            whole[generator.choice(places, size=added, replace=False)] += 1
            left -= added
    return whole.astype(int)


def initial(seed):
    """Weights as PyTorch's linear layer begins with them."""
    bound = 1 / np.sqrt(FEATURES)
    generator = np.random.default_rng(seed)
    return generator.uniform(-bound, bound, FEATURES), generator.uniform(-bound, bound, 1)


def probability(x, weights, bias):
    """Of disease, for each row."""
    return 1 / (1 + np.exp(-(x @ weights + bias[0])))


def train(x, y, weights, bias, *, rate, steps, batch, seed, number):
    """Stochastic gradient descent: a round goes on in the epoch in which the one before it stopped.

    Each epoch has an order of its own, which follows from the seed.
    """
    batches, order = -(-len(x) // batch), None
    for step in range((number - 1) * steps, number * steps):
        epoch, place = divmod(step, batches)
        if order is None or place == 0:
            order = np.random.default_rng([seed, epoch, len(x)]).permutation(len(x))
        rows = order[place * batch : (place + 1) * batch]
        wrong = probability(x[rows], weights, bias) - y[rows]
        weights = weights - rate * x[rows].T @ wrong / len(rows)
        bias = bias - rate * wrong.mean()
    return weights, bias


def loss(x, y, weights, bias):
    """Mean binary cross-entropy."""
    p = np.clip(probability(x, weights, bias), 1e-12, 1 - 1e-12)
    return float(-(y * np.log(p) + (1 - y) * np.log(1 - p)).mean())
