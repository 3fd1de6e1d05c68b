"""More programs that try to get out, to stay, or to take more than their share. One that succeeds prints ESCAPED."""

from hostile import _CTYPES

_SOCKETS = {
    "filters of sockets": "import ctypes, socket, struct\nb = ctypes.create_string_buffer(struct.pack('<HBBI', 6, 0, 0, 1))\na, c = socket.socketpair()\nfor option in (26, 51):\n    try: a.setsockopt(1, option, struct.pack('HxxxxxxQ', 1, ctypes.addressof(b))); print('ESCAPED', option)\n    except OSError as e: print(e)\n",
    "filters of system calls": _CTYPES
    + "import struct\nb = ctypes.create_string_buffer(struct.pack('<HBBI', 6, 0, 0, 0x7fff0000))\np = struct.pack('HxxxxxxQ', 1, ctypes.addressof(b))\nif libc.prctl(22, 2, p, 0, 0) == 0: print('ESCAPED')\nif call(317, 1, 0, p) == 0: print('ESCAPED')\n",
    "news of a directory": "import fcntl, os\nfor d in ('.', '/', '/usr/bin', '/usr/lib'):\n    try: fcntl.fcntl(os.open(d, os.O_RDONLY), 1026, 0x8000003f); print('ESCAPED', d)\n    except OSError as e: print(e)\n",
    "memory in the buffers of sockets": "import os, socket, time\nfor _ in range(5): os.fork()\nps = []\ntry:\n    while True:\n        for s in socket.socketpair():\n            s.setblocking(False); ps.append(s)\n            try:\n                while True: s.send(b'x' * 65536)\n            except BlockingIOError: pass\nexcept OSError: pass\ntime.sleep(0.5)\nif len(ps) > 200: print('ESCAPED')\n",
    "descriptors sent over a pair": "import array, os, socket\na, b = socket.socketpair()\nn = 0\ntry:\n    for _ in range(2000):\n        socket.send_fds(a, [b'x'], [0] * 200); n += 200\nexcept OSError as e: print(e)\nif n > 100000: print('ESCAPED', n)\n",
    "sendto on a pair": "import socket\na, b = socket.socketpair()\nfor t in ('\\0rlvr', '/run/systemd/notify', '/dev/log'):\n    try: a.sendto(b'x', t); print('ESCAPED')\n    except OSError as e: print(e)\n",
    "sendmsg to an address": "import socket\na, b = socket.socketpair()\ntry: a.sendmsg([b'x'], [], 0, '/dev/log'); print('ESCAPED')\nexcept OSError as e: print(e)\n",
    "listening on a pair": "import socket\na, b = socket.socketpair()\ntry: a.listen(); a.accept(); print('ESCAPED')\nexcept OSError as e: print(e)\n",
    "a socket by the 32-bit multiplexer": _CTYPES
    + "a = (ctypes.c_long * 3)(2, 1, 0)\nif call(102 + 1000, 1, a) >= 0: print('ESCAPED')\nif call(41, 2, 1, 0) >= 0: print('ESCAPED')\n",
    "a sequenced packet pair": "import socket\ntry: socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET); print('ESCAPED')\nexcept OSError as e: print(e)\n",
    "http.server": "import http.server\ntry: http.server.HTTPServer(('127.0.0.1', 0), http.server.BaseHTTPRequestHandler); print('ESCAPED')\nexcept OSError as e: print(e)\n",
    "a manager's socket": "import multiprocessing.connection as c\ntry: c.Listener(); print('ESCAPED')\nexcept OSError as e: print(e)\n",
}

