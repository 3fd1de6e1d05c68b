"""Programs that try to get out, to stay, or to take more than their share. One that succeeds prints ESCAPED.

Nothing here endangers the machine even where it is let through: forks and memory are bounded by the program itself.
"""

_CTYPES = """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
def call(*a): return libc.syscall(*[ctypes.c_long(x) if isinstance(x, int) else x for x in a])
"""

READS = {
    f"reads {path}": f"""
import os
try:
    if os.path.isdir({path!r}):
        names = os.listdir({path!r})
        if names: print("ESCAPED", names[:5])
    elif open({path!r}, "rb").read(10): print("ESCAPED")
except OSError as e: print(e)
"""
    for path in (
        "/etc/passwd",
        "/etc/shadow",
        "/etc/hostname",
        "/etc/resolv.conf",
        "/root",
        "/home",
        "/root/.ssh",
        "/var",
        "/var/log",
        "/proc/1/environ",
        "/proc/self/environ",
        "/proc/self/maps",
        "/proc/self/mem",
        "/proc/1/cmdline",
        "/proc/meminfo",
        "/proc/mounts",
        "/proc/net/tcp",
        "/sys",
        "/sys/fs/cgroup",
        "/dev/kmsg",
        "/dev/mem",
        "/dev/vda",
        "/dev/tty",
        "/dev/pts",
        "/run",
        "/mnt",
        "/opt",
        "/srv",
        "/boot",
        "/work",
        "/proc/self/root/etc/passwd",
        "/proc/self/cwd/../../etc/passwd",
        "/../etc/passwd",
        "/usr/../etc/passwd",
        "{project}",
        "{home}",
    )
}

WRITES = {
    f"writes {path}": f"""
import os
try:
    open({path!r}, "w").write("x"); print("ESCAPED")
except OSError as e: print(e)
try:
    os.mkdir(os.path.dirname({path!r}) + "/dir-of-a-job"); print("ESCAPED")
except OSError as e: print(e)
"""
    for path in (
        "/etc/job",
        "/usr/lib/job",
        "/usr/bin/job",
        "/root/job",
        "/home/job",
        "/var/tmp/job",
        "/dev/shm/../job",
        "/proc/job",
        "/run/job",
        "/mnt/job",
        "/job",
        "/sys/job",
        "{project}/job",
    )
}

LINKS = {
    "a symbolic link to /etc/passwd": """
import os
os.symlink("/etc/passwd", "link")
try: print("ESCAPED", open("link").read()[:20])
except OSError as e: print(e)
try: open("link", "a").write("x"); print("ESCAPED")
except OSError as e: print(e)
""",
    "a hard link to a program": """
import os
try: os.link("/usr/bin/env", "env"); open("env", "ab"); print("ESCAPED")
except OSError as e: print(e)
""",
    "a loop of links": "import os\nos.symlink('b', 'a'); os.symlink('a', 'b')\nos.mkdir('d'); os.symlink('../d', 'd/e')\n",
    "renaming out": """
import os
open("f", "w").write("x")
for target in ("/f", "/usr/f", "/etc/f", "/root/f"):
    try: os.rename("f", target); print("ESCAPED")
    except OSError as e: print(e)
""",
    "changing the owner and set-user-id": """
import os
open("f", "w").write("x")
try: os.chown("f", 0, 0); print("ESCAPED")
except OSError as e: print(e)
os.chmod("f", 0o6777)
""",
    "set-user-id programs": """
import os, subprocess
for name in ("su", "mount", "passwd", "sudo", "newgrp"):
    try:
        out = subprocess.run([name, "-c", "id -u"], capture_output=True, text=True, stdin=subprocess.DEVNULL).stdout
        if out.strip() == "0": print("ESCAPED")
    except OSError as e: print(e)
""",
    "device nodes": """
import os, stat
for kind, device in ((stat.S_IFBLK, os.makedev(254, 0)), (stat.S_IFCHR, os.makedev(1, 1)), (stat.S_IFCHR, os.makedev(1, 11))):
    try: os.mknod("node", kind | 0o666, device); open("node", "rb").read(1); print("ESCAPED")
    except OSError as e: print(e)
""",
    "chroot and chdir": """
import os
for f in (lambda: os.chroot("."), lambda: os.chroot("/usr")):
    try: f(); print("ESCAPED")
    except OSError as e: print(e)
""",
    "an old directory descriptor": """
import os
for fd in range(0, 1024):
    try: os.listdir(fd); print("ESCAPED", fd)
    except (OSError, NotADirectoryError): pass
    try: os.open("etc/passwd", os.O_RDONLY, dir_fd=fd); print("ESCAPED", fd)
    except OSError: pass
""",
}

