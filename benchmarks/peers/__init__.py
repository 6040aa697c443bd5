"""Other servers of a scikit-learn network, as their documentation shows, with a network of the bundled model's shape.

Those that accept pictures share their preprocessing. The naive service runs in the environment of the benchmarks. Each
other server has an environment of its own, `.venv-peers/NAME`, which `make peers` installs. `benchmarks.throughput`
measures those that are installed. They are scripts, so that they import nothing of this project.
"""
