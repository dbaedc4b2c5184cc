"""What the paper claims, and whether it holds here: computed verdicts, which may be undecided."""

from collections.abc import Iterable, Mapping

# True, False, or None where the numbers do not tell.
Verdict = bool | None
Claims = Mapping[str, Verdict]

_TEXT = {True: 'so here too', False: '**not so here**', None: 'undecided here'}


def format_claims(claims: Claims) -> str:
    """Return the claims and their verdicts as a list in Markdown."""
    return '\n'.join(f'- {claim}: {_TEXT[verdict]}.' for claim, verdict in claims.items())


def exceeds(difference: float, noise: float | None = 0.0) -> Verdict:
    """Return whether a difference is above zero, or None if it is no more than `noise`.

    A noise of None is an unknown one, and counts as 0.
    """
    return None if abs(difference) <= (noise or 0.0) else bool(difference > 0)


def all_hold(verdicts: Iterable[Verdict]) -> Verdict:
    """Return False if one of the verdicts is, else None if one is, else True."""
    verdicts = list(verdicts)
    if False in verdicts:
        return False
    return None if None in verdicts else True
