# mypy: disable-error-code="import-not-found"
# (The toy package exists in the repositories that are written from here, not in this one.)
"""Rows with a small setup()."""

from toy import ordering


class Numbers:
    """Numbers in no order, and two sorted sequences of them."""

    def setup(self) -> None:
        """Make the lists; the same in every process."""
        self.numbers = [number * 7919 % 10_007 for number in range(400)]
        self.first = sorted(self.numbers[:200])
        self.second = sorted(self.numbers[200:])

    def time_sort(self) -> None:
        """The numbers sorted."""
        ordering.sort_these(self.numbers)

    def time_merge(self) -> None:
        """The sorted sequences merged."""
        ordering.merge_these(self.first, self.second)

    def time_heap(self) -> None:
        """Half of the numbers taken out of a heap."""
        ordering.heap_of_these(self.numbers)

    def time_unique(self) -> None:
        """Repeated numbers dropped."""
        ordering.unique_of_these(self.numbers)
