"""`python -m unpoison.stages < job.json` does one stage, see `unpoison.stages.Job`."""

import sys

from .job import Job

if __name__ == "__main__":
    Job.decode(sys.stdin.buffer.read()).do()
