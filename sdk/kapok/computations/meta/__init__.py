"""Study-level meta-analysis: each holder fits a model to its own rows, and only sums over the fits are seen.

    holder    fits the generalised linear model alone, by the steps that holders and analyst take together and
              under the same rules; of coefficient b with variance v it sends 1/v, b/v, b²/v and 1/v²
    analyst   the inverse-variance mean of all holders, and how far they differ: Q, I², τ²

One round, and four sums a coefficient: of three holders' fits, six numbers, these leave two free. A
random-effects mean would take two sums more, by which three fits could be solved for, so it is not asked.

Source: Cochran (1954); DerSimonian and Laird (1986); Higgins and Thompson (2002).
"""
