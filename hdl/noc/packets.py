# SPDX-License-Identifier: Apache-2.0
"""Flits and packets of the mesh.

A packet is a head flit and up to two more; ``last`` marks its end. Routers look at the
destination in a head flit and at ``last``, at nothing else.

============  =======================  ==================  ============
packet        flit 0                   flit 1              flit 2
============  =======================  ==================  ============
read          :data:`REQUEST_HEAD`     :data:`ADDRESS`
write         :data:`REQUEST_HEAD`     :data:`ADDRESS`     data
read answer   :data:`RESPONSE_HEAD`    data
write answer  :data:`RESPONSE_HEAD`
error answer  :data:`RESPONSE_HEAD`
============  =======================  ==================  ============

Inside a cluster the destination holds guest coordinates and the stamp is 0; egress replaces both.
``source`` stays in guest coordinates all the way.
"""

from amaranth.lib import data

__all__ = ["ADDRESS", "COORDINATES", "FLIT", "REQUEST_HEAD", "RESPONSE_HEAD"]

COORDINATES = data.StructLayout({"x": 4, "y": 4})
"""A cluster: of the mesh, or of a VM, as the field's name says."""

FLIT = data.StructLayout({"data": 32, "last": 1})
"""What a link carries in one cycle."""

REQUEST_HEAD = data.StructLayout(
    {
        "destination": COORDINATES,
        "source": COORDINATES,  # guest coordinates of the requester
        "owner": 8,  # stamp: VM that sent it
        "core": 2,  # requester's core, brought back by the answer
        "write": 1,
        "select": 4,  # byte lanes, as on the core's bus
        "reserved": 1,
    }
)

ADDRESS = data.StructLayout({"word": 22, "reserved": 10})
"""Word offset in the destination cluster's 16 MiB."""

RESPONSE_HEAD = data.StructLayout(
    {
        "destination": COORDINATES,
        "source": COORDINATES,  # guest coordinates of the cluster that answers
        "owner": 8,
        "core": 2,
        "error": 1,  # denied or failed; no data follows
        "reserved": 5,
    }
)
