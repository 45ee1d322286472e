"""Programs that print figures: one small program per question, with a one-line answer last.

    python -m benchmarks             all of them; the table also goes to bench/figures.md and .json
    python -m benchmarks --quick     the same with few images: to see that the programs work
    python -m benchmarks.limit       one alone

A program is a module here with two things:

- ``measure(scope: Scope) -> list[Figure]`` measures and says each figure once it has it;
- ``if __name__ == "__main__": run(measure)``, from `program.py`, reads the command line.

It is listed in `__main__.py`, which runs each in a process of its own, as one does by hand. Figures
that are aimed at are ratios within one run, as far as possible: they hold on other computers. The
two sides of a ratio are measured in turns, and the median counts. All is done in temporary folders:
no program touches the user's cache, settings or models.
"""
