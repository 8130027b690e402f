"""What the half that plans asks of encoder files, behind one door: read, import, export, verify."""

from caebench.checkpoints import export as export
from caebench.checkpoints import importing as importing
from caebench.checkpoints import inspection as inspection
from caebench.checkpoints import timm_files as timm_files
from caebench.checkpoints.inspection import Inspection as Inspection
from caebench.tasks import verification as verification
