"""Runs one command on many hosts with Paramiko on gevent: host keys checked, output folded.

usage: paramiko_run.py KEY KNOWN_HOSTS ADDRESSES N FANOUT COMMAND
"""

from gevent import monkey

monkey.patch_all()

import collections  # noqa: E402
import sys  # noqa: E402
import warnings  # noqa: E402

warnings.simplefilter("ignore")
import gevent.pool  # noqa: E402
import paramiko  # noqa: E402


def main(key, known_hosts, addresses, n, fanout, command):
    hosts = open(addresses).read().split()[: int(n)]
    pkey = paramiko.Ed25519Key.from_private_key_file(key)
    # One dictionary: a lookup in Paramiko's own HostKeys walks all its lines.
    known = {}
    for line in open(known_hosts):
        name, kind, data = line.split()[:3]
        known[name] = paramiko.hostkeys.HostKeyEntry.from_line(line)
    folded = collections.defaultdict(list)

    def visit(address):
        host, port = address.rsplit(":", 1)
        client = paramiko.SSHClient()
        client.set_missing_host_key_policy(paramiko.RejectPolicy())
        entry = known["[%s]:%s" % (host, port)]
        client.get_host_keys().add(entry.hostnames[0], entry.key.get_name(), entry.key)
        client.connect(host, int(port), username="ops", pkey=pkey, allow_agent=False, look_for_keys=False)
        try:
            _, stdout, stderr = client.exec_command(command)
            result = stdout.read(), stderr.read(), stdout.channel.recv_exit_status()
        finally:
            client.close()
        if result[2] != 0:
            raise SystemExit("%s: exit %d" % (address, result[2]))
        folded[result].append(address)

    pool = gevent.pool.Pool(int(fanout))
    jobs = [pool.spawn(visit, h) for h in hosts]
    gevent.joinall(jobs, raise_error=True)
    for result, where in folded.items():
        print(len(where), result)
    print("ok", sum(map(len, folded.values())))


main(*sys.argv[1:])
