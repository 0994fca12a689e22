"""The tutorial: a finger server grown in stages, and the proof that each keeps its promises."""
