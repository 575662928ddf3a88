"""Runs one command on many hosts with AsyncSSH: host keys checked, output folded.

usage: asyncssh_run.py KEY KNOWN_HOSTS ADDRESSES N FANOUT COMMAND
"""

import asyncio
import collections
import sys
import warnings

warnings.simplefilter("ignore")
import asyncssh  # noqa: E402


async def main(key, known_hosts, addresses, n, fanout, command):
    hosts = open(addresses).read().split()[: int(n)]
    known = asyncssh.read_known_hosts(known_hosts)
    keys = [asyncssh.read_private_key(key)]
    room = asyncio.Semaphore(int(fanout))
    folded = collections.defaultdict(list)

    async def visit(address):
        host, port = address.rsplit(":", 1)
        async with room:
            async with asyncssh.connect(
                host, int(port), username="ops", client_keys=keys, known_hosts=known,
                agent_path=None, config=None,
            ) as conn:
                done = await conn.run(command, check=True)
                folded[done.stdout, done.stderr].append(address)

    await asyncio.gather(*(visit(h) for h in hosts))
    for (out, err), where in folded.items():
        print(len(where), out, err, end="")
    print("ok", sum(map(len, folded.values())))


asyncio.run(main(*sys.argv[1:]))
