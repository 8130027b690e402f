"""SLURM's own accounting for a test cluster: MariaDB on a socket in the cluster's folder, and slurmdbd."""

from pathlib import Path

from tests.slurm.configuration import Folder


def database_socket(folder: Folder) -> Path:
    return folder.run / "mariadb.socket"


def write(folder: Folder, port: int) -> None:
    (folder.root / "database").mkdir()
    (folder.root / "mariadb.cnf").write_text(mariadb_cnf(folder), encoding="utf8")
    conf = folder.root / "slurmdbd.conf"
    conf.touch(mode=0o600)  # slurmdbd refuses one that others can read
    conf.write_text(slurmdbd_conf(folder, port), encoding="utf8")


def mariadb_cnf(folder: Folder) -> str:
    """Small, and careless of crashes."""
    lines = [
        "[mariadbd]",
        "user=root",
        f"datadir={folder.root}/database",
        f"socket={database_socket(folder)}",
        f"pid-file={folder.run}/mariadbd.pid",
        f"log-error={folder.log}/mariadbd.log",
        "skip-networking",
        "innodb-buffer-pool-size=64M",
        "innodb-log-file-size=16M",
        "innodb-lock-wait-timeout=900",  # slurmdbd asks for it
        "innodb-flush-log-at-trx-commit=0",
        "innodb-flush-method=nosync",
        "innodb-doublewrite=0",
    ]
    return "\n".join([*lines, ""])


def slurmdbd_conf(folder: Folder, port: int) -> str:
    lines = [
        "AuthType=auth/munge",
        f"AuthInfo=socket={folder.run}/munge.socket",
        "DbdHost=localhost",
        "DbdAddr=127.0.0.1",
        f"DbdPort={port}",
        "SlurmUser=root",
        f"PidFile={folder.run}/slurmdbd.pid",
        f"LogFile={folder.log}/slurmdbd.log",
        "StorageType=accounting_storage/mysql",
        "StorageHost=localhost",
        "StorageUser=root",
        "StorageLoc=slurm",
    ]
    return "\n".join([*lines, ""])


def install_command(folder: Folder) -> list[str]:
    """Makes an empty database whose root is the system's, without a password."""
    options = ["--user=root", "--skip-test-db", "--auth-root-authentication-method=socket"]
    defaults = f"--defaults-file={folder.root}/mariadb.cnf"
    return ["mariadb-install-db", defaults, *options, "--auth-root-socket-user=root"]


def server_command(folder: Folder) -> list[str]:
    """Through a shell: mariadbd does not go to the background by itself."""
    return ["sh", "-c", f"mariadbd --defaults-file={folder.root}/mariadb.cnf &"]


def create_command(folder: Folder) -> list[str]:
    return ["mariadb", f"--socket={database_socket(folder)}", "-e", "create database if not exists slurm"]
