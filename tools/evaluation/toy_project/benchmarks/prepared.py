# mypy: disable-error-code="import-not-found"
# (The toy package exists in the repositories that are written from here, not in this one.)
"""Rows with a setup()."""

from toy import ordering


class Numbers:
    """A list in no order, and two sorted ones."""

    def setup(self) -> None:
        """Make the lists; the same in every process."""
        self.numbers = [number * 7919 % 10_007 for number in range(400)]
        self.first = sorted(self.numbers[:200])
        self.second = sorted(self.numbers[200:])

    def time_sort(self) -> None:
        """The list sorted."""
        ordering.sort_numbers(self.numbers)

    def time_merge(self) -> None:
        """The sorted lists merged."""
        ordering.merge_numbers(self.first, self.second)
