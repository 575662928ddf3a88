# Runs ClusterShell's nodeset again and again in one process: a start costs more
# than most tests ask of it. Each line of standard input is {"args": [...], "stdin":
# "..."}, each line of the answer {"status": N, "out": "..."}.
import io
import json
import sys

from ClusterShell.CLI import Nodeset

asked, answers = sys.stdin, sys.stdout
for line in asked:
    req = json.loads(line)
    sys.argv = ["nodeset"] + req["args"]
    sys.stdin, sys.stdout, sys.stderr = io.StringIO(req["stdin"]), io.StringIO(), io.StringIO()
    try:
        Nodeset.main()
        status = 0
    except SystemExit as e:
        status = e.code or 0
    answers.write(json.dumps({"status": status, "out": sys.stdout.getvalue()}) + "\n")
    answers.flush()
