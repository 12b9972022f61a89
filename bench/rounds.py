"""Rounds side by side: contenders take turns, so that other load on the machine affects them alike."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

from rich.console import Console
from rich.table import Table


@dataclass
class Series:
    """One measured quantity of one contender, one value per round."""

    name: str
    unit: str
    values: list[float] = field(default_factory=list)

    @property
    def middle(self) -> float:
        return median(self.values)


@dataclass(frozen=True, slots=True)
class Ratio:
    """Two series compared round by round, and the aim as a sentence."""

    name: str
    above: Series
    below: Series
    aim: str = ""

    @property
    def value(self) -> float:
        """The median of the rounds' own ratios: a disturbance in a round affects both sides of it."""
        pairs = zip(self.above.values, self.below.values, strict=True)
        return median(above / below for above, below in pairs)


def show(title: str, series: Sequence[Series], ratios: Sequence[Ratio] = ()) -> None:
    """Print a table of minimum, median and maximum, and the ratios under it."""
    console = Console(width=110)
    console.print(title, highlight=False)
    table = Table()
    table.add_column("what")
    for column in ("min", "median", "max", "rounds"):
        table.add_column(column, justify="right")
    table.add_column("unit")
    for one in series:
        if one.values:
            figures = (min(one.values), one.middle, max(one.values))
            table.add_row(one.name, *map(_figure, figures), str(len(one.values)), one.unit)
        else:
            table.add_row(one.name, "–", "–", "–", "0", one.unit)
    console.print(table)
    for ratio in ratios:
        if ratio.above.values and ratio.below.values:
            aim = f" (aim {ratio.aim})" if ratio.aim else ""
            console.print(f"{ratio.name}: [bold]{ratio.value:.2f}[/bold]{aim}", highlight=False)
    console.print()


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"


def percentile(ordered: Sequence[float], share: float) -> float:
    """The smallest value that is not exceeded by at least this share of the values."""
    return ordered[max(0, min(len(ordered) - 1, int(share * len(ordered) + 0.999999) - 1))]


def alternating(names: Sequence[str], round_number: int) -> Sequence[str]:
    """The contenders' order in this round: reversed every other time, so that none always comes second."""
    return list(names) if round_number % 2 == 0 else list(reversed(names))


def by_name(*series: Series) -> Mapping[str, Series]:
    return {one.name: one for one in series}
