"""The colours of the four phases, apart in grey and for the colour-blind."""

from grokking_pl.metrics.phases import Phase

PHASE_COLOURS = {
    Phase.COMPREHENSION: "#0072b2",
    Phase.GROKKING: "#56b4e9",
    Phase.MEMORIZATION: "#f0b429",
    Phase.CONFUSION: "#d9d9d9",
}
