"""The files of this machine that a job may read: the interpreter, its standard library, system libraries and programs.

Not the home directory, not the project, not /etc, and only those installed packages that were requested.
"""

import functools
import importlib.util
import os
import sys
import sysconfig

DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/urandom", "/dev/random")
_SYSTEM = ("/usr/lib", "/usr/lib64", "/usr/lib32", "/usr/bin", "/lib", "/lib64", "/bin", "/usr/share/zoneinfo")
_LOADER_CACHE = "/etc/ld.so.cache"  # where the loader finds libraries outside its default directories
_PACKAGES = {
    "numpy": ("numpy", "numpy.libs"),
    "pytest": ("pytest", "_pytest", "pluggy", "iniconfig", "packaging", "pygments"),
}
# Modules that programs commonly import. Each additional module slows down every fork (asyncio alone by a tenth), so the
# jobs load the rarer ones from disk; also `random`, which draws its seed on import.
_COMMON = """
    abc bisect collections contextlib enum functools heapq io itertools json math operator re struct time types typing
"""
PRELOAD = tuple(_COMMON.split())


def executable() -> str:
    """The interpreter's binary itself, not the link in a virtual environment.

    If this user may not execute that path, the binary that runs this process.
    """
    binary = os.path.realpath(getattr(sys, "_base_executable", sys.executable))
    return binary if os.access(binary, os.X_OK) else os.path.realpath("/proc/self/exe")


def standard_library() -> list[str]:
    """The standard library as entries of `sys.path`."""
    library = os.path.realpath(sysconfig.get_path("stdlib"))
    return [library, os.path.join(library, "lib-dynload")]


@functools.cache
def is_installed(package: str) -> bool:
    """Whether this interpreter finds `package`; looked up once per process without importing it."""
    return importlib.util.find_spec(package) is not None


def package_paths(package: str) -> list[str]:
    """The directories and files of an installed package and its dependencies; empty if it is not installed.

    Nothing is imported: the parent process has no use for numpy.
    """
    if not is_installed(package):
        return []
    paths: list[str] = []
    for name in _PACKAGES[package]:
        spec = importlib.util.find_spec(name) if "." not in name else None
        if spec is not None and spec.submodule_search_locations:
            paths.extend(os.path.realpath(path) for path in spec.submodule_search_locations)
        elif spec is not None and spec.origin:
            paths.append(os.path.realpath(spec.origin))
        elif "." in name and paths:
            paths.append(os.path.join(os.path.dirname(paths[0]), name))
    return [path for path in paths if os.path.exists(path)]


def readable_paths(packages: tuple[str, ...]) -> list[str]:
    """All paths that jobs of a zygote with these packages may read and execute, with symbolic links resolved."""
    names = (sysconfig.get_config_var("LDLIBRARY"), sysconfig.get_config_var("INSTSONAME"))
    library_directory = sysconfig.get_config_var("LIBDIR") or ""
    paths = [executable(), *standard_library()[:1], *_SYSTEM, _LOADER_CACHE]
    paths += [os.path.join(library_directory, name) for name in names if name]
    for package in packages:
        paths += package_paths(package)
    return sorted({os.path.realpath(path) for path in paths if os.path.exists(path)})