LINKS["modes of files outside"] = """
import os
for path in ("{project}/README.md", "{home}", "{project}", "/etc/passwd", "/usr/bin/env"):
    try: before = os.stat(path)
    except OSError: continue
    for f in (lambda: os.chmod(path, before.st_mode ^ 0o1), lambda: os.utime(path, (1, 1)), lambda: os.chown(path, -1, -1), lambda: os.setxattr(path, "user.job", b"x")):
        try: f()
        except OSError as e: print(e)
    after = os.stat(path)
    if (before.st_mode, before.st_mtime) != (after.st_mode, after.st_mtime): print("ESCAPED", path)
"""

DESCRIPTORS = {
    "inherited descriptors": """
import os
left = []
for fd in range(3, 4096):
    try: os.fstat(fd); left.append(fd)
    except OSError: pass
if left: print("ESCAPED", left)
""",
    "standard input is not the parent's": "import os, stat\nmode = os.fstat(0).st_mode\nif not stat.S_ISREG(mode): print('ESCAPED')\n",
    "closing all descriptors": "import os\nos.closerange(0, 1000)\n",
    "closing standard input": "import sys, os\nsys.stdin.close()\ntry: os.close(0)\nexcept OSError: pass\nprint('ok')\n",
    "a terminal": "import os\ntry: os.ctermid(); open('/dev/tty', 'w').write('x'); print('ESCAPED')\nexcept OSError as e: print(e)\n",
}

PROCESSES = {
    "kills its parent": """
import os, signal
for s in (signal.SIGTERM, signal.SIGKILL, signal.SIGSTOP):
    try: os.kill(os.getppid(), s)
    except OSError as e: print(e)
""",
    "kills everything": """
import os, signal
try: os.kill(-1, signal.SIGKILL)
except OSError as e: print(e)
""",
    "kills by number": """
import os, signal
me = {os.getpid(), os.getppid()}
for pid in list(range(1, 3000)):
    if pid in me: continue
    try: os.kill(pid, signal.SIGKILL); print("ESCAPED", pid)
    except OSError: pass
""",
    "signals its group": "import os, signal\nos.killpg(0, signal.SIGUSR1)\n",
    "signals by pidfd": """
import os, signal
for pid in range(1, 2000):
    if pid in (os.getpid(), os.getppid()): continue
    try: fd = os.pidfd_open(pid)
    except OSError: continue
    try: signal.pidfd_send_signal(fd, 9); print("ESCAPED", pid)
    except OSError: pass
""",
    "a bounded fork bomb": """
import os, time
made = 0
for _ in range(400):
    try:
        if os.fork() == 0: time.sleep(20); os._exit(0)
        made += 1
    except OSError: break
if made > 100: print("ESCAPED", made)
""",
    "doubling forks": """
import os
for _ in range(9):
    try: os.fork()
    except OSError: pass
import time; time.sleep(20)
""",
    "many threads": """
import threading, time
made = 0
for _ in range(400):
    try: threading.Thread(target=time.sleep, args=(20,), daemon=True).start(); made += 1
    except RuntimeError: break
if made > 100: print("ESCAPED", made)
import os; os._exit(0)
""",
    "a daemon by setsid and two forks": """
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        for _ in range(1000): time.sleep(0.02)
    os._exit(0)
print("done")
""",
    "a daemon that ignores signals": """
import os, signal, time
if os.fork() == 0:
    for s in range(1, 65):
        try: signal.signal(s, signal.SIG_IGN)
        except (OSError, ValueError): pass
    os.setsid()
    while True: time.sleep(1)
""",
    "a child that holds the output open": """
import os, time
if os.fork() == 0:
    time.sleep(30)
print("done", flush=True)
""",
    "zombies": """
import os
for _ in range(40):
    try:
        if os.fork() == 0: os._exit(0)
    except OSError: break
print("done")
""",
    "an executed program that stays": """
import subprocess, sys
subprocess.Popen(["sleep", "30"], start_new_session=True)
print("done")
""",
    "a loop that ignores signals": """
import signal
for s in range(1, 65):
    try: signal.signal(s, signal.SIG_IGN)
    except (OSError, ValueError): pass
while True:
    try:
        while True: pass
    except BaseException: pass
""",
    "sleeping for ever": "import time\ntime.sleep(10**6)\n",
    "blocking in C": "sum(range(10**12))\n",
    "a regular expression that explodes": "import re\nre.match(r'(a+)+$', 'a' * 40 + 'b')\n",
    "stopping itself": "import os, signal\nos.kill(os.getpid(), signal.SIGSTOP)\nimport time; time.sleep(20)\n",
    "a raised CPU limit": """
import resource
for what in (resource.RLIMIT_CPU, resource.RLIMIT_DATA, resource.RLIMIT_AS, resource.RLIMIT_NPROC, resource.RLIMIT_FSIZE):
    try: resource.setrlimit(what, (resource.RLIM_INFINITY, resource.RLIM_INFINITY)); print("ESCAPED", what)
    except (OSError, ValueError) as e: print(e)
""",
    "limits of the parent": """
import os, resource
try: resource.prlimit(os.getppid(), resource.RLIMIT_CPU, (1, 1)); print("ESCAPED")
except OSError as e: print(e)
""",
    "a better priority": "import os\ntry: os.nice(-10); print('ESCAPED')\nexcept OSError as e: print(e)\n",
    "users and groups": """
import os
for f in (lambda: os.setuid(0), lambda: os.setgid(0), lambda: os.setgroups([0])):
    try: f(); print("ESCAPED")
    except OSError as e: print(e)
if os.getuid() == 0 and os.access("/usr", os.W_OK): print("ESCAPED")
""",
}

