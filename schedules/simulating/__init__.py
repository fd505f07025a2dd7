"""The coming week: the scheduler on a virtual clock, and the load that it brings."""
