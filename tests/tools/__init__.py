"""Programs for developers of the package: benchmarks, audit, mutation testing, reference builder."""