MEMORY = {
    "one large allocation": "x = bytearray(700 << 20)\nprint('ESCAPED')\n",
    "growing by and by": "x = []\nwhile len(x) < 600: x.append(bytearray(1 << 20))\nprint('ESCAPED')\n",
    "a tree of processes": """
import os, time
for _ in range(8):
    if os.fork() == 0:
        x = b"x" * (120 << 20); time.sleep(0.5); os._exit(0)
if sum(os.wait()[1] == 0 for _ in range(8)) == 8: print("ESCAPED")
""",
    "a tree of processes that writes slowly": """
import os, time
for _ in range(6):
    if os.fork() == 0:
        x = []
        for _ in range(100): x.append(b"x" * (1 << 20)); time.sleep(0.002)
        time.sleep(0.5); os._exit(0)
if sum(os.wait()[1] == 0 for _ in range(6)) == 6: print("ESCAPED")
""",
    "a shared mapping": """
import mmap, time
x = mmap.mmap(-1, 700 << 20)
for i in range(0, 700 << 20, 4096): x[i] = 1
time.sleep(0.3); print("ESCAPED")
""",
    "a file in memory": """
import os
try: fd = os.memfd_create("x")
except OSError as e: print(e)
else:
    for _ in range(700): os.write(fd, b"x" * (1 << 20))
    print("ESCAPED")
""",
    "files in its directory": """
try:
    for i in range(20):
        with open(f"f{i}", "wb") as f:
            for _ in range(64): f.write(b"x" * (1 << 20))
    import time; time.sleep(0.3); print("ESCAPED")
except OSError as e: print(e)
""",
    "many files": """
import os, time
try:
    for i in range(60000): os.close(os.open(f"f{i}", os.O_CREAT | os.O_WRONLY))
    time.sleep(0.3); print("ESCAPED")
except OSError as e: print(e)
""",
    "many directories": """
import os, time
try:
    for i in range(30000): os.mkdir("d"); os.chdir("d")
    time.sleep(0.3); print("ESCAPED")
except OSError as e: print(e)
""",
    "a sparse file": """
import os
try: f = open("f", "wb"); f.truncate(1 << 40); print("ESCAPED")
except OSError as e: print(e)
""",
    "huge output": "import sys\nfor _ in range(200): sys.stdout.write('x' * (1 << 20))\nprint('ESCAPED')\n",
    "huge error output": "import sys\nfor _ in range(200): sys.stderr.write('x' * (1 << 20))\nprint('ESCAPED')\n",
    "endless output": "while True: print('x' * 10000)\n",
    "a huge number": "x = 10 ** (10 ** 9)\nprint('ESCAPED')\n",
    "a huge text": "x = 'x' * (1 << 40)\nprint('ESCAPED')\n",
    "deep recursion": "import sys\nsys.setrecursionlimit(10**9)\ndef f(n): return f(n + 1) + 1\nf(0)\n",
    "deep recursion in C": "x = []\nfor _ in range(10**6): x = [x]\nrepr(x)\n",
    "a deep syntax tree": "exec('(' * 100000)\n",
    "a deep expression": "eval('-' * 1000000 + '1')\n",
    "pipes full of data": """
import os
n = 0
try:
    for _ in range(2000):
        r, w = os.pipe(); os.set_blocking(w, False); os.write(w, b"x" * 65536); n += 1
except OSError: pass
if n > 1000: print("ESCAPED", n)
""",
    "many descriptors": "import os\nn = 0\ntry:\n    while n < 5000: os.dup(0); n += 1\nexcept OSError: pass\nif n > 1000: print('ESCAPED')\n",
    "locked memory": _CTYPES + "import mmap\nif libc.mlockall(3) == 0: print('ESCAPED')\n",
}

