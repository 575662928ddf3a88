"""An SSH server by Paramiko on 127.0.0.1: HOSTKEY AUTHORIZED_KEY PASSWORD.

Prints its port. It takes the key or the password and runs commands by sh.
"""
import os
import socket
import subprocess
import sys
import threading

import paramiko

hostkey, authorized, password = sys.argv[1:]
host = paramiko.Ed25519Key(filename=hostkey)
with open(authorized) as f:
    allowed = f.read().split()[1]


class Server(paramiko.ServerInterface):
    def get_allowed_auths(self, username):
        return "publickey,password"

    def check_auth_publickey(self, username, key):
        return paramiko.AUTH_SUCCESSFUL if key.get_base64() == allowed else paramiko.AUTH_FAILED

    def check_auth_password(self, username, given):
        return paramiko.AUTH_SUCCESSFUL if given == password else paramiko.AUTH_FAILED

    def check_channel_request(self, kind, chanid):
        return paramiko.OPEN_SUCCEEDED

    def check_channel_exec_request(self, channel, command):
        threading.Thread(target=run, args=(channel, command), daemon=True).start()
        return True


def run(channel, command):
    done = subprocess.run(["/bin/sh", "-c", command], stdin=subprocess.DEVNULL, capture_output=True)
    channel.sendall(done.stdout)
    channel.sendall_stderr(done.stderr)
    channel.send_exit_status(done.returncode)
    channel.close()


def serve(conn):
    transport = paramiko.Transport(conn)
    transport.add_server_key(host)
    transport.start_server(server=Server())
    transport.join()


def accept(listener):
    while True:
        conn, _ = listener.accept()
        threading.Thread(target=serve, args=(conn,), daemon=True).start()


listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
threading.Thread(target=accept, args=(listener,), daemon=True).start()
sys.stdin.read()  # until the test ends
os._exit(0)
