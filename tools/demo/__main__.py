"""Generates the demonstrations: incidents of five minutes, written as CIBs, shown by crm_mon.

``python -m tools.demo exporter/pacemaker/demo`` writes the files that each demonstration replays
into a folder of its name:

- ``frames/NN-name.xml``: the output of the real ``crm_mon --output-as=xml --inactive`` at each
  moment, with the clock set by faketime (Debian: pacemaker-cli-utils, faketime);
- ``cib.xml``: the configuration as cibadmin prints it, with an empty status section, and
  ``frames/NN-name.cib.xml`` for each frame with another configuration;
- ``timeline.json``: when each frame is shown, what happens in it, and which of the answers in
  ``corosync/``, captured on a real cluster, goes with it.

Large stories have their XML files in ``frames.tar.xz``. The same crm_mon writes the same bytes
every time. Without a running cluster it cannot print the `<pacemakerd>` element and the fencing
history.
"""

import sys
from pathlib import Path

from tools.demo import bundles, cloud
from tools.demo.story import write

if len(sys.argv[1:]) != 1:
    sys.exit("usage: python -m tools.demo DIRECTORY")
write(Path(sys.argv[1], "bundles"), bundles.frames())
write(Path(sys.argv[1], "cloud"), cloud.frames())