CALLS = {
    "ptrace": _CTYPES
    + "if call(101, 16, os.getppid(), 0, 0) == 0: print('ESCAPED')\nif call(101, 0, 0, 0, 0) == 0: print('ESCAPED')\n",
    "process_vm_readv": _CTYPES
    + """
b = ctypes.create_string_buffer(16)
class V(ctypes.Structure): _fields_ = [("b", ctypes.c_void_p), ("n", ctypes.c_size_t)]
l = V(ctypes.addressof(b), 16); r = V(id(call), 16)
for pid in (os.getppid(), 1):
    if call(310, pid, ctypes.byref(l), 1, ctypes.byref(r), 1, 0) > 0: print("ESCAPED")
""",
    "another process' memory file": "import os\nfor p in (os.getppid(), 1, 'self'):\n    try: open(f'/proc/{p}/mem', 'r+b'); print('ESCAPED')\n    except OSError as e: print(e)\n",
    "mount": _CTYPES
    + "if libc.mount(b'none', b'.', b'tmpfs', 0, None) == 0 or libc.mount(b'proc', b'.', b'proc', 0, None) == 0: print('ESCAPED')\n",
    "umount": _CTYPES
    + "if any(libc.umount2(p, 2) == 0 for p in (b'/box', b'/', b'/usr', b'/dev/null')): print('ESCAPED')\n",
    "remounting for writing": _CTYPES + "if libc.mount(b'none', b'/', None, 32, None) == 0: print('ESCAPED')\n",
    "new user namespace": _CTYPES + "if libc.unshare(0x10000000) == 0: print('ESCAPED')\n",
    "clone into namespaces": _CTYPES
    + "p = call(56, 0x10000000 | 0x00020000 | 17, 0, 0, 0, 0)\nif p == 0: os._exit(0)\nif p > 0: print('ESCAPED')\n",
    "clone3": _CTYPES
    + "a = (ctypes.c_uint64 * 11)(0x10000000, 0, 0, 0, 17)\np = call(435, ctypes.byref(a), 88)\nif p == 0: os._exit(0)\nif p > 0: print('ESCAPED')\n",
    "setns": _CTYPES + "if call(308, 0, 0) == 0: print('ESCAPED')\n",
    "keyctl": _CTYPES + "if call(250, 0, -3, 1) > 0 or call(248, b'user', b'k', b'v', 1, -3) > 0: print('ESCAPED')\n",
    "io_uring": _CTYPES + "p = ctypes.create_string_buffer(256)\nif call(425, 4, p) >= 0: print('ESCAPED')\n",
    "bpf": _CTYPES + "b = ctypes.create_string_buffer(128)\nif call(321, 0, b, 72) >= 0: print('ESCAPED')\n",
    "perf_event_open": _CTYPES
    + "b = ctypes.create_string_buffer(128)\nb[4] = 128\nif call(298, b, 0, -1, -1, 0) >= 0: print('ESCAPED')\n",
    "userfaultfd": _CTYPES + "if call(323, 1) >= 0 or call(323, 0) >= 0: print('ESCAPED')\n",
    "SysV shared memory": _CTYPES + "if call(29, 0x5256, 4096, 0o1666) >= 0: print('ESCAPED')\n",
    "SysV semaphores": _CTYPES + "if call(64, 0x5256, 1, 0o1666) >= 0: print('ESCAPED')\n",
    "SysV messages": _CTYPES + "if call(68, 0x5256, 0o1666) >= 0: print('ESCAPED')\n",
    "POSIX message queues": _CTYPES + "if call(240, b'job', 0o102, 0o666, 0) >= 0: print('ESCAPED')\n",
    "kexec, modules, reboot": _CTYPES
    + "if any(call(n, 0, 0, 0, 0) == 0 for n in (246, 175, 313, 167, 168, 163)): print('ESCAPED')\nif call(169, 0xfee1dead, 672274793, 0x89abcdef, 0) == 0: print('ESCAPED')\n",
    "setting the clock": "import time\ntry: time.clock_settime(time.CLOCK_REALTIME, 0); print('ESCAPED')\nexcept OSError as e: print(e)\n",
    "setting the host name": "import socket\ntry: socket.sethostname('job'); print('ESCAPED')\nexcept OSError as e: print(e)\n",
    "file handles": _CTYPES
    + "b = ctypes.create_string_buffer(256)\nb[0] = 128\nm = ctypes.c_int()\nif call(303, -100, b'.', b, ctypes.byref(m), 0) == 0: print('ESCAPED')\n",
    "a looser seccomp filter": _CTYPES + "libc.prctl(22, 0, 0, 0, 0)\nif libc.prctl(21) != 2: print('ESCAPED')\n",
    "capabilities": _CTYPES
    + "h = (ctypes.c_uint32 * 2)(0x20080522, 0)\nd = (ctypes.c_uint32 * 6)(0xffffffff, 0xffffffff, 0, 0xff, 0xff, 0)\nif call(126, h, d) == 0: print('ESCAPED')\n",
    "dumpable again": _CTYPES
    + "libc.prctl(4, 1, 0, 0, 0)\ntry: open('/proc/self/mem', 'rb'); print('ESCAPED')\nexcept OSError: pass\n",
    "the 32-bit door": _CTYPES
    + """
import mmap
code = mmap.mmap(-1, 4096, prot=7)
code.write(bytes.fromhex("b814000000cd80c3"))  # getpid by int 0x80
f = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(code)))
if f() > 0: print("ESCAPED")
""",
    "the x32 numbers": _CTYPES + "if call(0x40000000 + 39) > 0: print('ESCAPED')\n",
    "borrowing a descriptor": _CTYPES
    + "import os\ntry: fd = os.pidfd_open(os.getppid())\nexcept OSError: fd = -1\nif call(438, fd, 0, 0) >= 0: print('ESCAPED')\n",
    "debugging the zygote": _CTYPES + "print(call(101, 16, 1, 0, 0))\n",
}

