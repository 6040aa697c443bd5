"""What people serve a scikit-learn network with today, as their documentation shows it: the same shape of network each.

Each has an environment of its own, `.venv-peers/NAME`, which `make peers` makes; `benchmarks.throughput` measures those
that are there. They run as scripts, so that they need nothing of this project.
"""
