"""As many nodes and links as ours, by Mininet: pairs of devices from node to node, no switch, nothing proven.

Prints what starting and stopping took, in seconds.
"""

import sys
import time

begun = time.monotonic()

from mininet.net import Mininet
from mininet.topo import Topo

NODES, LINKS = int(sys.argv[1]), int(sys.argv[2])


class Ring(Topo):
    def build(self):
        nodes = [self.addHost(f"h{number}") for number in range(NODES)]
        for link in range(LINKS):
            self.addLink(nodes[link % NODES], nodes[(link + 1 + link // NODES % (NODES - 1)) % NODES])


net = Mininet(topo=Ring(), controller=None)
net.start()
started = time.monotonic()
net.stop()
print(started - begun, time.monotonic() - started)
