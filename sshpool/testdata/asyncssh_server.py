"""An SSH server by AsyncSSH on 127.0.0.1: HOSTKEY AUTHORIZED_KEY PASSWORD.

Prints its port. It takes the key, the password, or the password and the code
123456 as answers to keyboard-interactive questions, and runs commands by sh.
"""
import asyncio
import sys

import asyncssh

hostkey, authorized, password = sys.argv[1:]
allowed = asyncssh.read_public_key(authorized)


class Server(asyncssh.SSHServer):
    def begin_auth(self, username):
        return True

    def public_key_auth_supported(self):
        return True

    def validate_public_key(self, username, key):
        return key == allowed

    def password_auth_supported(self):
        return True

    def validate_password(self, username, given):
        return given == password

    def kbdint_auth_supported(self):
        return True

    def get_kbdint_challenge(self, username, lang, submethods):
        return ("Sign in", "Two answers", "", [("Password: ", False), ("Code: ", True)])

    def validate_kbdint_response(self, username, responses):
        return list(responses) == [password, "123456"]


async def run(process):
    child = await asyncio.create_subprocess_shell(
        process.command, stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE)
    out, err = await child.communicate()
    process.stdout.write(out.decode())
    process.stderr.write(err.decode())
    process.exit(child.returncode)


async def main():
    server = await asyncssh.create_server(
        Server, "127.0.0.1", 0, server_host_keys=[hostkey], process_factory=run)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)  # until the test ends


asyncio.run(main())
