"""Brings home what clients do that look at no proxy, or bring certificates of their own (docs/egress.md).

In the machine's network each connection to elsewhere is made to the instance's gateway instead, with a line that says where it was to go; names
of elsewhere get addresses that stand for them. The socket's own methods are wrapped, so it does not matter what is above them.
"""
import socket
import sys


def install(port, bundle, redirects):
    if redirects:
        redirect(port)
    when_loaded("ssl", lambda ssl: trust(ssl, bundle))


def redirect(port):
    names, addresses = {}, {}
    lookup, connect, connect_ex = socket.getaddrinfo, socket.socket.connect, socket.socket.connect_ex
    gateway = ("127.0.0.1", port)

    def is_address(host):
        for family in (socket.AF_INET, socket.AF_INET6):
            try:
                socket.inet_pton(family, host.split("%")[0])
                return True
            except (OSError, ValueError):
                pass
        return False

    here = ("", "localhost", socket.gethostname().lower(), "0.0.0.0", "::", "::1")

    def is_here(host):
        return not host or host.lower() in here or host.startswith(("127.", "::ffff:127.")) and is_address(host)

    def stand_in(name):
        # 198.18.0.0/15 is for no network (RFC 2544).
        if name not in addresses:
            number = len(addresses) % 130000 + 1
            address = "198.%d.%d.%d" % (18 + (number >> 16), number >> 8 & 255, number & 255)
            addresses[name], names[address] = address, name
        return addresses[name]

    def getaddrinfo(host, port, family=0, type=0, proto=0, flags=0):
        text = host.decode("idna") if isinstance(host, (bytes, bytearray)) else host
        if text and not is_here(text) and not is_address(text):
            if family == socket.AF_INET6:
                raise socket.gaierror(socket.EAI_NONAME, "names of elsewhere have no address of IPv6 here")
            host = stand_in(text.rstrip(".").lower())
        return lookup(host, port, family, type, proto, flags)

    def gethostbyname(host):
        return getaddrinfo(host, None, socket.AF_INET)[0][4][0]

    def elsewhere(sock, address):
        if sock.family not in (socket.AF_INET, socket.AF_INET6) or sock.type & 15 != socket.SOCK_STREAM:
            return None
        host = address[0]
        return None if is_here(host) else (names.get(host, host), address[1])

    def call(sock, target):
        # The gateway is on this machine: nothing here waits.
        patience = sock.gettimeout()
        sock.settimeout(10)
        try:
            to = gateway if sock.family == socket.AF_INET else ("::ffff:127.0.0.1", gateway[1])
            connect(sock, to)
            host = target[0] if is_address(target[0]) else target[0].encode("idna").decode("ascii")
            sock.sendall(("PROXY TCP4 127.0.0.1 %s 1 %d\r\n" % (host, target[1])).encode("ascii"))
        finally:
            sock.settimeout(patience)

    def new_connect(self, address):
        target = elsewhere(self, address)
        return connect(self, address) if target is None else call(self, target)

    def new_connect_ex(self, address):
        target = elsewhere(self, address)
        if target is None:
            return connect_ex(self, address)
        try:
            call(self, target)
        except OSError as error:
            return error.errno or 111
        return 0

    socket.getaddrinfo, socket.gethostbyname = getaddrinfo, gethostbyname
    socket.socket.connect, socket.socket.connect_ex = new_connect, new_connect_ex


def trust(ssl, bundle):
    """Whoever names certificates of its own trusts ours as well."""
    load = ssl.SSLContext.load_verify_locations

    def load_verify_locations(self, cafile=None, capath=None, cadata=None):
        load(self, cafile, capath, cadata)
        load(self, bundle)

    ssl.SSLContext.load_verify_locations = load_verify_locations


class Finder:
    """Does something with a module once it has been loaded: to load `ssl` takes longer than all the rest."""

    def __init__(self, name, then):
        self.name, self.then = name, then

    def find_spec(self, name, path=None, target=None):
        if name != self.name:
            return None
        sys.meta_path.remove(self)
        import importlib.util

        spec = importlib.util.find_spec(name)
        if spec is None or spec.loader is None:
            return spec
        run = spec.loader.exec_module

        def exec_module(module):
            run(module)
            self.then(module)

        spec.loader.exec_module = exec_module
        return spec


def when_loaded(name, then):
    if name in sys.modules:
        then(sys.modules[name])
    else:
        sys.meta_path.insert(0, Finder(name, then))
