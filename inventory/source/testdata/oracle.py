# Answers for ansible-inventory many times with one start: each line of standard
# input is a JSON list of arguments (or of the word
# select, an inventory and patterns), each line of standard output a JSON list of
# exit status, standard output and standard error.
import json
import os
import sys
import tempfile

from ansible.cli.inventory import InventoryCLI
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader


def child(args, out, err):
    os.dup2(out.fileno(), 1)
    os.dup2(err.fileno(), 2)
    if args[0] == "select":  # hosts of patterns, one list a line
        inventory = InventoryManager(loader=DataLoader(), sources=[args[1]])
        for pattern in args[2:]:
            print(json.dumps([h.name for h in inventory.get_hosts(pattern)]))
        sys.stdout.flush()
        return
    sys.argv = ["ansible-inventory"] + args
    try:
        InventoryCLI.cli_executor(sys.argv)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()


for line in sys.stdin:
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        pid = os.fork()
        if pid == 0:
            code = 70
            try:
                child(json.loads(line), out, err)
                code = 0
            except SystemExit as e:
                code = e.code if isinstance(e.code, int) else 1
            except BaseException as e:
                os.write(2, repr(e).encode())
            finally:
                os._exit(code)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        texts = []
        for f in (out, err):
            f.seek(0)
            texts.append(f.read().decode("utf-8", "replace"))
        print(json.dumps([status] + texts), flush=True)