_PROCESSES = {
    "other users' priorities": "import os\nbefore = os.getpriority(os.PRIO_PROCESS, 0)\nfor which in (os.PRIO_USER, os.PRIO_PGRP):\n    try: os.setpriority(which, 0, 19); print('ESCAPED')\n    except OSError as e: print(e)\n",
    "signals by SIGIO's owner": "import fcntl, os, socket\na, b = socket.socketpair()\nfor pid in (1, os.getppid(), 2, 3):\n    try:\n        fcntl.fcntl(a, fcntl.F_SETOWN, pid); fcntl.fcntl(a, fcntl.F_SETFL, fcntl.fcntl(a, fcntl.F_GETFL) | os.O_ASYNC)\n        b.send(b'x')\n    except OSError as e: print(e)\n",
    "tgkill and rt_sigqueueinfo": _CTYPES
    + "me = os.getpid()\nb = ctypes.create_string_buffer(128)\nfor pid in range(1, 500):\n    if pid in (me, os.getppid()): continue\n    if call(234, pid, pid, 9) == 0 or call(129, pid, 9, b) == 0: print('ESCAPED', pid)\n",
    "process groups of others": "import os\nfor pid in range(2, 300):\n    if pid == os.getpid(): continue\n    try: os.killpg(pid, 9); print('ESCAPED', pid)\n    except OSError: pass\n",
    "a session of its own and a vfork": "import os, subprocess\nos.setsid() if os.getpid() != os.getsid(0) else None\nsubprocess.Popen(['sh', '-c', 'trap \"\" TERM HUP INT; (sleep 20 &) ; sleep 20'], close_fds=False)\nprint('done')\n",
    "adopting its own orphans": _CTYPES
    + "libc.prctl(36, 1, 0, 0, 0)\nfor _ in range(5):\n    if os.fork() == 0:\n        if os.fork() == 0:\n            import time; time.sleep(20)\n        os._exit(0)\nprint('done')\n",
    "no death with the parent": _CTYPES
    + "libc.prctl(1, 0, 0, 0, 0)\nif os.fork() == 0:\n    libc.prctl(1, 0, 0, 0, 0); os.setsid()\n    import time; time.sleep(20)\nprint('done')\n",
    "forks without end": "import os\nwhile True:\n    try:\n        if os.fork(): os._exit(0)\n    except OSError: pass\n",
    "threads that fork": "import os, threading, time\ndef f():\n    for _ in range(30):\n        try:\n            if os.fork() == 0: time.sleep(20); os._exit(0)\n        except OSError: return\nts = []\nfor _ in range(8):\n    try: t = threading.Thread(target=f); t.start(); ts.append(t)\n    except RuntimeError: pass\nfor t in ts: t.join()\ntime.sleep(20)\n",
    "timers": "import signal, time\nsignal.signal(signal.SIGALRM, lambda *a: None)\nsignal.setitimer(signal.ITIMER_REAL, 0.0001, 0.0001)\nwhile True: time.sleep(1)\n",
    "a real-time scheduler": "import os\nfor p in (os.SCHED_FIFO, os.SCHED_RR):\n    try: os.sched_setscheduler(0, p, os.sched_param(10)); print('ESCAPED')\n    except OSError as e: print(e)\n",
    "stopping its children": "import os, signal, time\np = os.fork()\nif p == 0: time.sleep(20); os._exit(0)\nos.kill(p, signal.SIGSTOP)\nprint('done')\n",
}

_MEMORY = {
    "memory behind fork after fork": "import os, time\nx = bytearray(100 << 20)\nfor i in range(0, len(x), 4096): x[i] = 1\nfor _ in range(6):\n    if os.fork() == 0:\n        for i in range(0, len(x), 4096): x[i] = 2\n        time.sleep(0.5); os._exit(0)\nif sum(os.wait()[1] == 0 for _ in range(6)) == 6: print('ESCAPED')\n",
    "mappings of files": "import mmap, os, time\nfd = os.open('f', os.O_CREAT | os.O_RDWR)\ntry:\n    os.ftruncate(fd, 60 << 20)\n    ms = [mmap.mmap(fd, 60 << 20) for _ in range(12)]\n    for m in ms:\n        for i in range(0, 60 << 20, 4096): m[i] = 1\n    if os.fstat(fd).st_blocks * 512 > 100 << 20: print('ESCAPED')\nexcept (OSError, ValueError) as e: print(e)\n",
    "attributes of files": "import os\ntry:\n    for i in range(3000):\n        os.setxattr('.', f'user.a{i}', b'x' * 60000)\n    print('ESCAPED')\nexcept OSError as e: print(e)\n",
    "one file of many names": "import os\nopen('f', 'w').close()\nn = 0\ntry:\n    for i in range(100000): os.link('f', f'l{i}'); n += 1\nexcept OSError as e: print(e)\nif n > 50000: print('ESCAPED', n)\n",
    "long symbolic links": "import os\nn = 0\ntry:\n    for i in range(60000): os.symlink('x' * 50, f'l{i}'); n += 1\nexcept OSError as e: print(e)\nif n > 50000: print('ESCAPED', n)\n",
    "files that were deleted and stay open": "import os, time\nfs = []\ntry:\n    for i in range(40):\n        f = open('f', 'wb'); os.unlink('f'); f.write(b'x' * (8 << 20)); f.flush(); fs.append(f)\n    time.sleep(0.3); print('ESCAPED')\nexcept OSError as e: print(e)\n",
    "allocated and not written": "import os, time\ntry:\n    fd = os.open('f', os.O_CREAT | os.O_RDWR); os.posix_fallocate(fd, 0, 400 << 20); time.sleep(0.3); print('ESCAPED')\nexcept OSError as e: print(e)\n",
    "a list that doubles": "x = [0]\nwhile True: x = x + x\n",
    "a string that doubles": "x = 'ab' * 1000\nwhile True: x += x\n",
    "memory of C": "import ctypes\nc = ctypes.CDLL(None)\nc.malloc.restype = ctypes.c_void_p\nn = 0\nwhile n < 700:\n    p = c.malloc(1 << 20)\n    if not p: break\n    ctypes.memset(p, 1, 1 << 20); n += 1\nif n >= 700: print('ESCAPED')\n",
    "output without line ends from many": "import os\nfor _ in range(8): os.fork()\nwhile True: os.write(1, b'x' * 65536)\n",
    "a decompression bomb": "import zlib\nb = zlib.compress(b'\\0' * (64 << 20))\nprint(len(b'' .join(zlib.decompress(b) for _ in range(12)))); print('ESCAPED')\n",
}

