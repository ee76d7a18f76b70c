"""A meta-analysis over several holders against the same from statsmodels' fits of each."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from scipy import stats
from statsmodels.genmod.families import Binomial, Gaussian
from statsmodels.stats.meta_analysis import combine_effects
from support.models import LAX, FrameEngine, Outcome, close, run

from kapok.computations import Thresholds
from kapok.computations.meta.formula import meta_text
from kapok.computations.meta.view import MetaAnalysis
from kapok.documents.dataset import Column, Dataset
from kapok.errors import InvalidInput, PeerProtocolError

DATASET = Dataset(
    name="data",
    rows_max=10_000,
    columns=(
        Column(name="x", type="decimal", minimum="-10", maximum="10", resolution="0.001"),
        Column(name="ill", type="integer", domain=(0, 1)),
        Column(name="y", type="decimal", minimum="-50", maximum="50", resolution="0.001"),
    ),
)


@pytest.fixture(scope="module")
def frames() -> list[pd.DataFrame]:
    random = np.random.default_rng(2)
    made = []
    for n, slope in ((150, 0.4), (300, 0.9), (220, 1.4)):
        x = random.normal(1, 2, n).clip(-9, 9).round(3)
        y = (2 + slope * x + random.normal(0, 2, n)).round(3)
        ill = (random.uniform(size=n) < 1 / (1 + np.exp(-slope * x))).astype(int)
        made.append(pd.DataFrame({"x": x, "ill": ill, "y": y}))
    return made


def meta(formula, frames, thresholds=LAX, *, told=None, **how):
    heard = [] if told is None else told
    answer = run(
        "meta",
        meta_text(formula, DATASET, **how),
        DATASET,
        [FrameEngine(frame) for frame in frames],
        thresholds,
        note=lambda _what, why: heard.append(why),
    )
    return MetaAnalysis(Outcome(answer))


@pytest.mark.parametrize(
    ("formula", "family", "theirs"),
    [("ill ~ x", "binomial", Binomial()), ("y ~ x", "gaussian", Gaussian())],
)
def test_it_is_that_of_the_fits_of_each(frames, formula, family, theirs):
    mine = meta(formula, frames, family=family)
    assert mine.status == "complete", mine
    fits = [smf.glm(formula, frame, family=theirs).fit(tol=1e-14) for frame in frames]
    for ours, name in (("(intercept)", "Intercept"), ("x", "x")):
        effects = np.array([fit.params[name] for fit in fits])
        variances = np.array([fit.bse[name] ** 2 for fit in fits])
        pooled = combine_effects(effects, variances, method_re="dl")
        line = mine.to_pandas().loc[ours]
        close(line.estimate, pooled.mean_effect_fe)
        close(line.std_error, pooled.sd_eff_w_fe)
        close(
            [line.q, line.i_squared, line.tau_squared],
            [pooled.q, max(0, pooled.i2), max(0, pooled.tau2)],
            1e-7,
        )
        close(line.q_p_value, stats.chi2.sf(pooled.q, 2), 1e-7)
    assert mine.report.studies == 3
    assert mine.report.rows_used == sum(map(len, frames))


def test_a_holder_without_a_fit_suppresses_all_and_is_not_named(frames):
    told: list[str] = []
    apart = frames[0].assign(ill=(frames[0].x > 0).astype(int))
    mine = meta("ill ~ x", [apart, *frames[1:]], family="binomial", told=told)
    assert (mine.status, mine.reasons) == ("suppressed", ("not_fitted",))
    assert any("separated" in why or "not_converged" in why for why in told)
    assert not len(mine.to_pandas())
    few = meta("y ~ x", [frames[0][:15], *frames[1:]], Thresholds(20, 5))
    assert (few.status, few.reasons) == ("suppressed", ("few_rows",))
    assert "SUPPRESSED" in str(few)


def test_what_is_wrong_is_refused_by_name(frames):
    from kapok.computations.registry import computation

    kind = computation("meta")
    with pytest.raises(InvalidInput, match="begins with META"):
        kind.parse("GLM y ON 1 FAMILY gaussian LINK identity ROUNDS 5 FROM data", DATASET)
    asked = kind.parse(meta_text("y ~ x", DATASET), DATASET)
    assert (asked.operations, asked.rounds) == (("meta",), 1)
    with pytest.raises(PeerProtocolError, match="out of range"):
        kind.answer(asked, DATASET, [0] * asked.words)


@pytest.mark.parametrize("rows_max", [1, 1000, 10**6, 10**12])
def test_words_of_models_are_no_wider_than_a_jobs_may_be(rows_max):
    from kapok.computations.registry import computation
    from kapok.protocols.secure_sum.params import MOST_WORD_BITS

    dataset = Dataset(name="data", rows_max=rows_max, columns=DATASET.columns)
    texts = {
        "glm": "GLM y ON 1, x FAMILY gaussian LINK identity ROUNDS 5 FROM data",
        "meta": "META GLM y ON 1, x FAMILY gaussian LINK identity ROUNDS 5 FROM data",
        "cox": "COX ill EVENT x > 0 ON x GRID (1) ROUNDS 5 FROM data",
    }
    for kind, text in texts.items():
        assert computation(kind).parse(text, dataset).word_bits <= MOST_WORD_BITS
