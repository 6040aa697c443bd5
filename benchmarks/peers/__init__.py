"""What people serve a scikit-learn network with today, as their documentation shows it: the same shape of network each.

Those that take pictures share the way from a picture to the network, too. The naive service runs where the benchmarks
do. Each other one has an environment of its own, `.venv-peers/NAME`, which `make peers` makes; `benchmarks.throughput`
measures those that are there. They run as scripts, so that they need nothing of this project.
"""