_LOOKING = {
    "its own address space": "import os\nfor n in ('maps', 'mem', 'environ', 'auxv', 'cmdline', 'status', 'fd', 'root'):\n    for p in ('self', 'thread-self', '1'):\n        try: os.listdir(f'/proc/{p}/{n}') if n in ('fd', 'root') else open(f'/proc/{p}/{n}', 'rb').read(1); print('ESCAPED', n)\n        except OSError: pass\n",
    "the environment in memory": "import ctypes\ne = ctypes.POINTER(ctypes.c_char_p).in_dll(ctypes.CDLL(None), 'environ')\ni = 0\nwhile e[i]:\n    k = e[i].split(b'=')[0]\n    if any(w in e[i] for w in (b'TOKEN', b'KEY', b'/root', b'RLVR', b'PYTHONPATH', b'/work')): print('ESCAPED', e[i])\n    i += 1\n",
    "packages of the parent": "import importlib.util\nfor n in ('torch', 'transformers', 'rlvr', 'verifiers', 'sandbox', 'tasks', 'sympy'):\n    if importlib.util.find_spec(n): print('ESCAPED', n)\n",
    "temporary files of others": "import glob, os\nfor p in ('/tmp', '/var/tmp', '/dev/shm', '/run/user'):\n    try: names = [n for n in os.listdir(p) if os.path.realpath(p) != os.getcwd()]\n    except OSError: continue\n    if names: print('ESCAPED', p, names[:3])\n",
    "devices that write": "import os\nfor n in ('/dev/null', '/dev/zero', '/dev/full', '/dev/urandom'):\n    try: os.chmod(n, 0o600) if os.stat(n).st_mode & 0o777 == 0o600 else None\n    except OSError as e: print(e)\nfor n in ('/dev/sda', '/dev/vda', '/dev/kvm', '/dev/fuse', '/dev/net/tun', '/dev/console', '/dev/ptmx', '/dev/hwrng'):\n    try: os.open(n, os.O_RDWR); print('ESCAPED', n)\n    except OSError: pass\n",
    "typing into a terminal": "import fcntl, termios\nfor fd in (0, 1, 2):\n    try: fcntl.ioctl(fd, termios.TIOCSTI, b'x'); print('ESCAPED')\n    except OSError as e: print(e)\n",
    "newer system calls": _CTYPES
    + "b = ctypes.create_string_buffer(256)\nfor n in (424, 426, 427, 428, 429, 430, 431, 432, 433, 437, 438, 440, 442, 443, 444, 445, 446, 447, 448, 450, 451, 453, 457, 458, 459, 460, 461, 462, 463, 500, 511):\n    if call(n, 0, b, 64, 0, 0, 0) >= 0: print('ESCAPED', n)\n",
    "old and odd system calls": _CTYPES
    + "b = ctypes.create_string_buffer(256)\nfor n in (134, 136, 139, 154, 156, 172, 173, 174, 177, 178, 180, 181, 182, 183, 184, 185, 212, 214, 215, 236, 237, 238, 239, 279):\n    if call(n, 1, b, 64, 0, 0, 0) >= 0 and n not in (238, 239, 139, 136): print('ESCAPED', n)\n",
}

_TOLD = {
    "interfaces of the machine": "import array, fcntl, socket, struct\na, b = socket.socketpair()\nfor n in (0x8912, 0x8927, 0x894c):\n    space = array.array('B', bytes(4096))\n    try: fcntl.ioctl(a, n, bytearray(struct.pack('iP', 4096, space.buffer_info()[0]))); print('ESCAPED', n, bytes(space[:40]))\n    except OSError as e: print(e)\n",
    "names of new files": _CTYPES
    + "for start in (lambda: libc.inotify_init(), lambda: libc.inotify_init1(0)):\n    fd = start()\n    for p in (b'/tmp', b'/', b'/usr/bin', b'/root'):\n        if libc.inotify_add_watch(fd, p, 0xfff) >= 0: print('ESCAPED', p)\n",
    "attributes through a descriptor for reading": "import fcntl, json, os, struct\nfor p in (json.__file__, '/usr/bin/env', '.'):\n    fd = os.open(p, os.O_RDONLY)\n    for n in (0x40086602, 0x401c5820, 0x800c6613):\n        try: fcntl.ioctl(fd, n, bytes(64)); print('ESCAPED', p, n)\n        except OSError as e: print(e)\n",
}

HOLES_OF_TIER_B = (  # docs/sandbox.md lists them
    "memory in the buffers of sockets",
    "files that were deleted and stay open",
)

ALL = _SOCKETS | _PROCESSES | _MEMORY | _LOOKING | _TOLD
