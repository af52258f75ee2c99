//! Private Redis instances: one server, a Sentinel set, a cluster.
