"""Training in several processes: ranks, DistributedDataParallel and fully sharded parameters."""