NETWORK = {
    f"a socket of {family}": f"""
import socket
try:
    s = socket.socket({family}, {kind}); print("ESCAPED")
except (OSError, AttributeError) as e: print(e)
"""
    for family, kind in (
        ("socket.AF_INET", "socket.SOCK_STREAM"),
        ("socket.AF_INET", "socket.SOCK_DGRAM"),
        ("socket.AF_INET6", "socket.SOCK_STREAM"),
        ("socket.AF_INET", "socket.SOCK_RAW"),
        ("socket.AF_UNIX", "socket.SOCK_STREAM"),
        ("socket.AF_UNIX", "socket.SOCK_DGRAM"),
        ("socket.AF_NETLINK", "socket.SOCK_RAW"),
        ("socket.AF_PACKET", "socket.SOCK_RAW"),
        ("socket.AF_VSOCK", "socket.SOCK_STREAM"),
        ("socket.AF_ALG", "socket.SOCK_SEQPACKET"),
    )
} | {
    "resolving a name": "import socket\ntry: socket.getaddrinfo('example.com', 80); print('ESCAPED')\nexcept OSError as e: print(e)\n",
    "a datagram pair": "import socket\ntry: socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM); print('ESCAPED')\nexcept OSError as e: print(e)\n",
    "connecting a pair elsewhere": "import socket\na, b = socket.socketpair()\nfor t in ('\\0x', '/run/x'):\n    try: a.connect(t); print('ESCAPED')\n    except OSError as e: print(e)\n",
    "binding a pair": "import socket\na, b = socket.socketpair()\ntry: a.bind('\\0job'); print('ESCAPED')\nexcept OSError as e: print(e)\n",
    "urllib": "import urllib.request\ntry: urllib.request.urlopen('http://127.0.0.1:80', timeout=2); print('ESCAPED')\nexcept OSError as e: print(e)\n",
}

