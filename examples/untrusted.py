"""Something that one has downloaded: it does its work, and tries what nobody asked it to."""
import ctypes
import os
import socket

libc = ctypes.CDLL(None, use_errno=True)


def attempt(what, action):
    try:
        action()
        print(f"{what}: done")
    except OSError as error:
        print(f"{what}: {error.strerror}")


def new_user_namespace():
    if libc.unshare(0x10000000) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


print("the sum of the first thousand squares:", sum(n * n for n in range(1, 1001)))
attempt("a connection to somewhere", lambda: socket.socket(socket.AF_INET))
attempt("root in a namespace of its own", new_user_namespace)
