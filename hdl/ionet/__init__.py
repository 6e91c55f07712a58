"""The time-multiplexed tree between the clusters and the I/O cluster."""
