"""The two sides of lock-step: processes that read operations and answer each with lines up to its `done` line."""
import os
import queue
import select
import subprocess
import threading

ENDED = "(the process ended)"
PATIENCE_S = 30  # of processor time, for one operation


class Peer:
    def __init__(self, command):
        self.command = command
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
        self.rest = b""
        self.alive = True

    def send(self, text):
        """Gives the operations; the caller sees to it that the pipe takes them."""
        data = memoryview(text.encode())
        try:
            while data:
                data = data[os.write(self.process.stdin.fileno(), data):]
        except BrokenPipeError:
            self.alive = False

    def read_one(self):
        """The answers to one operation, the `done` line last."""
        while True:
            done = self.rest.find(b'{"done":')
            end = self.rest.find(b"\n", done) if done >= 0 else -1
            if end >= 0:
                lines, self.rest = self.rest[:end], self.rest[end + 1:]
                return lines.decode().split("\n")
            data = self.read_some()
            if not data:
                self.alive = False
                lines, self.rest = self.rest.decode().splitlines(), b""
                return lines + [ENDED]
            self.rest += data

    def read_some(self):
        """Nothing where the process has ended, or does not get to the end of its operation."""
        before = self.cpu_s()
        while not select.select([self.process.stdout], [], [], 10)[0]:
            if self.cpu_s() - before > PATIENCE_S:
                self.process.kill()
        return os.read(self.process.stdout.fileno(), 1 << 16)

    def cpu_s(self):
        """What it has used so far: on a busy machine time says nothing."""
        try:
            with open(f"/proc/{self.process.pid}/stat", encoding="utf-8") as file:
                fields = file.read().rpartition(")")[2].split()
            return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        except OSError:
            return 0

    def ask_all(self, operations):
        """Writes from a thread, so that neither pipe can fill up while the other waits."""
        writer = threading.Thread(target=self.send, args=("\n".join(operations) + "\n",))
        writer.start()
        answers = []
        for _ in operations:
            answers.append(self.read_one())
            if not self.alive:
                break
        writer.join()
        return answers

    def restart(self):
        self.close()
        self.__init__(self.command)

    def close(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


class Background:
    """A peer that answers whole sequences, in their order, while the caller does something else."""

    def __init__(self, command, room):
        self.peer = Peer(command)
        self.questions, self.answers = queue.Queue(room), queue.Queue()
        threading.Thread(target=self.work, daemon=True).start()

    def work(self):
        while True:
            token, operations = self.questions.get()
            if not self.peer.alive:
                self.peer.restart()
            self.answers.put((token, self.peer.ask_all(operations)))

    def ask(self, token, operations):
        self.questions.put((token, operations))

    def take(self):
        return self.answers.get()
