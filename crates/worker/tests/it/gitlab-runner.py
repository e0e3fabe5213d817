"""gitlab-runner, as far as signals go: SIGHUP reloads, SIGQUIT ends it once the file /job is gone, SIGTERM at once, unless
there is a file /stubborn."""
import os, signal, sys, time

root = os.environ["RUNNER_FLEET_ROOT"]
if "--version" in sys.argv:
    print("Version: 19.4.0")
    sys.exit(0)
quitting = False


def note(word):
    with open(root + "/signals", "a") as file:
        file.write(word + "\n")


def on_quit(*_):
    global quitting
    quitting = True
    note("QUIT")


def on_term(*_):
    note("TERM")
    if not os.path.exists(root + "/stubborn"):
        sys.exit(1)


signal.signal(signal.SIGHUP, lambda *_: note("HUP"))
signal.signal(signal.SIGQUIT, on_quit)
signal.signal(signal.SIGTERM, on_term)
with open(root + "/runner.args.new", "w") as file:
    file.write(" ".join(sys.argv[1:]).replace(root, ""))
os.rename(root + "/runner.args.new", root + "/runner.args")
# Ends by itself after a minute or when the test has ended, so that nothing is left behind.
for _ in range(1200):
    time.sleep(0.05)
    if not os.path.isdir(root) or os.path.exists(root + "/end"):
        sys.exit(0)
    if os.path.exists(root + "/crash"):
        sys.exit(1)
    if os.path.exists(root + "/finish") or (quitting and not os.path.exists(root + "/job")):
        sys.exit(0)