CRASHES = {
    "a segmentation fault": "import ctypes\nctypes.string_at(0)\n",
    "an abort": "import os\nos.abort()\n",
    "an illegal instruction": "import ctypes, mmap\nm = mmap.mmap(-1, 4096, prot=7)\nm.write(b'\\x0f\\x0b')\nctypes.CFUNCTYPE(None)(ctypes.addressof(ctypes.c_char.from_buffer(m)))()\n",
    "a corrupted heap": "import ctypes\nctypes.memset(id(None) & ~4095, 255, 4096)\nprint(None)\n",
    "NUL bytes in the source": "print('a')\0\n",
    "NUL bytes in the output": "print('\\0' * 1000)\n",
    "junk bytes in the output": "import os\nos.write(1, bytes(range(256)) * 100)\n",
    "surrogates in the output": "print('\\udcff\\ud800')\n",
    "an unknown encoding": "# -*- coding: no-such-thing -*-\nprint(1)\n",
    "surrogates in the source": "print('\udcff')\n",
    "a raising exit hook": "import atexit\natexit.register(lambda: 1 / 0)\n",
    "an exit hook that loops": "import atexit, time\natexit.register(lambda: time.sleep(100))\n",
    "a thread that never ends": "import threading, time\nthreading.Thread(target=time.sleep, args=(100,)).start()\n",
    "a destructor that loops": "class A:\n    def __del__(s):\n        while True: pass\na = A()\ndel a\n",
    "a broken excepthook": "import sys\nsys.excepthook = lambda *a: 1 / 0\nraise ValueError\n",
}

POISONS = {
    "modules": "import sys, builtins, json, os, socket\njson.loads = json.dumps = None\nsocket.socket.recv = None\nos.fork = None\nbuiltins.exec = None\nsys.modules.clear()\n",
    "frozen objects": "import ctypes\nctypes.c_long.from_address(id(5) + 24).value = 6\n",
    "files beside the program": "for n in ('json', 'socket', 'os', 'math', 'random', 'collections', 'sitecustomize', 'asyncio', 'statistics'):\n    open(n + '.py', 'w').write('raise SystemExit(1)')\nimport os\nos.makedirs('__pycache__', exist_ok=True)\n",
    "environment": "import os\nos.environ['PYTHONSTARTUP'] = '/box/x.py'\nos.environ['LD_PRELOAD'] = '/box/x.so'\n",
    "unreadable directories": "import os\nos.makedirs('a/b/c')\nopen('a/b/c/f', 'w').write('x')\nos.chmod('a/b', 0)\nos.chmod('a', 0)\n",
    "strange names": "import os\nfor n in (b'\\xff\\xfe', b'a\\nb', b'-rf', b' ', b'x' * 255): open(n, 'w').close()\nos.mkfifo('fifo')\nos.symlink('/', 'root')\n",
    "its working directory": "import os, shutil\nd = os.getcwd()\nos.chdir('/')\nshutil.rmtree(d, ignore_errors=True)\ntry: os.chmod(d, 0)\nexcept OSError: pass\n",
    "the terminal state of random": "import random\nrandom.seed(0)\nrandom.random = lambda: 0.5\n",
}

ALL = (
    READS
    | WRITES
    | LINKS
    | DESCRIPTORS
    | PROCESSES
    | MEMORY
    | CALLS
    | NETWORK
    | CRASHES
    | {f"poisons {k}": v for k, v in POISONS.items()}
)
