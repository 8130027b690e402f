"""Debian's packages of SLURM: which are missing, why a cluster cannot run here, and apt to install them.

python -m tests.slurm.install                # what the tests need
python -m tests.slurm.install --accounting   # slurmdbd and its database too
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping

PACKAGES = {"munged": "munge", "sbatch": "slurm-client", "slurmctld": "slurmctld", "slurmd": "slurmd"}
WITH_ACCOUNTING = {**PACKAGES, "slurmdbd": "slurmdbd", "mariadbd": "mariadb-server"}


def search_path() -> str:
    """PATH with the folders of the daemons, which a user's own often lacks."""
    return os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])


def missing_packages(needed: Mapping[str, str] = PACKAGES) -> list[str]:
    return [package for program, package in needed.items() if not shutil.which(program, path=search_path())]


def obstacle(needed: Mapping[str, str] = PACKAGES) -> str | None:
    """Why the test cluster cannot be started on this machine, in one line; None where it can."""
    if sys.platform != "linux":
        return f"SLURM's daemons need Linux, and this is {sys.platform}"
    if missing := missing_packages(needed):
        cure = "make test-slurm" if needed == PACKAGES else "python -m tests.slurm.install --accounting"
        return f"SLURM is not installed (missing: {', '.join(missing)}); {cure} installs it on Debian"
    if os.geteuid() != 0:
        return "the test cluster starts SLURM's daemons as root, and this user is not root"
    return None


def apt_obstacle() -> str | None:
    """Why apt cannot install packages here."""
    if not shutil.which("apt-get"):
        return "there is no apt-get on this machine; install them by its own means"
    if os.geteuid() != 0:
        return "apt-get needs root; run it as root, or ask the machine's administrator"
    return None


def apt(*arguments: str) -> None:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    command = ["apt-get", "--quiet", *arguments]
    print("+", *command, flush=True)
    if status := subprocess.run(command, env=environment, check=False).returncode:
        sys.exit(f"apt-get {arguments[0]} failed with status {status}; its own words stand above.")


def main() -> None:
    needed = WITH_ACCOUNTING if "--accounting" in sys.argv[1:] else PACKAGES
    missing = missing_packages(needed)
    if not missing:
        print("SLURM is installed:", ", ".join(needed.values()))
        return
    if reason := apt_obstacle():
        sys.exit(f"Cannot install {', '.join(missing)}: {reason}.")
    print("Installing SLURM for the test cluster with apt:", ", ".join(missing), flush=True)
    apt("update")
    apt("install", "--yes", "--no-install-recommends", *missing)
    if still := missing_packages(needed):
        sys.exit(f"apt-get succeeded, but the programs of {', '.join(still)} are not on {search_path()}.")


if __name__ == "__main__":
    main()
