"""Peers: what one would otherwise run, beside ours, on the same stream and for the same work."""

from benchmarks.peers.contest import BENCHMARK as BENCHMARK
